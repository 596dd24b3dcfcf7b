"""Whenever a process dies, the run goes on as if it had not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from toy_job import TOY, ToyParameters, walk

from blushcore.protocol import BlushError, Control, Finished, Message, Started
from blushcore.runs import RunReader, read_run, resume, run_job

HERE = Path(__file__).parent
JOBS = {"toy": TOY}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.parametrize("options", [[], ["--twice"]], ids=["once", "twice"])
def test_a_run_may_die_at_every_step_on_the_disk(tmp_path: Path, options: list[str]) -> None:
    program = [sys.executable, str(HERE / "crash_everywhere.py"), str(tmp_path), *options]
    result = subprocess.run(program, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    outcome = json.loads(result.stdout)
    assert outcome["wrong"] == {}
    # The test tests: it must have died in many places, some of them in the middle of a line.
    assert outcome["tried"] > 50
    assert outcome["torn"] >= 4


def test_kill_9_and_resume_give_the_result_of_an_uninterrupted_run(
    tmp_path: Path, spawn: Callable[..., subprocess.Popen[str]]
) -> None:
    run = tmp_path / "run"
    process = spawn("toy", "killed", "-o", run, "--iterations", 6, "--seconds", 0.3)
    while not (run / "events.jsonl").exists() or len(read_run(run).summary.iterations) < 2:
        time.sleep(0.02)
    time.sleep(0.1)  # into the next iteration
    process.send_signal(signal.SIGKILL)
    process.wait()
    reader = RunReader(run)
    reader.poll()
    done = len(reader.summary.iterations)
    assert done < 6
    assert reader.life() == "dead"
    assert (run / "run.lock").exists()

    events = list(resume(run, JOBS))
    assert isinstance(events[0], Started)
    assert events[0].resumed_from_iteration == done
    parameters = ToyParameters(walk="killed", iterations=6)
    for event in walk(parameters, Control(), None):
        if isinstance(event, Finished):
            expected = event.artefacts[0].array
    np.testing.assert_array_equal(np.load(run / "results" / "walk.npy"), expected)
    records = reader.poll()
    assert {record.attempt for record in records} == {2}
    assert [r.seq for r in records] == list(range(records[0].seq, records[0].seq + len(records)))
    assert reader.life() == "finished"


def interrupted(directory: Path, iterations: int = 2) -> None:
    """A run that was left after so many iterations, without a word."""
    stream = run_job(TOY, ToyParameters(walk="test"), directory)
    for _ in range(iterations + 1):
        next(stream)
    stream.close()
    content = (directory / "events.jsonl").read_bytes().splitlines(keepends=True)
    (directory / "events.jsonl").write_bytes(b"".join(content[:-1]))  # without "stopped"


def test_a_torn_last_line_is_never_merged_with_a_new_one(tmp_path: Path) -> None:
    run = tmp_path / "run"
    interrupted(run)
    whole = (run / "events.jsonl").read_bytes()
    lines = whole.splitlines(keepends=True)
    (run / "events.jsonl").write_bytes(b"".join(lines[:-1]) + lines[-1][:40])
    events = list(resume(run, JOBS))
    assert isinstance(events[0], Started)
    assert events[0].resumed_from_iteration == 1  # the line of iteration 2 never was
    assert isinstance(events[1], Message)
    assert "Line 3" in events[1].text
    assert "torn" in events[1].text
    after = (run / "events.jsonl").read_bytes()
    assert after.startswith(b"".join(lines[:-1]) + lines[-1][:40] + b"\n")
    reader = read_run(run)
    assert sorted(reader.summary.iterations) == [1, 2, 3, 4]
    assert len(reader.problems) == 1


def test_a_last_line_that_lacks_only_its_end_counts(tmp_path: Path) -> None:
    run = tmp_path / "run"
    interrupted(run)
    whole = (run / "events.jsonl").read_bytes()
    (run / "events.jsonl").write_bytes(whole[:-1])
    events = list(resume(run, JOBS))
    assert isinstance(events[0], Started)
    assert events[0].resumed_from_iteration == 2
    assert not read_run(run).problems


def test_a_truncated_checkpoint_is_recognised_and_the_one_before_used(tmp_path: Path) -> None:
    run = tmp_path / "run"
    interrupted(run, 3)
    newest = run / "checkpoints" / "it000003.safetensors"
    newest.write_bytes(newest.read_bytes()[:-100])
    events = list(resume(run, JOBS))
    assert isinstance(events[0], Started)
    assert events[0].resumed_from_iteration == 2
    assert isinstance(events[1], Message)
    assert "it000003" in events[1].text
    list(run_job(TOY, ToyParameters(walk="test"), tmp_path / "other"))
    assert (run / "results" / "walk.npy").read_bytes() == (
        tmp_path / "other" / "results" / "walk.npy"
    ).read_bytes()


def test_without_any_checkpoint_that_can_be_read_the_run_is_refused(tmp_path: Path) -> None:
    run = tmp_path / "run"
    interrupted(run, 3)
    for path in (run / "checkpoints").iterdir():
        path.write_bytes(b"")
    with pytest.raises(BlushError, match="None of the checkpoints"):
        list(resume(run, JOBS))


def test_a_checkpoint_without_its_line_does_not_count(tmp_path: Path) -> None:
    run = tmp_path / "run"
    interrupted(run, 2)
    lines = (run / "events.jsonl").read_bytes().splitlines(keepends=True)
    (run / "events.jsonl").write_bytes(b"".join(lines[:-1]))
    assert (run / "checkpoints" / "it000002.safetensors").exists()
    events = list(resume(run, JOBS))
    assert isinstance(events[0], Started)
    assert events[0].resumed_from_iteration == 1
    assert sorted(read_run(run).summary.iterations) == [1, 2, 3, 4]


def test_a_moved_run_resumes_where_it_lies_now(tmp_path: Path) -> None:
    interrupted(tmp_path / "run")
    (tmp_path / "elsewhere").mkdir()
    moved = (tmp_path / "run").rename(tmp_path / "elsewhere" / "moved")
    list(resume(moved, JOBS))
    reader = read_run(moved)
    assert reader.life() == "finished"
    for record in reader.summary.iterations.values():
        assert reader.files(record)["position"].is_relative_to(moved)
