"""One writer, on however many hosts."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest
from toy_job import TOY, ToyParameters

from blushcore.protocol import BlushError
from blushcore.runs import RunDirectory, create_run, read_run, resume, run_job
from blushcore.runs.files import create_whole
from blushcore.runs.heartbeat import Heartbeat
from blushcore.runs.lock import LockHolder, RunLock, read_lock
from blushcore.runs.process import ProcessIdentity

PARAMETERS = ToyParameters(walk="locked", seconds=0.2)


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return create_run(tmp_path / "run", "toy", PARAMETERS)


def put_lock(run: RunDirectory, **changes: object) -> LockHolder:
    mine = LockHolder.mine()
    holder = replace(mine, process=replace(mine.process, **changes))
    run.lock.write_text(json.dumps(asdict(holder)))
    return holder


def test_a_second_writer_in_this_process_is_refused(run: RunDirectory) -> None:
    with RunLock(run) as first:
        with (
            pytest.raises(BlushError, match=rf"is being written by process {os.getpid()} on this machine"),
            RunLock(run),
        ):
            pass
        first.check()
    assert not run.lock.exists()


def test_a_second_writer_in_another_process_is_refused(
    tmp_path: Path, spawn: Callable[..., subprocess.Popen[str]]
) -> None:
    process = spawn("toy", "first", "-o", tmp_path / "run", "--seconds", 60)
    while not (tmp_path / "run" / "events.jsonl").exists():
        time.sleep(0.02)
    before = (tmp_path / "run" / "params.json").read_bytes()
    with pytest.raises(BlushError, match=f"is being written by process {process.pid}"):
        next(resume(tmp_path / "run", {"toy": TOY}))
    with pytest.raises(BlushError, match="holds a run already"):
        next(run_job(TOY, PARAMETERS, tmp_path / "run"))
    assert process.poll() is None
    assert (tmp_path / "run" / "params.json").read_bytes() == before
    assert read_run(tmp_path / "run").life() == "running"


def test_the_lock_of_a_dead_process_is_taken_over(run: RunDirectory) -> None:
    process = subprocess.Popen(["sleep", "30"])
    identity = ProcessIdentity.of(process.pid)
    assert identity is not None
    process.kill()
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert identity.is_alive() is False  # nobody has waited for it yet: its remains do not count as life
    process.wait()
    put_lock(run, pid=identity.pid, start=identity.start)
    with RunLock(run) as lock:
        holder = read_lock(run.lock)
        assert holder is not None
        assert holder.nonce == lock.holder.nonce
    assert not list(run.path.glob("run.lock*"))


def test_a_process_id_that_came_round_again_is_not_the_holder(run: RunDirectory) -> None:
    put_lock(run, start=1.0)  # our own id, another start
    with RunLock(run):
        pass


def test_another_host_is_judged_by_its_heartbeat(run: RunDirectory) -> None:
    put_lock(run, machine="elsewhere", host="node7")
    with (
        Heartbeat(run.heartbeat, "x", beat_seconds=0.2),
        pytest.raises(BlushError, match=r"written by process \d+ on node7"),
        RunLock(run, patience_seconds=5),
    ):
        pass
    begin = time.monotonic()
    with RunLock(run, patience_seconds=0.6):
        assert time.monotonic() - begin >= 0.6
    assert not run.lock.exists()


def test_a_lock_that_says_nothing_is_judged_by_the_heartbeat(run: RunDirectory) -> None:
    run.lock.write_bytes(b"")
    with (
        Heartbeat(run.heartbeat, "x", beat_seconds=0.2),
        pytest.raises(BlushError, match="written by another process"),
        RunLock(run, patience_seconds=5),
    ):
        pass
    with RunLock(run, patience_seconds=0.3) as lock:
        lock.check()


def test_who_was_taken_over_writes_nothing_more(run: RunDirectory) -> None:
    stream = resume(run.path, {"toy": TOY})
    next(stream)
    put_lock(run, machine="elsewhere")
    before = run.events.read_bytes()
    with pytest.raises(BlushError, match="taken over by another process"):
        list(stream)
    assert run.events.read_bytes() == before
    holder = read_lock(run.lock)
    assert holder is not None
    assert holder.process.machine == "elsewhere"  # and the other's lock stays


def compete(run: RunDirectory, processes: int) -> tuple[int, int]:
    """Let so many try for the lock at once; return how many held it and how many were refused."""
    inside: list[RunLock] = []
    refused: list[BlushError] = []
    barrier, leave = threading.Barrier(processes), threading.Event()

    def one() -> None:
        barrier.wait()
        try:
            with RunLock(run) as lock:
                inside.append(lock)
                leave.wait()
                lock.check()
        except BlushError as error:
            refused.append(error)

    threads = [threading.Thread(target=one) for _ in range(processes)]
    for thread in threads:
        thread.start()
    while len(inside) + len(refused) < processes:
        time.sleep(0.001)
    leave.set()
    for thread in threads:
        thread.join()
    return len(inside), len(refused)


def test_of_many_that_find_a_dead_lock_one_takes_it(run: RunDirectory) -> None:
    for _ in range(20):
        put_lock(run, pid=2**22 + 1)
        assert compete(run, 6) == (1, 5)
        assert not list(run.path.glob("run.lock*"))


def test_without_hard_links_creation_is_still_exclusive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    assert create_whole(tmp_path / "lock", b"first")
    assert not create_whole(tmp_path / "lock", b"second")
    assert (tmp_path / "lock").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]
