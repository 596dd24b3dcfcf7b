"""Commands to a job: each is answered, and obeyed as far as it can be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from blushcore.protocol import Acknowledged, BlushError, Command, Control, Event, Stopped
from blushcore.protocol import control as module


def listen(commands: Iterable[Command], **options: Any) -> tuple[Control, list[Event]]:
    """A control that hears one command a look, and the events of enough looks."""
    waiting = iter([[command] for command in commands])
    control = Control(lambda: next(waiting, []), **options)
    events: list[Event] = []
    module_poll, module._POLL_SECONDS = module._POLL_SECONDS, 0.0
    try:
        for _ in range(6):
            events.extend(control.obey())
    finally:
        module._POLL_SECONDS = module_poll
    return control, events


def kinds(events: list[Event]) -> list[str]:
    return [event.kind for event in events]


def test_pause_holds_still_until_resume() -> None:
    _, events = listen([Command(id="1", action="pause"), Command(id="2", action="resume")])
    assert kinds(events) == ["acknowledged", "paused", "acknowledged", "resumed"]


def test_what_changes_nothing_is_refused_with_the_reason() -> None:
    _, events = listen([Command(id="1", action="resume")])
    assert events == [Acknowledged(command_id="1", action="resume", accepted=False, text="not paused")]


def test_stop_now_is_answered_then_raised_even_while_paused() -> None:
    commands = iter([[Command(id="1", action="pause")], [Command(id="2", action="stop_now")]])
    events: list[Event] = []
    with pytest.raises(Stopped):
        events.extend(Control(lambda: next(commands, [])).obey())
    assert kinds(events) == ["acknowledged", "paused", "acknowledged"]


def test_stopped_passes_handlers_of_ordinary_errors() -> None:
    assert not issubclass(Stopped, Exception)


def test_stop_after_iteration_is_remembered() -> None:
    control, events = listen([Command(id="1", action="stop_after_iteration")])
    assert control.stop_after_iteration
    assert kinds(events) == ["acknowledged"]


def test_changes_are_validated_merged_and_taken_once() -> None:
    def validate(changes: Mapping[str, Any]) -> Mapping[str, Any]:
        if "bad" in changes:
            raise BlushError("That is bad.")
        return {name: float(value) for name, value in changes.items()}

    commands = [
        Command(id="1", action="change", changes={"a": 1, "b": 2}),
        Command(id="2", action="change", changes={"bad": 1}),
        Command(id="3", action="change", changes={"b": 3}),
    ]
    control, events = listen(commands, validate=validate)
    assert [event.accepted for event in events if isinstance(event, Acknowledged)] == [True, False, True]
    assert control.take_changes() == {"a": 1.0, "b": 3.0}
    assert control.take_changes() == {}


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (Command(id="1", action="change", changes={"a": 1}), "takes no changes"),
        (Command(id="1", action="sing"), "unknown command 'sing'"),
        (Command(id="1", action="stop_now", refusal="too late"), "too late"),
    ],
)
def test_a_refusal_says_why_and_does_nothing(command: Command, reason: str) -> None:
    control, events = listen([command])
    (event,) = events
    assert isinstance(event, Acknowledged)
    assert not event.accepted
    assert reason in event.text
    assert control.take_changes() == {}


def test_obey_is_cheap_in_an_inner_loop() -> None:
    looks = []
    control = Control(lambda: looks.append(1) or [])  # type: ignore[func-returns-value]
    for _ in range(1000):
        list(control.obey())
    assert len(looks) == 1
