"""Whether a run lives is seen from outside, whatever became of its process."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from toy_job import TOY, ToyParameters

from blushcore.protocol import BlushError
from blushcore.runs import RunDirectory, RunReader, create_run, resume, run_job
from blushcore.runs.heartbeat import Heartbeat, Pulse
from blushcore.runs.life import LifeJudge
from blushcore.runs.process import ProcessIdentity, this_machine


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)


def test_a_life_from_beginning_to_a_violent_end(
    tmp_path: Path, spawn: Callable[..., subprocess.Popen[str]]
) -> None:
    run = create_run(tmp_path / "run", "toy", ToyParameters(walk="x", seconds=60))
    reader = RunReader(run.path)
    judge = LifeJudge(run, silence_seconds=3)
    assert reader.life() == "waiting"
    process = spawn("resume", run.path)
    until(lambda: bool(reader.poll()))
    assert judge.look(reader.summary) == "running"
    os.kill(process.pid, signal.SIGSTOP)
    until(lambda: judge.look(reader.summary) == "silent")
    os.kill(process.pid, signal.SIGCONT)
    until(lambda: judge.look(reader.summary) == "running")
    process.kill()
    process.wait()
    assert judge.look(reader.summary) == "dead"


def test_a_worker_that_could_not_write_its_first_event_is_dead(tmp_path: Path) -> None:
    run = create_run(tmp_path / "run", "toy", ToyParameters(walk="x"))
    run.events.mkdir()  # as good as a full disk
    with pytest.raises(BlushError):
        list(resume(run.path, {"toy": TOY}))
    assert RunReader(run.path).life() == "dead"


def test_the_ways_to_end(tmp_path: Path) -> None:
    list(run_job(TOY, ToyParameters(walk="x"), tmp_path / "finished"))
    with pytest.raises(BlushError):
        list(run_job(TOY, ToyParameters(walk="x", trouble="blush"), tmp_path / "failed"))
    stream = run_job(TOY, ToyParameters(walk="x"), tmp_path / "stopped")
    next(stream)
    stream.close()
    for life in ("finished", "failed", "stopped"):
        reader = RunReader(tmp_path / life)
        reader.poll()
        assert reader.life() == life


def test_the_heartbeat_advances_and_is_never_seen_torn(tmp_path: Path) -> None:
    import json

    beats = []
    with Heartbeat(tmp_path / "beat", "me", beat_seconds=0.01):
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            beats.append(json.loads((tmp_path / "beat").read_text())["counter"])
    assert beats == sorted(beats)
    assert len(set(beats)) > 10


def test_a_heartbeat_survives_a_disk_that_is_away_for_a_while(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    pulse = Pulse(folder / "beat", silence_seconds=0.5)
    with Heartbeat(folder / "beat", "me", beat_seconds=0.05):
        assert pulse.look()
        folder.rename(tmp_path / "away")
        until(lambda: not pulse.look())
        (tmp_path / "away").rename(folder)
        until(pulse.look)


def test_the_first_look_trusts_the_files_age(tmp_path: Path) -> None:
    (tmp_path / "beat").write_text("1")
    assert Pulse(tmp_path / "beat").look()
    long_ago = time.time() - 3600
    os.utime(tmp_path / "beat", (long_ago, long_ago))
    assert not Pulse(tmp_path / "beat").look()
    assert not Pulse(tmp_path / "nothing").look()


def test_a_process_is_known_by_its_start_too() -> None:
    mine = ProcessIdentity.mine()
    assert mine.is_alive() is True
    assert ProcessIdentity(mine.host, mine.machine, mine.pid, mine.start - 100).is_alive() is False
    assert ProcessIdentity(mine.host, "elsewhere", mine.pid, mine.start).is_alive() is None
    assert ProcessIdentity.of(2**22 + 1) is None
    assert this_machine() == mine.machine


def test_where_there_is_no_proc_psutil_tells_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    process = subprocess.Popen(["sleep", "30"])
    try:
        identity = ProcessIdentity.of(process.pid)
        assert identity is not None
        assert abs(identity.start - time.time()) < 60
        this_machine.cache_clear()
        assert ProcessIdentity.mine().is_alive() is True
        process.kill()
        until(lambda: ProcessIdentity.of(process.pid) is None)  # a zombie now
    finally:
        process.kill()
        process.wait()
        this_machine.cache_clear()
    assert ProcessIdentity.of(process.pid) is None


def test_judging_leaves_nothing_behind(tmp_path: Path) -> None:
    run = create_run(tmp_path / "run", "toy", ToyParameters(walk="x"))
    before = sorted(run.path.rglob("*"))
    threads = threading.active_count()
    RunReader(RunDirectory(run.path).path).life()
    assert sorted(run.path.rglob("*")) == before
    assert threading.active_count() == threads
