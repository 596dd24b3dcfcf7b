"""Computations that listen to commands meanwhile."""

from __future__ import annotations

import threading
import time

import pytest

from blushcore.jobs.expectation_maximisation.background import Background
from blushcore.protocol import Acknowledged, Command, Control, Stopped


def finished(stream) -> tuple[list, object]:
    events = []
    while True:
        try:
            events.append(next(stream))
        except StopIteration as end:
            return events, end.value


def test_the_value_comes_back():
    assert finished(Background().run(lambda: 7, Control())) == ([], 7)


def test_an_error_comes_back():
    def fail():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        finished(Background().run(fail, Control()))


def test_a_stop_is_heard_long_before_the_end():
    go_on = threading.Event()
    commands = [Command(id="1", action="stop_now")]
    control = Control(lambda: [commands.pop()] if commands else [])
    began = time.monotonic()
    stream = Background().run(lambda: go_on.wait(30), control)
    assert isinstance(next(stream), Acknowledged)
    with pytest.raises(Stopped):
        next(stream)
    assert time.monotonic() - began < 1.0
    go_on.set()
