"""``blush watch``: any run, live or later."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from toy_job import TOY, ToyParameters

from blushcore.cli.app import main
from blushcore.protocol import BlushError
from blushcore.runs import create_run, find_worker, run_job, start_detached

TOY_CLI = Path(__file__).resolve().parent.parent / "runs" / "toy_cli.py"
COMMAND = (sys.executable, str(TOY_CLI))


def watch(*words: object) -> int:
    return main(["watch", *map(str, words)])


def test_a_finished_run_is_told_in_short_and_is_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    list(run_job(TOY, ToyParameters(walk="x", iterations=20), tmp_path))
    assert watch(tmp_path) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"toy in {tmp_path} on cpu"
    assert lines[1] == "(13 earlier events)"
    assert lines[2].startswith("iteration 13: distance")
    assert lines[-2].startswith("done: distance")
    assert lines[-1] == "finished"


def test_a_failed_run_is_told_with_its_reason_and_is_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(BlushError):
        list(run_job(TOY, ToyParameters(walk="x", trouble="blush"), tmp_path))
    assert watch(tmp_path) == 1
    err = capsys.readouterr().err
    assert "failed: The walk has lost its way. Give it a map." in err
    assert err.splitlines()[-1].startswith("failed; once the cause is mended")


def test_a_stopped_run_is_130(tmp_path: Path) -> None:
    stream = run_job(TOY, ToyParameters(walk="x"), tmp_path)
    next(stream)
    stream.close()
    assert watch(tmp_path) == 130
    assert watch(tmp_path, "--once") == 0


def test_once_shows_how_it_stands_and_returns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    create_run(tmp_path / "run", "toy", ToyParameters(walk="x"))
    assert watch(tmp_path / "run", "--once") == 0
    assert capsys.readouterr().err.splitlines()[-1] == "waiting: no worker has begun it"


def test_json_gives_every_event_and_the_state(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    list(run_job(TOY, ToyParameters(walk="x"), tmp_path))
    assert watch(tmp_path, "--json") == 0
    captured = capsys.readouterr()
    values = [json.loads(line) for line in captured.out.splitlines()]
    recorded = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert values == [*recorded, {"kind": "life", "life": "finished"}]
    assert captured.err == ""


def test_a_live_run_is_followed_to_its_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    create_run(tmp_path / "run", "toy", ToyParameters(walk="x", seconds=0.3))
    start_detached(tmp_path / "run", command=COMMAND)
    assert watch(tmp_path / "run") == 0
    lines = capsys.readouterr().err.splitlines()
    assert "running" in lines
    assert sum(line.startswith("iteration ") for line in lines) == 4
    assert lines[-1] == "finished"


def test_a_killed_worker_is_noticed_and_is_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    create_run(tmp_path / "run", "toy", ToyParameters(walk="x", seconds=60))
    worker = start_detached(tmp_path / "run", command=COMMAND)
    watching = subprocess.Popen(
        [*COMMAND, "watch", str(tmp_path / "run")],
        stderr=subprocess.PIPE,
        text=True,
        # Tests started in the background ignore Ctrl-C, and so would what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert watching.stderr is not None
    while "running" not in watching.stderr.readline():
        pass
    worker.end(stop_seconds=0)
    assert watching.wait(20) == 1
    assert watching.stderr.read().splitlines()[-1].startswith("dead: its process ended without a word")
    watching.stderr.close()


def test_ctrl_c_ends_only_the_watching(tmp_path: Path) -> None:
    create_run(tmp_path / "run", "toy", ToyParameters(walk="x", seconds=60))
    worker = start_detached(tmp_path / "run", command=COMMAND)
    watching = subprocess.Popen(
        [*COMMAND, "watch", str(tmp_path / "run")],
        stderr=subprocess.PIPE,
        text=True,
        # Tests started in the background ignore Ctrl-C, and so would what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert watching.stderr is not None
    while "running" not in watching.stderr.readline():
        pass
    watching.send_signal(signal.SIGINT)
    assert watching.wait(20) == 130
    assert "no longer watching; the run itself is not affected" in watching.stderr.read()
    watching.stderr.close()
    assert worker.is_alive()
    assert worker.end() is True
    assert find_worker(tmp_path / "run") is None


def test_a_directory_that_vanishes_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    create_run(tmp_path / "run", "toy", ToyParameters(walk="x"))
    monkeypatch.setattr("blushcore.runs.reader.FILE_PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(time, "sleep", lambda _: shutil.rmtree(tmp_path / "run", ignore_errors=True))
    assert watch(tmp_path / "run") == 1
    err = capsys.readouterr().err
    assert "unreachable: the run directory is not there" in err
    assert "is not there any more. Has it been moved or deleted?" in err
