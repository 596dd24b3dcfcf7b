"""Waiting for batches of a training, and how much of it is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from blushcore.jobs.finetune.parameters import FinetuneParameters
from blushcore.jobs.train import steps
from blushcore.jobs.train.steps import StepTime, fraction_done, next_batch, seconds_left
from blushcore.protocol import BlushError, Command, Control, Stopped

BATCH = object()


class Stream:
    """Hands out what it is told to, one thing a look; raises what is an error."""

    def __init__(self, *looks: object) -> None:
        self._looks = list(looks)

    def take(self, _seconds: float) -> object:
        found = self._looks.pop(0)
        if isinstance(found, Exception):
            raise found
        return found


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr("blushcore.protocol.control._POLL_SECONDS", 0.0)
    monkeypatch.setattr(steps, "_POLL_SECONDS", 0.0)


def waited_for(stream: Stream, control: Control) -> tuple[object, float]:
    waiting = next_batch(stream, control)
    while True:
        try:
            next(waiting)
        except StopIteration as end:
            return end.value


def test_a_batch_is_waited_for():
    batch, seconds = waited_for(Stream(None, None, BATCH), Control())
    assert batch is BATCH
    assert seconds >= 0


def test_who_is_told_to_stop_while_workers_die_stops():
    died = BlushError("A worker was killed.")
    with pytest.raises(BlushError, match="A worker was killed"):
        waited_for(Stream(died), Control())
    waiting = [Command(id="1", action="stop_now")]
    with pytest.raises(Stopped):
        waited_for(Stream(died), Control(lambda: [waiting.pop()] if waiting else []))


def test_a_training_is_done_by_its_steps_or_by_its_time():
    assert fraction_done(5, 20, 600.0, None) == 0.25
    assert fraction_done(5, 20, 600.0, 20.0) == 0.5
    assert fraction_done(15, 20, 600.0, 20.0) == 0.75


def test_it_goes_on_to_its_last_step_or_to_the_end_of_its_time():
    assert seconds_left(5, 20, 2.0, 600.0, None) == 30
    assert seconds_left(5, 20, 2.0, 600.0, 10.25) == 15
    assert seconds_left(5, 20, 2.0, 630.0, 10.0) == 0


@pytest.mark.parametrize("weights", [None, "v2", "/else/where.safetensors", "here.safetensors"])
def test_weights_in_a_file_are_found_from_anywhere(weights):
    params = FinetuneParameters(half1="a.mrc", half2="b.mrc", weights=weights).with_absolute_paths()
    expected = str(Path(weights).absolute()) if weights and "." in weights else weights
    assert params.weights == expected


def test_the_time_of_a_step_forgets_the_first_and_follows_the_pace():
    time = StepTime()
    time.add(15.0)
    assert time.mean == 15
    for seconds in (1.0, 1.2, 0.8, 1.0):
        time.add(seconds)
    assert time.mean == pytest.approx(1.0)
    for _ in range(200):
        time.add(3.0)
    assert time.mean == pytest.approx(3.0, rel=0.02)
