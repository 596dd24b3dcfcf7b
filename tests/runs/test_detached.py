"""Workers that outlive who started them, and are ended with all that they started."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from toy_job import ToyParameters

from blushcore.protocol import BlushError
from blushcore.runs import (
    RunDirectory,
    RunReader,
    create_run,
    find_worker,
    read_run,
    send_command,
    start_detached,
)

pytestmark = pytest.mark.skipif(os.name == "nt", reason="process groups are POSIX")

HERE = Path(__file__).parent
COMMAND = (sys.executable, str(HERE / "toy_cli.py"))


def until(condition: Callable[[], Any], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)


@pytest.fixture
def run(tmp_path: Path) -> Any:
    directory = create_run(tmp_path / "run", "toy", ToyParameters(walk="far", iterations=1, seconds=60))
    yield directory
    if (worker := find_worker(directory.path)) is not None:
        worker.end(stop_seconds=0)


def test_a_worker_leads_a_session_of_its_own_and_is_found_by_its_lock(run: RunDirectory) -> None:
    assert find_worker(run.path) is None
    worker = start_detached(run.path, command=COMMAND)
    assert os.getsid(worker.pid) == worker.pid != os.getsid(0)
    found = find_worker(run.path)
    assert found is not None
    assert found.holder == worker.holder
    assert found.holder.leads_group
    assert read_run(run.path).life() == "running"


def test_a_worker_gives_way_and_leaves_threads_to_others(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    note = run.path.parent / "niceness at first"
    program = (
        f"import os, sys; open({str(note)!r}, 'w').write(str(os.nice(0)));"
        "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    )
    command = (sys.executable, "-c", program, *COMMAND[1:])
    here = os.getpriority(os.PRIO_PROCESS, 0)
    worker = start_detached(run.path, command=command, niceness=3, threads=1)
    threads = psutil.Process(worker.pid).threads()
    assert {os.getpriority(os.PRIO_PROCESS, thread.id) for thread in threads} == {min(19, here + 3)}
    assert int(note.read_text()) == here  # it begins as quickly as it can
    assert psutil.Process(worker.pid).environ()["OMP_NUM_THREADS"] == "1"
    worker.end(stop_seconds=0)
    worker = start_detached(run.path, command=COMMAND)
    assert os.getpriority(os.PRIO_PROCESS, worker.pid) == os.getpriority(os.PRIO_PROCESS, 0)
    assert "OMP_NUM_THREADS" not in psutil.Process(worker.pid).environ()


def test_a_worker_outlives_who_started_it(run: RunDirectory) -> None:
    program = (
        "from blushcore.runs import start_detached; from pathlib import Path;"
        f"print(start_detached(Path({str(run.path)!r}), command={COMMAND!r}).pid)"
    )
    starter = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert starter.returncode == 0, starter.stderr
    worker = find_worker(run.path)
    assert worker is not None
    assert worker.pid == int(starter.stdout)
    assert psutil.Process(worker.pid).ppid() != os.getpid()


def test_a_worker_that_is_told_to_stop_says_so(run: RunDirectory) -> None:
    worker = start_detached(run.path, command=COMMAND)
    until(lambda: read_run(run.path).summary.last)
    assert worker.end() is True
    assert not worker.is_alive()
    assert find_worker(run.path) is None
    assert read_run(run.path).life() == "stopped"
    assert "stopping" in run.worker_stderr.read_text()


def test_a_worker_that_hangs_is_ended_with_its_children(run: RunDirectory) -> None:
    # A worker that does not listen, and has started a process of its own.
    program = (
        "import subprocess, time, signal, sys; from pathlib import Path;"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "from blushcore.runs.lock import RunLock; from blushcore.runs import RunDirectory;"
        "lock = RunLock(RunDirectory(Path(sys.argv[2]))).__enter__();"
        "subprocess.Popen(['sleep', '60']); time.sleep(60)"
    )
    worker = start_detached(run.path, command=(sys.executable, "-c", program))
    until(lambda: psutil.Process(worker.pid).children())
    (child,) = psutil.Process(worker.pid).children()
    assert worker.end(stop_seconds=0.3) is False
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
    assert not worker.is_alive()
    assert read_run(run.path).life() == "dead"
    assert find_worker(run.path) is None


def test_a_worker_is_steered_through_the_directory(run: RunDirectory) -> None:
    worker = start_detached(run.path, command=COMMAND)
    send_command(run.path, "stop_now")
    until(lambda: not worker.is_alive())
    assert read_run(run.path).life() == "stopped"


def test_a_worker_is_resumed_by_another(tmp_path: Path) -> None:
    run = create_run(tmp_path / "run", "toy", ToyParameters(walk="far", iterations=3, seconds=0.3))
    worker = start_detached(run.path, command=COMMAND)
    until(lambda: read_run(run.path).summary.iterations)
    assert worker.end(stop_seconds=0) is False
    assert read_run(run.path).life() == "dead"
    start_detached(run.path, command=COMMAND)
    reader = RunReader(run.path)
    until(lambda: reader.poll() is not None and reader.life() == "finished")
    assert reader.summary.attempt == 2


def test_a_worker_that_cannot_begin_gives_its_last_words(run: RunDirectory, tmp_path: Path) -> None:
    program = "import sys; print('blush: this is a bad day', file=sys.stderr); sys.exit(1)"
    with pytest.raises(BlushError, match=r"ended at once \(exit code 1\): this is a bad day"):
        start_detached(run.path, command=(sys.executable, "-c", program))
    program = "from blushcore.protocol import BlushError; raise BlushError('The disk is away.')"
    with pytest.raises(BlushError, match=r"\(exit code 1\): The disk is away\."):
        start_detached(run.path, command=(sys.executable, "-c", program))
    with pytest.raises(BlushError, match="not a run directory"):
        start_detached(tmp_path / "nothing", command=COMMAND)
    with pytest.raises(BlushError, match=r"did not begin within 0 s"):
        start_detached(run.path, command=("sleep", "60", "#"), start_seconds=0.0)


def test_the_first_worker_stays_when_a_second_is_started(run: RunDirectory) -> None:
    worker = start_detached(run.path, command=COMMAND)
    with pytest.raises(BlushError, match=rf"is being written by process {worker.pid}"):
        start_detached(run.path, command=COMMAND)
    assert worker.is_alive()
