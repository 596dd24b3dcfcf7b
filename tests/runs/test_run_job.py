"""A job is driven to its end, whatever that is, and what it did is on the disk."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_job import TOY, ArrayFile, ToyParameters, walk

from blushcore.protocol import (
    Acknowledged,
    BlushError,
    Command,
    Control,
    Event,
    Failed,
    Finished,
    IterationDone,
    Job,
    Progress,
    Started,
)
from blushcore.runs import RunReader, create_run, read_run, resume, run_job, run_unrecorded, send_command
from blushcore.runs.files import TEMPORARY_PREFIX

JOBS = {"toy": TOY}


def parameters(**changes: Any) -> ToyParameters:
    return ToyParameters(walk="test", **changes)


def lines(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / "events.jsonl").read_text().splitlines()]


def plain_walk(**changes: Any) -> np.ndarray:
    """The result without any run directory."""
    for event in walk(parameters(**changes), Control(), None):
        if isinstance(event, Finished):
            return event.artefacts[0].array
    raise AssertionError


def test_what_is_yielded_is_what_is_recorded(tmp_path: Path) -> None:
    run = tmp_path / "deep" / "run"
    events = list(run_job(TOY, parameters(), run))
    assert [event.kind for event in events] == ["started", *["iteration_done"] * 4, "message", "finished"]
    assert [record.event for record in read_run_records(run)] == [without_nan(event) for event in events]
    assert [line["seq"] for line in lines(run)] == list(range(7))
    assert {line["attempt"] for line in lines(run)} == {1}


def read_run_records(run: Path) -> list[Any]:
    return RunReader(run).poll()


def without_nan(event: Event) -> Event:
    # JSON has no NaN: the recorded figure is null.
    if isinstance(event, IterationDone):
        from dataclasses import replace

        return replace(event, figures={**event.figures, "curve": [1.0, None]})
    return event


def test_files_lie_where_the_events_say(tmp_path: Path) -> None:
    events = list(run_job(TOY, parameters(), tmp_path / "run"))
    last = events[-1]
    assert isinstance(last, Finished)
    assert last.artefacts == ()
    np.testing.assert_array_equal(np.load(tmp_path / "run" / last.files["position"]), plain_walk())
    assert not list((tmp_path / "run").rglob(f"{TEMPORARY_PREFIX}*"))
    assert not (tmp_path / "run" / "run.lock").exists()


def test_files_and_state_come_before_the_line(tmp_path: Path) -> None:
    for event in run_job(TOY, parameters(), tmp_path / "run"):
        for line in lines(tmp_path / "run"):
            for name in line["data"].get("files", {}).values():
                assert (tmp_path / "run" / name).exists()
        if isinstance(event, IterationDone):
            newest = lines(tmp_path / "run")[-1]
            assert newest["data"]["iteration"] == event.iteration
            assert (tmp_path / "run" / newest["checkpoint"]).exists()


def test_lines_hold_relative_paths_and_no_arrays(tmp_path: Path) -> None:
    list(run_job(TOY, parameters(size=5000), tmp_path / "run"))
    text = (tmp_path / "run" / "events.jsonl").read_text()
    assert str(tmp_path) not in text
    assert max(map(len, text.splitlines())) < 1000


def test_nothing_happens_before_the_first_event_is_asked_for(tmp_path: Path) -> None:
    run_job(TOY, parameters(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_directory_that_holds_a_run_is_refused_and_left_alone(tmp_path: Path) -> None:
    list(run_job(TOY, parameters(), tmp_path / "run"))
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    with pytest.raises(BlushError, match=r"holds a run already.*blush resume"):
        list(run_job(TOY, parameters(seed=1), tmp_path / "run"))
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before


def test_an_artefact_does_not_overwrite_what_was_there_before(tmp_path: Path) -> None:
    (tmp_path / "walk_it002.npy").write_text("precious")
    (tmp_path / "slurm.log").write_text("")
    with pytest.raises(BlushError, match=r"walk_it002\.npy was there before the run and is not overwritten"):
        list(run_job(TOY, parameters(), tmp_path))
    assert (tmp_path / "walk_it002.npy").read_text() == "precious"
    assert read_run(tmp_path).life() == "failed"


@pytest.mark.parametrize("name", ["../x.npy", "/tmp/x.npy", "events.jsonl", "checkpoints/x", "", "a/../../x"])
def test_an_artefact_stays_inside_the_run(tmp_path: Path, name: str) -> None:
    def job(parameters: ToyParameters, control: Control, state: object) -> Any:
        yield Started(job="toy", parameters={})
        yield IterationDone(iteration=1, artefacts=(ArrayFile("x", name, np.zeros(1)),))

    with pytest.raises(ValueError, match="run directory"):
        list(run_job(Job(name="toy", parameters=ToyParameters, run=job), parameters(), tmp_path / "run"))


def test_an_array_among_the_figures_is_a_fault_that_names_the_place(tmp_path: Path) -> None:
    def job(parameters: ToyParameters, control: Control, state: object) -> Any:
        yield Started(job="toy", parameters={})
        yield IterationDone(iteration=1, figures={"fsc": np.zeros(3)})

    with pytest.raises(TypeError, match=r"iteration_done\.figures\.fsc is a ndarray"):
        list(run_job(Job(name="toy", parameters=ToyParameters, run=job), parameters(), tmp_path / "run"))


def test_an_error_of_the_user_is_recorded_and_raised(tmp_path: Path) -> None:
    events: list[Event] = []
    with pytest.raises(BlushError, match=r"lost its way\. Give it a map\."):
        events.extend(run_job(TOY, parameters(trouble="blush"), tmp_path / "run"))
    assert events[-1] == Failed(
        problem="The walk has lost its way.", remedy="Give it a map.", error_type="BlushError"
    )
    reader = read_run(tmp_path / "run")
    assert reader.life() == "failed"
    assert reader.summary.ending is not None
    assert reader.summary.ending.event == events[-1]
    assert not (tmp_path / "run" / "traceback.txt").exists()


def test_a_fault_of_the_program_is_recorded_with_its_traceback(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        list(run_job(TOY, parameters(trouble="bug"), tmp_path / "run"))
    failed = lines(tmp_path / "run")[-1]["data"]
    assert "ZeroDivisionError: a fault in the walk" in failed["problem"]
    assert "in _trouble" in (tmp_path / "run" / "traceback.txt").read_text()


def test_a_full_disk_met_by_the_job_is_a_plain_sentence(tmp_path: Path) -> None:
    with pytest.raises(
        BlushError, match=r"disk .* is full.*Free some space and start it again, a run with blush resume"
    ):
        list(run_job(TOY, parameters(trouble="full"), tmp_path / "run"))
    assert "is full" in lines(tmp_path / "run")[-1]["data"]["problem"]


@pytest.mark.parametrize(("trouble", "text"), [("no-start", "first event"), ("no-end", "last event")])
def test_a_job_that_breaks_the_protocol_fails(tmp_path: Path, trouble: str, text: str) -> None:
    with pytest.raises(TypeError, match=text):
        list(run_job(TOY, parameters(trouble=trouble), tmp_path / "run"))
    assert lines(tmp_path / "run")[-1]["kind"] == "failed"


def test_a_failed_run_is_resumed_once_the_cause_is_mended(tmp_path: Path) -> None:
    with pytest.raises(BlushError):
        list(run_job(TOY, parameters(trouble="blush"), tmp_path / "run"))
    description = json.loads((tmp_path / "run" / "params.json").read_text())
    description["parameters"]["trouble"] = ""
    (tmp_path / "run" / "params.json").write_text(json.dumps(description))
    events = list(resume(tmp_path / "run", JOBS))
    assert isinstance(events[0], Started)
    assert events[0].resumed_from_iteration == 1
    result = np.load(tmp_path / "run" / "results" / "walk.npy")
    np.testing.assert_array_equal(result, plain_walk())
    assert read_run(tmp_path / "run").life() == "finished"


def test_closing_the_stream_stops_the_job(tmp_path: Path) -> None:
    stream = run_job(TOY, parameters(), tmp_path / "run")
    assert isinstance(next(stream), Started)
    assert isinstance(next(stream), IterationDone)
    stream.close()
    assert lines(tmp_path / "run")[-1]["data"]["outcome"] == "stopped"
    assert not (tmp_path / "run" / "run.lock").exists()


def test_a_done_run_is_not_resumed(tmp_path: Path) -> None:
    list(run_job(TOY, parameters(), tmp_path / "run"))
    before = (tmp_path / "run" / "events.jsonl").read_bytes()
    with pytest.raises(BlushError, match="is done"):
        list(resume(tmp_path / "run", JOBS))
    assert (tmp_path / "run" / "events.jsonl").read_bytes() == before


def test_a_run_of_a_later_version_is_not_begun_anew_over_it(tmp_path: Path) -> None:
    run = tmp_path / "run"
    stream = run_job(TOY, parameters(), run)
    while not isinstance(next(stream), IterationDone):
        pass
    stream.close()
    events = run / "events.jsonl"
    later = events.read_bytes().replace(b'"schema": 1', b'"schema": 2')
    events.write_bytes(later)
    with pytest.raises(BlushError, match=r"later version of blush\. Update"):
        list(resume(run, JOBS))
    assert events.read_bytes() == later


def test_a_run_whose_events_cannot_be_read_is_not_begun_anew_over_it(tmp_path: Path) -> None:
    run = tmp_path / "run"
    stream = run_job(TOY, parameters(), run)
    while not isinstance(next(stream), IterationDone):
        pass
    stream.close()
    (run / "events.jsonl").write_bytes(b"damaged\n" * 5)
    with pytest.raises(BlushError, match="No line of"):
        list(resume(run, JOBS))
    (run / "events.jsonl").write_bytes(b'{"schema": 1, "att')  # a first line that was torn has nothing to lose
    for path in (run / "checkpoints").iterdir():
        path.unlink()
    events = list(resume(run, JOBS))
    assert isinstance(events[-1], Finished)


def test_a_run_that_was_only_made_is_begun_by_resume(tmp_path: Path) -> None:
    create_run(tmp_path / "run", "toy", parameters(seed=3))
    assert read_run(tmp_path / "run").life() == "waiting"
    list(resume(tmp_path / "run", JOBS))
    np.testing.assert_array_equal(np.load(tmp_path / "run" / "results" / "walk.npy"), plain_walk(seed=3))


def test_paths_do_not_depend_on_where_the_run_is_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    create_run(Path("run"), "toy", parameters(table=Path("models.tsv")))
    assert read_run(Path("run")).summary.parameters["table"] == str(tmp_path / "models.tsv")


def test_a_job_that_is_not_known_is_named(tmp_path: Path) -> None:
    create_run(tmp_path / "run", "refine-4d", parameters())
    with pytest.raises(BlushError, match=r"job 'refine-4d', which .* does not know.* It knows toy"):
        list(resume(tmp_path / "run", JOBS))


def test_a_folder_without_a_run_cannot_be_resumed(tmp_path: Path) -> None:
    with pytest.raises(BlushError, match="is not a run directory"):
        list(resume(tmp_path, JOBS))


def test_progress_is_yielded_in_full_and_recorded_thinned(tmp_path: Path) -> None:
    events = list(run_job(TOY, parameters(iterations=2, seconds=0.7), tmp_path / "run"))
    yielded = sum(isinstance(event, Progress) for event in events)
    recorded = sum(line["kind"] == "progress" for line in lines(tmp_path / "run"))
    assert yielded > 20
    assert 1 <= recorded <= 3


class Steering:
    """Sends commands from a second thread once the run has come so far."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ids: list[str] = []

    def when(self, kind: str, *actions: Any, count: int = 1) -> threading.Thread:
        def steer() -> None:
            while not (self.directory / "events.jsonl").exists() or (
                sum(line["kind"] == kind for line in lines(self.directory)) < count
            ):
                time.sleep(0.02)
            for action in actions:
                name, changes = action if isinstance(action, tuple) else (action, None)
                self.ids.append(send_command(self.directory, name, changes))

        thread = threading.Thread(target=steer, daemon=True)
        thread.start()
        return thread


def test_stop_now_ends_within_an_iteration(tmp_path: Path) -> None:
    steering = Steering(tmp_path / "run")
    steering.when("progress", "stop_now")
    begin = time.monotonic()
    events = list(run_job(TOY, parameters(seconds=30), tmp_path / "run"))
    assert time.monotonic() - begin < 5
    assert events[-1] == Finished(outcome="stopped")
    assert isinstance(events[-2], Acknowledged)
    assert events[-2].command_id == steering.ids[0]
    assert read_run(tmp_path / "run").life() == "stopped"
    assert not list((tmp_path / "run" / "commands").iterdir())


def test_stop_after_iteration_keeps_the_iteration_and_resumes_to_the_same_result(tmp_path: Path) -> None:
    Steering(tmp_path / "run").when("started", "stop_after_iteration")
    events = list(run_job(TOY, parameters(seconds=0.5), tmp_path / "run"))
    assert isinstance(events[-2], IterationDone)
    assert events[-1] == Finished(outcome="stopped")
    list(resume(tmp_path / "run", JOBS))
    np.testing.assert_array_equal(np.load(tmp_path / "run" / "results" / "walk.npy"), plain_walk())


def test_pause_holds_still_until_resumed(tmp_path: Path) -> None:
    steering = Steering(tmp_path / "run")
    steering.when("progress", "pause")
    seen: list[tuple[float, Event]] = []
    for event in run_job(TOY, parameters(iterations=2, seconds=0.4), tmp_path / "run"):
        seen.append((time.monotonic(), event))
        if event.kind == "paused":
            reader = read_run(tmp_path / "run")
            assert reader.summary.paused
            assert reader.life() == "running"
            timer = threading.Timer(0.8, send_command, (tmp_path / "run", "resume"))
            timer.start()
    kinds = [event.kind for _, event in seen]
    paused = kinds.index("paused")
    assert kinds[paused + 1 : paused + 3] == ["acknowledged", "resumed"]
    assert seen[paused + 2][0] - seen[paused][0] > 0.7
    np.testing.assert_array_equal(np.load(tmp_path / "run" / "results" / "walk.npy"), plain_walk(iterations=2))


def test_a_change_is_in_force_from_the_next_iteration_on_and_in_the_checkpoint(tmp_path: Path) -> None:
    steering = Steering(tmp_path / "run")
    steering.when("progress", ("change", {"step_size": 3, "iterations": 3}))
    events = list(run_job(TOY, parameters(iterations=2, seconds=0.4), tmp_path / "run"))
    last = events[-1]
    assert isinstance(last, Finished)
    assert last.figures["step_size"] == 3.0
    answer = next(event for event in events if isinstance(event, Acknowledged))
    assert answer.accepted
    assert dict(answer.changes) == {"step_size": 3.0, "iterations": 3}
    from blushcore.runs.checkpoints import read_checkpoint

    checkpoint = read_checkpoint(tmp_path / "run" / "checkpoints" / "it000002.safetensors")
    assert checkpoint.parameters["step_size"] == 3.0
    assert read_run(tmp_path / "run").summary.parameters["iterations"] == 3
    assert json.loads((tmp_path / "run" / "params.json").read_text())["parameters"]["step_size"] == 1.0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"seed": 3}, "seed cannot be changed while toy runs. These can: iterations, seconds, step_size."),
        ({"step_size": -1}, "step_size should be greater than 0"),
        ({"stepsize": 1}, "toy has no parameter 'stepsize'"),
        ({}, "names no parameter"),
    ],
)
def test_a_change_that_cannot_be_is_refused_with_the_reason(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    Steering(tmp_path / "run").when("started", ("change", changes))
    events = list(run_job(TOY, parameters(iterations=1, seconds=0.5), tmp_path / "run"))
    answer = next(event for event in events if isinstance(event, Acknowledged))
    assert not answer.accepted
    assert reason in answer.text
    assert read_run(tmp_path / "run").summary.parameters["step_size"] == 1.0


def test_a_further_source_of_commands_is_obeyed(tmp_path: Path) -> None:
    commands = iter([[], [Command(id="x1", action="stop_now")]])
    events = list(run_job(TOY, parameters(seconds=30), tmp_path / "run", commands=lambda: next(commands, [])))
    assert events[-1] == Finished(outcome="stopped")


def test_a_job_without_a_run_directory_leaves_only_its_files(tmp_path: Path) -> None:
    events = list(run_unrecorded(TOY, parameters(), tmp_path))
    assert isinstance(events[-1], Finished)
    np.testing.assert_array_equal(np.load(tmp_path / events[-1].files["position"]), plain_walk())
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "results",
        *[f"walk_it{i:03d}.npy" for i in (1, 2, 3, 4)],
    ]
    with pytest.raises(BlushError, match="exists already"):
        list(run_unrecorded(TOY, parameters(), tmp_path))
    list(run_unrecorded(TOY, parameters(seed=5), tmp_path, overwrite=True))
    np.testing.assert_array_equal(np.load(tmp_path / "results" / "walk.npy"), plain_walk(seed=5))


def test_a_folder_with_files_of_another_run_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    (tmp_path / "run_class001.mrc").write_text("of RELION")
    (tmp_path / "run_it012_data.star").write_text("of RELION")
    with pytest.raises(BlushError, match=r"holds files of another run \(run_class001\.mrc and 1 more\)"):
        list(run_job(TOY, parameters(), tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run_class001.mrc", "run_it012_data.star"]
