"""Each command is obeyed once, answered by its id, and never a surprise later."""

from __future__ import annotations

import json
import time
import uuid
from pathlib import Path

import pytest
from toy_job import TOY, ToyParameters

from blushcore.protocol import Acknowledged, BlushError, Finished
from blushcore.runs import RunDirectory, create_run, read_run, resume, run_job, send_command
from blushcore.runs import commands as module
from blushcore.runs.commands import CommandInbox

JOBS = {"toy": TOY}


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return create_run(tmp_path / "run", "toy", ToyParameters(walk="x"))


@pytest.fixture(autouse=True)
def _look_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.0)


def test_commands_are_handed_out_once_oldest_first(run: RunDirectory) -> None:
    inbox = CommandInbox(run, (), 1)
    ids = [send_command(run.path, action) for action in ("pause", "resume", "pause", "stop_now")]
    assert [command.id for command in inbox()] == ids
    assert list(inbox()) == []


def test_what_was_answered_is_not_handed_out_again(run: RunDirectory) -> None:
    first, second = (send_command(run.path, "change", {"step_size": n}) for n in (1, 2))
    inbox = CommandInbox(run, {first}, 2)
    inbox.remove_settled()
    assert [command.id for command in inbox()] == [second]
    assert [path.stem for path in run.commands.iterdir()] == [second]
    inbox.settle(Acknowledged(command_id=second, action="change", accepted=True))
    assert not list(run.commands.iterdir())


def test_an_id_from_elsewhere_removes_no_file(run: RunDirectory) -> None:
    inbox = CommandInbox(run, {"../params"}, 1)
    inbox.remove_settled()
    inbox.settle(Acknowledged(command_id="../params", action="pause", accepted=True))
    assert run.description.exists()


def test_unknown_commands_are_not_sent(run: RunDirectory, tmp_path: Path) -> None:
    with pytest.raises(BlushError, match=r"Unknown command 'sing'.*Known are pause"):
        send_command(run.path, "sing")
    with pytest.raises(BlushError, match="not a run directory"):
        send_command(tmp_path, "pause")
    assert not list(run.commands.iterdir())


def test_a_file_that_cannot_be_read_is_waited_for_then_refused(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = CommandInbox(run, (), 1)
    (run.commands / "half.json").write_text('{"id": "ha')
    assert list(inbox()) == []
    monkeypatch.setattr(module, "UNREADABLE_SECONDS", 0.0)
    (command,) = inbox()
    assert command.id == "half"
    assert "cannot be read" in command.refusal


def test_a_file_that_becomes_whole_is_obeyed(run: RunDirectory) -> None:
    inbox = CommandInbox(run, (), 1)
    content = json.dumps({"id": "late", "action": "pause", "changes": {}, "sent": 0.0})
    (run.commands / "late.json").write_text(content[:9])
    assert list(inbox()) == []
    (run.commands / "late.json").write_text(content)
    assert [command.action for command in inbox()] == ["pause"]


def interrupted(directory: Path) -> None:
    """A run that died after its first iteration."""
    stream = run_job(TOY, ToyParameters(walk="x", seconds=0.15), directory)
    while next(stream).kind != "iteration_done":
        pass
    stream.close()


def test_a_stop_that_came_too_late_does_not_stop_the_next_attempt(tmp_path: Path) -> None:
    interrupted(tmp_path)
    stop = send_command(tmp_path, "stop_now")
    change = send_command(tmp_path, "change", {"step_size": 5})
    events = list(resume(tmp_path, JOBS))
    answers = {event.command_id: event for event in events if isinstance(event, Acknowledged)}
    assert not answers[stop].accepted
    assert "earlier attempt" in answers[stop].text
    assert answers[change].accepted
    assert isinstance(events[-1], Finished)
    assert events[-1].outcome == "done"
    assert events[-1].figures["step_size"] == 5.0


def test_a_command_is_obeyed_once_also_if_its_file_outlives_the_answer(tmp_path: Path) -> None:
    interrupted(tmp_path)
    command = send_command(tmp_path, "change", {"step_size": 5})
    content = (tmp_path / "commands" / f"{command}.json").read_bytes()
    stream = resume(tmp_path, JOBS)
    for event in stream:
        if isinstance(event, Acknowledged):
            break
    stream.close()
    # As if the process had died between the line and the removal; meanwhile the user changed it again.
    (tmp_path / "commands" / f"{command}.json").write_bytes(content)
    second = send_command(tmp_path, "change", {"step_size": 7})
    events = list(resume(tmp_path, JOBS))
    assert [event.command_id for event in events if isinstance(event, Acknowledged)] == [second]
    assert read_run(tmp_path).summary.parameters["step_size"] == 7.0


def test_a_change_holds_across_resume(tmp_path: Path) -> None:
    interrupted(tmp_path)
    send_command(tmp_path, "change", {"step_size": 5})
    stream = resume(tmp_path, JOBS)
    for event in stream:
        if isinstance(event, Acknowledged):
            break
    stream.close()
    last = list(resume(tmp_path, JOBS))[-1]
    assert isinstance(last, Finished)
    assert last.figures["step_size"] == 5.0


def test_a_command_in_the_making_of_another_program_is_left_alone(tmp_path: Path) -> None:
    interrupted(tmp_path)
    half = tmp_path / "commands" / f".blush-tmp-{uuid.uuid4().hex}-x.json"
    half.write_text("{")
    list(resume(tmp_path, JOBS))
    assert half.exists()
    assert time.time() - half.stat().st_mtime < 60
