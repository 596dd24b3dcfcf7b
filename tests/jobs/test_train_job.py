"""The training job: its events, what it keeps, and that resuming changes nothing."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from blushcore.jobs import train as module
from blushcore.jobs.train import JOB, TrainParameters, train
from blushcore.protocol import (
    BlushError,
    Command,
    Control,
    Finished,
    IterationDone,
    JobState,
    Message,
    Progress,
    Started,
    Stopped,
)
from synthetic_models import write_model_table
from tiny_training import TinyBlocks, tiny_network


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    """Steps and examples that cost nothing: what is tested here does not depend on them."""
    monkeypatch.setattr(module, "new_network", tiny_network)
    monkeypatch.setattr(module, "TrainingBlocks", TinyBlocks)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return write_model_table(tmp_path_factory.mktemp("models"), train=2, validation=1)


@pytest.fixture
def params(table) -> TrainParameters:
    return TrainParameters(
        models=table,
        steps=6,
        batch_size=1,
        warmup_steps=2,
        clean_steps=2,
        recycles=2,
        validation_blocks=1,
        report_every=2,
        checkpoint_every=1e-9,
        device="cpu",
        precision="float32",
        workers=0,
    )


def copied(state: JobState) -> JobState:
    arrays = {name: np.array(array, order="C") for name, array in state.arrays.items()}
    return JobState(arrays=arrays, values=dict(state.values))


def run(params: TrainParameters, state: JobState | None = None, control: Control | None = None) -> list:
    """All events of a training, their states copied while they are lent."""
    events = []
    for event in train(params, control or Control(), state):
        if isinstance(event, IterationDone) and event.state is not None:
            event = IterationDone(iteration=event.iteration, figures=event.figures, state=copied(event.state))
        events.append(event)
    return events


def of(kind: type, events: list) -> list:
    return [event for event in events if isinstance(event, kind)]


def commanded(*commands: tuple[int, Command]) -> tuple[Control, Callable[[], None]]:
    """A control whose commands come once so many steps are done; the second says that one more is."""
    steps = itertools.count(1)
    waiting = dict(commands)
    ready: list[Command] = []

    def one_more() -> None:
        command = waiting.pop(next(steps), None)
        if command is not None:
            ready.append(command)

    def source() -> list[Command]:
        taken = list(ready)
        ready.clear()
        return taken

    return Control(source, lambda changes: changes), one_more


@pytest.fixture
def after_step(monkeypatch):
    """Call a function after each step."""

    def install(call: Callable[[], None]) -> None:
        original = module._Training.step

        def step(self, batch):
            original(self, batch)
            call()

        monkeypatch.setattr(module._Training, "step", step)
        monkeypatch.setattr("blushcore.protocol.control._POLL_SECONDS", 0.0)

    return install


def test_the_stream_of_a_training(params):
    events = run(params)
    assert isinstance(events[0], Started)
    assert [event.iteration for event in of(IterationDone, events)] == [2, 4, 6]
    assert of(Message, events)[0].text == "Training on 2 models from step 0 on, in float32 on cpu."
    stages = [event.stage for event in of(Progress, events)]
    assert stages == ["preparing validation"] + ["training"] * 6
    figures = [event.figures for event in of(IterationDone, events)]
    assert [each["targets"] for each in figures] == ["signal", "other half", "other half"]
    assert figures[-1]["learning_rate"] < figures[1]["learning_rate"]
    assert all(each["validation_density_loss"] > 0 and each["density_loss"] > 0 for each in figures)
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert [artefact.name for artefact in finished.artefacts] == ["my-weights.safetensors"]
    assert finished.figures["density_loss"] == figures[-1]["density_loss"]


def test_resuming_equals_not_having_stopped(params):
    whole = of(IterationDone, run(params))
    resumed = run(params, state=whole[0].state)
    assert of(Started, resumed)[0].resumed_from_iteration == 2
    rest = of(IterationDone, resumed)
    assert [event.iteration for event in rest] == [4, 6]
    for expected, found in zip(whole[1:], rest, strict=True):
        for name in ("density_loss", "mask_loss", "validation_density_loss", "learning_rate"):
            assert found.figures[name] == pytest.approx(expected.figures[name], rel=1e-5)
        assert found.state.arrays.keys() == expected.state.arrays.keys()
        for name, array in expected.state.arrays.items():
            np.testing.assert_allclose(found.state.arrays[name], array, rtol=1e-5, atol=1e-8, err_msg=name)


def test_the_seed_decides(params):
    def last_weights(seed):
        return of(IterationDone, run(params.replace(seed=seed, steps=2)))[-1].state.arrays[
            "network.first.weight"
        ]

    assert np.array_equal(last_weights(1), last_weights(1))
    assert not np.array_equal(last_weights(1), last_weights(2))


def test_states_come_with_the_weights_so_far_but_not_too_often(params):
    events = list(train(params.replace(checkpoint_every=60.0), Control()))
    done = of(IterationDone, events)
    assert [event.state is not None for event in done] == [False, False, True]  # the last is always kept
    assert [len(event.artefacts) for event in done] == [0, 0, 1]
    assert done[-1].artefacts[0].role == "weights"


def test_told_to_stop_it_keeps_its_state_first(params, after_step):
    control, one_more = commanded((3, Command(id="a", action="stop_now")))
    after_step(one_more)
    events, stopped = [], False
    stream = train(params.replace(report_every=100), control)
    try:
        for event in stream:
            if isinstance(event, IterationDone):
                event = IterationDone(iteration=event.iteration, state=copied(event.state))
            events.append(event)
    except Stopped:
        stopped = True
    assert stopped
    kept = of(IterationDone, events)
    assert [event.iteration for event in kept] == [3]
    whole = of(IterationDone, run(params))[-1]
    resumed = of(IterationDone, run(params, state=kept[0].state))[-1]
    for name, array in whole.state.arrays.items():
        np.testing.assert_allclose(resumed.state.arrays[name], array, rtol=1e-5, atol=1e-8, err_msg=name)


def test_told_to_stop_after_the_iteration_it_can_be_resumed(params, after_step):
    control, one_more = commanded((1, Command(id="a", action="stop_after_iteration")))
    after_step(one_more)
    events = run(params, control=control)
    assert events[-1] == Finished(outcome="stopped")
    kept = of(IterationDone, events)
    assert [event.iteration for event in kept] == [1]
    assert of(IterationDone, run(params, state=kept[0].state))[-1].iteration == 6


def test_parameters_change_while_it_runs(params, after_step):
    control, one_more = commanded(
        (2, Command(id="a", action="change", changes={"steps": 3, "report_every": 1}))
    )
    after_step(one_more)
    events = run(params, control=control)
    assert of(IterationDone, events)[-1].iteration == 3
    assert events[-1].outcome == "done"
    assert {"steps", "time_budget", "learning_rate"} <= JOB.live_changes
    assert "models" not in JOB.live_changes


def test_a_time_budget_ends_it_and_counts_earlier_attempts(params):
    events = run(params.replace(steps=100_000, time_budget=1e-6))
    assert of(IterationDone, events)[-1].iteration == 1
    assert events[-1].outcome == "done"
    state = of(IterationDone, run(params))[0].state
    later = JobState(arrays=state.arrays, values={**state.values, "seconds": 1e6})
    assert not of(Progress, run(params.replace(time_budget=10.0, validation_blocks=0), state=later))


def test_a_training_that_was_done_but_for_its_last_line_just_ends(params):
    last = of(IterationDone, run(params))[-1]
    events = run(params, state=last.state)
    assert not of(IterationDone, events)
    assert events[-1].outcome == "done"
    assert events[-1].artefacts[0].name == "my-weights.safetensors"
    assert events[-1].figures["validation_density_loss"] == pytest.approx(
        last.figures["validation_density_loss"]
    )


def test_without_validation_blocks_no_validation_models_are_needed(params, tmp_path):
    table = write_model_table(tmp_path, train=1)
    with pytest.raises(BlushError, match="lists no validation model of up to 190 Å"):
        run(params.replace(models=table))
    events = run(params.replace(models=table, validation_blocks=0, steps=1))
    assert "validation_density_loss" not in events[-1].figures


def test_a_model_whose_file_is_missing_is_an_error(params, tmp_path):
    table = write_model_table(tmp_path, train=3, validation=1)
    for number in (1, 2):
        (tmp_path / f"bundle{number}.pdb").unlink()
    with pytest.raises(BlushError, match=r"bundle1.pdb and 1 more, listed in .*models.tsv, is not there"):
        run(params.replace(models=table))
    with pytest.raises(BlushError, match="lists no train model of up to 20 Å"):
        run(params.replace(models=table, largest_extent=20.0))


def test_unknown_weights_to_begin_with_are_refused(params):
    with pytest.raises(BlushError, match="no network weights 'no-such'"):
        run(params.replace(initial_weights="no-such"))
