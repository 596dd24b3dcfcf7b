"""A reader takes what is whole, in order, and tells what is not as it should be."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toy_job import TOY, ToyParameters

from blushcore.protocol import BlushError, Finished, IterationDone
from blushcore.runs import RunReader, RunWatch, read_run, run_job


@pytest.fixture
def run(tmp_path: Path) -> Path:
    list(run_job(TOY, ToyParameters(walk="read"), tmp_path / "run"))
    return tmp_path / "run"


def rewind(run: Path) -> tuple[Path, list[bytes]]:
    """Empty the events, so that a test can let them come one by one; return them."""
    path = run / "events.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"")
    return path, lines


def make_recent(lines: list[bytes]) -> list[bytes]:
    recent = []
    for line in lines:
        values = json.loads(line)
        values["time"] = time.time()
        recent.append(json.dumps(values).encode() + b"\n")
    return recent


def test_the_reader_has_the_face_of_everything_that_can_be_watched(run: Path) -> None:
    watch: RunWatch = RunReader(run)
    assert watch.job == "toy"
    assert watch.directory == run
    looks = list(watch.follow(poll_seconds=0.01))
    assert looks[-1].life == "finished"
    assert sum(len(look.records) for look in looks) == 7


def test_events_come_back_as_the_types_they_were(run: Path) -> None:
    records = RunReader(run).poll()
    assert [type(record.event).__name__ for record in records] == [
        "Started",
        *["IterationDone"] * 4,
        "Message",
        "Finished",
    ]
    assert isinstance(records[3].event, IterationDone)
    assert records[3].event.iteration == 3
    assert records[3].checkpoint == "checkpoints/it000003.safetensors"


def test_records_come_once(run: Path) -> None:
    reader = RunReader(run)
    assert len(reader.poll()) == 7
    assert reader.poll() == []


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(1, 400), min_size=1, max_size=30))
def test_however_the_file_grows_each_event_comes_once_and_whole(run: Path, cuts: list[int]) -> None:
    path = run / "events.jsonl"
    whole = path.read_bytes()
    path.write_bytes(b"")
    reader = RunReader(run)
    events = []
    begin = 0
    try:
        for cut in [*cuts, len(whole)]:
            with path.open("ab") as stream:
                stream.write(whole[begin : begin + cut])
            begin += cut
            events.extend(reader.poll())
    finally:
        path.write_bytes(whole)
    assert [record.seq for record in events] == list(range(7))
    assert not reader.problems


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"schema": 1, "attempt"\n', "torn or damaged"),
        (b"\xff\xfe\x80\n", "torn or damaged"),
        (b"\n", "torn or damaged"),
        (b"[1, 2]\n", "no event"),
        (b"null\n", "no event"),
        (b'{"schema": 2, "kind": "started"}\n', "later version of blush"),
        (b'{"schema": 1, "attempt": 1, "seq": 9, "time": 0, "kind": "sung", "data": {}}\n', "kind 'sung'"),
        (
            b'{"schema": 1, "attempt": 1, "seq": 9, "time": 0, "kind": "message", "data": {}}\n',
            "'text' is missing",
        ),
    ],
)
def test_a_bad_line_is_reported_and_passed_over(run: Path, line: bytes, reason: str) -> None:
    path, lines = rewind(run)
    path.write_bytes(b"".join([*lines[:3], line, *lines[3:]]))
    reader = RunReader(run)
    assert [record.seq for record in reader.poll()] == list(range(7))
    assert len(reader.problems) == 1
    assert reason in reader.problems[0].text
    assert "Line 4 of" in reader.problems[0].text


def test_fields_of_a_later_version_are_left_out(run: Path) -> None:
    path, lines = rewind(run)
    values = json.loads(lines[1])
    values["data"]["mood"] = "fine"
    values["mood"] = "fine"
    path.write_bytes(lines[0] + json.dumps(values).encode() + b"\n")
    records = RunReader(run).poll()
    assert isinstance(records[1].event, IterationDone)


def test_two_writers_are_noticed(run: Path) -> None:
    path, lines = rewind(run)
    path.write_bytes(b"".join(lines[:3] + lines[1:3]))
    reader = RunReader(run)
    reader.poll()
    assert "two processes may have written" in reader.problems[0].text


def test_an_event_waits_for_its_files_and_those_after_it_wait_too(run: Path) -> None:
    path, lines = rewind(run)
    hidden = (run / "walk_it002.npy").rename(run / "hidden")
    path.write_bytes(b"".join(make_recent(lines)))
    reader = RunReader(run, file_patience_seconds=30)
    assert [record.seq for record in reader.poll()] == [0, 1]
    assert reader.poll() == []
    content = hidden.read_bytes()
    (run / "walk_it002.npy").write_bytes(content[:-10])  # not yet whole
    assert reader.poll() == []
    (run / "walk_it002.npy").write_bytes(content)
    assert [record.seq for record in reader.poll()] == [2, 3, 4, 5, 6]


def test_patience_with_files_ends(run: Path) -> None:
    path, lines = rewind(run)
    (run / "walk_it002.npy").unlink()
    path.write_bytes(b"".join(make_recent(lines)))
    reader = RunReader(run, file_patience_seconds=0.3)
    assert len(reader.poll()) == 2
    time.sleep(0.35)
    records = reader.poll()
    assert [record.seq for record in records] == [2, 3, 4, 5, 6]
    assert reader.files(records[0]) == {}


def test_files_that_were_deleted_long_ago_are_not_waited_for(run: Path) -> None:
    path, lines = rewind(run)
    (run / "walk_it002.npy").unlink()
    values = [json.loads(line) for line in lines]
    path.write_text("".join(json.dumps({**value, "time": value["time"] - 3600}) + "\n" for value in values))
    assert len(RunReader(run).poll()) == 7


def test_a_hole_that_a_network_disk_shows_is_waited_for(run: Path) -> None:
    path, lines = rewind(run)
    path.write_bytes(lines[0] + b"\0" * (len(lines[1]) - 1) + b"\n" + lines[2])
    reader = RunReader(run, file_patience_seconds=30)
    assert [record.seq for record in reader.poll()] == [0]
    path.write_bytes(b"".join(lines[:3]))
    assert [record.seq for record in reader.poll()] == [1, 2]
    assert not reader.problems


def test_a_hole_that_stays_is_a_damaged_line(run: Path) -> None:
    path, lines = rewind(run)
    path.write_bytes(lines[0] + b"\0" * 20 + b"\n" + lines[2])
    reader = RunReader(run, file_patience_seconds=0.2)
    assert [record.seq for record in reader.poll()] == [0]
    time.sleep(0.25)
    assert [record.seq for record in reader.poll()] == [2]
    assert "torn or damaged" in reader.problems[0].text


def test_a_directory_that_vanishes_and_comes_back_is_read_on(run: Path, tmp_path: Path) -> None:
    path, lines = rewind(run)
    path.write_bytes(b"".join(lines[:2]))
    reader = RunReader(run)
    assert len(reader.poll()) == 2
    run.rename(tmp_path / "away")
    assert reader.poll() == []
    assert reader.life() == "unreachable"
    (tmp_path / "away").rename(run)
    path.write_bytes(b"".join(lines))
    assert [record.seq for record in reader.poll()] == [2, 3, 4, 5, 6]
    assert reader.life() == "finished"


def test_following_a_directory_that_stays_away_ends(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, lines = rewind(run)
    path.write_bytes(b"".join(lines[:2]))
    (run / "run.lock").write_text("")  # somebody seems to write
    reader = RunReader(run)
    monkeypatch.setattr("blushcore.runs.reader.FILE_PATIENCE_SECONDS", 0.2)
    lives = []
    for look in reader.follow(poll_seconds=0.05):
        lives.append(look.life)
        if run.exists():
            shutil.rmtree(run)
    assert lives[-1] == "unreachable"


def test_a_copy_is_read_like_the_original(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    shutil.rmtree(run)
    reader = read_run(copy)
    last = reader.summary.ending
    assert last is not None
    assert isinstance(last.event, Finished)
    assert reader.files(last) == {"position": copy / "results" / "walk.npy"}


def test_another_run_in_the_same_place_is_read_from_its_beginning(run: Path) -> None:
    reader = RunReader(run)
    reader.poll()
    shutil.rmtree(run)
    list(run_job(TOY, ToyParameters(walk="other", iterations=1), run))
    assert [record.seq for record in reader.poll()] == [0, 1, 2, 3]
    assert reader.description.parameters["walk"] == "other"
    assert sorted(reader.summary.iterations) == [1]
    assert "became shorter" in reader.problems[0].text


@pytest.mark.parametrize("skew_seconds", [-3600.0, 3600.0])
def test_late_files_are_waited_for_whatever_the_writers_clock_says(run: Path, skew_seconds: float) -> None:
    events = run / "events.jsonl"
    lines = [json.loads(line) for line in events.read_bytes().splitlines()]
    for values in lines:
        values["time"] = time.time() + skew_seconds
    [first, *others] = [json.dumps(values).encode() + b"\n" for values in lines]
    events.write_bytes(first)
    reader = RunReader(run)
    assert len(reader.poll()) == 1
    file = next((run / "results").iterdir())
    content = file.read_bytes()
    file.unlink()
    events.write_bytes(b"".join([first, *others]))
    before = reader.poll()
    assert len(before) < len(others)
    file.write_bytes(content)
    assert len(before) + len(reader.poll()) == len(others)


def test_another_run_is_told_by_its_name_where_its_events_are_as_long(run: Path, tmp_path: Path) -> None:
    reader = RunReader(run)
    reader.poll()
    list(run_job(TOY, ToyParameters(walk="other", iterations=9), tmp_path / "other"))
    assert (tmp_path / "other" / "events.jsonl").stat().st_size > (run / "events.jsonl").stat().st_size
    shutil.rmtree(run)
    (tmp_path / "other").rename(run)
    reader.poll()
    assert sorted(reader.summary.iterations) == list(range(1, 10))
    assert "another run" in reader.problems[0].text
    assert reader.poll() == []


def test_a_description_that_is_restored_changes_nothing(run: Path) -> None:
    reader = RunReader(run)
    before = len(reader.poll())
    content = (run / "params.json").read_bytes()
    (run / "params.json").unlink()
    (run / "params.json").write_bytes(content)
    assert before
    assert reader.poll() == []
    assert reader.problems == []


def test_a_record_that_was_tampered_with_leads_nowhere(run: Path) -> None:
    path, lines = rewind(run)
    values = json.loads(lines[1])
    values["data"]["files"] = {"position": "../../etc/passwd"}
    path.write_bytes(lines[0] + json.dumps(values).encode() + b"\n")
    reader = RunReader(run, file_patience_seconds=0)
    assert reader.files(reader.poll()[1]) == {}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "is not a run directory: it has no params.json"),
        ("{", "params.json is damaged"),
        ("[]", "params.json is damaged"),
        ('{"schema": 1}', "params.json is damaged"),
        ('{"schema": 99}', "later version of blush"),
    ],
)
def test_what_is_no_run_is_refused_in_a_sentence(tmp_path: Path, content: str | None, sentence: str) -> None:
    if content is not None:
        (tmp_path / "params.json").write_text(content)
    with pytest.raises(BlushError, match=sentence):
        RunReader(tmp_path)
