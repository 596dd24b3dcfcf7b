"""A job in a terminal: what is shown where, and what Ctrl-C does."""

from __future__ import annotations

import io
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from toy_cli import TOY_COMMANDS
from toy_job import TOY, ToyParameters

from blushcore.cli.app import main
from blushcore.cli.durations import duration
from blushcore.cli.event_lines import describe
from blushcore.cli.terminal import PlainView
from blushcore.protocol import Acknowledged, Failed, Finished, IterationDone, Message, Progress, Started
from blushcore.runs import create_run, read_run, run_job, send_command

TOY_CLI = Path(__file__).resolve().parent.parent / "runs" / "toy_cli.py"


@pytest.fixture
def blush() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started = []

    def start(*words: object, **options: Any) -> subprocess.Popen[str]:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        process = subprocess.Popen([sys.executable, str(TOY_CLI), *map(str, words)], text=True, **pipes)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def until(condition: Callable[[], Any], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


def started(run: Path) -> Callable[[], bool]:
    return lambda: (run / "events.jsonl").exists() and b"progress" in (run / "events.jsonl").read_bytes()


def test_without_a_terminal_there_are_plain_lines_on_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["toy", "here", "-o", str(tmp_path / "run")], commands=TOY_COMMANDS) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert lines[0] == "toy starts on cpu"
    assert lines[1].startswith("iteration 1: distance 0.")
    assert lines[-1].startswith("done: distance 1.")
    assert "\x1b" not in captured.err


def test_json_is_quiet_and_gives_the_outcome(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["toy", "here", "-o", str(tmp_path / "run"), "--json"], commands=TOY_COMMANDS) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    result = json.loads(captured.out)
    assert result["outcome"] == "done"
    assert result["files"] == {"position": "results/walk.npy"}
    assert result["figures"]["step_size"] == 1.0


def test_json_of_a_failure_gives_the_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["toy", "here", "-o", str(tmp_path / "run"), "--json", "--trouble", "blush"]
    assert main(words, commands=TOY_COMMANDS) == 1
    captured = capsys.readouterr()
    assert captured.err == "blush: The walk has lost its way. Give it a map.\n"
    assert json.loads(captured.out) == {
        "outcome": "failed",
        "problem": "The walk has lost its way.",
        "remedy": "Give it a map.",
        "warnings": [],
    }


def test_a_refused_directory_is_1_and_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    list(run_job(TOY, ToyParameters(walk="x"), tmp_path / "run"))
    assert main(["toy", "here", "-o", str(tmp_path / "run")], commands=TOY_COMMANDS) == 1
    assert "holds a run already" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
def test_on_a_terminal_there_is_a_bar_with_the_time_left(
    tmp_path: Path, blush: Callable[..., subprocess.Popen[str]]
) -> None:
    import pty

    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    process = blush("toy", "here", "-o", tmp_path / "run", "--seconds", "0.4", stderr=theirs, env=environment)
    os.close(theirs)
    seen = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # how a pseudo-terminal ends on Linux
            break
        if not piece:
            break
        seen += piece
    os.close(ours)
    assert process.wait(20) == 0
    text = seen.decode()
    assert "━" in text
    assert "2 of 4 iterations" in text
    assert "0:00:0" in text
    assert " left" in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h")  # the cursor is back


def test_ctrl_c_once_stops_cleanly(tmp_path: Path, blush: Callable[..., subprocess.Popen[str]]) -> None:
    run = tmp_path / "run"
    process = blush("toy", "here", "-o", run, "--seconds", 60)
    until(started(run))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "stopping; press Ctrl-C again" in err
    assert "Traceback" not in err
    reader = read_run(run)
    assert reader.life() == "stopped"
    assert reader.summary.ending is not None
    assert reader.summary.ending.event == Finished(outcome="stopped")


def test_sigterm_stops_cleanly(tmp_path: Path, blush: Callable[..., subprocess.Popen[str]]) -> None:
    run = tmp_path / "run"
    process = blush("toy", "here", "-o", run, "--seconds", 60)
    until(started(run))
    process.terminate()
    assert process.wait(10) == 130
    assert read_run(run).life() == "stopped"


def test_ctrl_c_twice_ends_at_once_and_the_run_can_be_resumed(
    tmp_path: Path, blush: Callable[..., subprocess.Popen[str]]
) -> None:
    # A job that is deaf for a minute.
    program = (
        "import sys, time; sys.path.insert(0, sys.argv[1]); from toy_job import TOY, ToyParameters;"
        "from blushcore.protocol import *; from blushcore.runs import run_job; from pathlib import Path\n"
        "def deaf(p, c, s):\n yield Started(job='toy', parameters={}); time.sleep(60)\n"
        "from blushcore.cli.terminal import run_in_terminal\n"
        "job = Job(name='toy', parameters=ToyParameters, run=deaf)\n"
        "start = lambda c: run_job(job, ToyParameters(walk='x'), Path(sys.argv[2]), commands=c)\n"
        "sys.exit(run_in_terminal(start))"
    )
    run = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(TOY_CLI.parent), str(run)], stderr=subprocess.PIPE, text=True
    )
    try:
        until(lambda: (run / "events.jsonl").exists() and (run / "events.jsonl").read_bytes().endswith(b"\n"))
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        begin = time.monotonic()
        assert process.wait(5) == -signal.SIGINT  # a shell says 130
        assert time.monotonic() - begin < 1
    finally:
        process.kill()
        process.communicate()
    assert read_run(run).life() == "dead"
    assert main(["resume", str(run)], commands=TOY_COMMANDS) == 1  # this process does not know the toy
    resumed = blush("resume", run)
    assert resumed.wait(20) == 0
    assert read_run(run).life() == "finished"


def test_a_stop_from_elsewhere_is_130(tmp_path: Path, blush: Callable[..., subprocess.Popen[str]]) -> None:
    run = tmp_path / "run"
    process = blush("toy", "here", "-o", run, "--seconds", 60)
    until(started(run))
    send_command(run, "stop_now")
    assert process.wait(10) == 130


def test_resume_detached_returns_and_the_run_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    create_run(tmp_path / "run", "toy", ToyParameters(walk="x", seconds=0.2))
    from blushcore import runs

    real = runs.start_detached
    monkeypatch.setattr(runs, "start_detached", lambda path: real(path, command=(sys.executable, str(TOY_CLI))))
    assert main(["resume", str(tmp_path / "run"), "--detach"]) == 0
    assert "runs it; follow it with: blush watch" in capsys.readouterr().out
    until(lambda: read_run(tmp_path / "run").life() == "finished")


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (Started(job="toy", parameters={}, resumed_from_iteration=3), "toy goes on from iteration 3"),
        (
            Progress(stage="walk", done=3, total=9, unit="steps", eta_seconds=3725),
            "walk: 3 of 9 steps, 1:02:05 left",
        ),
        (Progress(stage="walk", done=3, total=0), "walk: 3"),
        (Progress(stage="walk", done=9, total=9, eta_seconds=0.0), "walk: 9 of 9"),
        (Message(text="Mind the gap.", level="warning"), "warning: Mind the gap."),
        (
            IterationDone(iteration=4, figures={"loss": 0.123456, "curve": [1, 2], "box": 64}),
            "iteration 4: loss 0.1235, box 64",
        ),
        (
            Acknowledged(command_id="x", action="pause", accepted=False, text="already paused"),
            "command pause: refused, already paused",
        ),
        (Failed(problem="It broke.", remedy="Mend it."), "failed: It broke. Mend it."),
        (Finished(), "done"),
    ],
)
def test_each_event_is_one_line(event: Any, line: str) -> None:
    assert describe(event) == line


def test_lines_of_progress_get_rarer_the_longer_a_stage_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    written = io.StringIO()
    view = PlainView(Console(file=written, width=200))
    told: list[float] = []
    for second in range(0, 20_001, 5):
        now, before = float(second), written.tell()
        view.show(Progress(stage="training", done=second, total=20_000))
        told += [now] * (written.tell() > before)
    pauses = [later - earlier for earlier, later in itertools.pairwise(told)]
    assert pauses[:20] == [10.0] * 20
    assert pauses[:-1] == sorted(pauses[:-1])
    assert max(pauses) == 300
    assert told[-1] == 20_000  # a stage's end is told
    view.show(Progress(stage="another", done=0, total=1))
    assert written.getvalue().endswith("another: 0 of 1\n")


def test_durations() -> None:
    assert duration(0.4) == "0:00:00"
    assert duration(86399.6) == "24:00:00"
    assert duration(-3) == "0:00:00"
