"""The training job: its events, what it keeps, and that resuming changes nothing."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from blushcore.denoiser.weights import WeightsInfo, read_weights_info
from blushcore.jobs.train import session as module
from blushcore.jobs.train.example_files import PARTS, read_examples
from blushcore.jobs.train.job import JOB, train
from blushcore.jobs.train.parameters import TrainParameters
from blushcore.jobs.train.processes import own_share
from blushcore.jobs.train.sources import check_inputs, makes_on_device, pair_source
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
from blushcore.runs import RunDirectory, read_run
from blushcore.runs.checkpoints import newest_checkpoint
from blushcore.simulation.compose import USUAL
from blushcore.simulation.model_pack import read_models, write_model_pack
from blushcore.training.atom_pairs import AtomPairs
from blushcore.training.batches import BatchStream
from blushcore.volumes import Volume, write_map
from synthetic_models import write_model_table
from tiny_training import EDGE, TinyBlocks, TinyNetwork, tiny_network


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    """Steps and examples that cost nothing: what is tested here does not depend on them."""
    monkeypatch.setattr(module, "new_network", tiny_network)
    monkeypatch.setattr(module, "TrainingBlocks", TinyBlocks)
    monkeypatch.setattr(module, "load_network", load_tiny)


def load_tiny(path: Path) -> tuple[TinyNetwork, WeightsInfo]:
    """Stand in for `load_network`."""
    network = TinyNetwork()
    network.load_state_dict({name: tensor.float() for name, tensor in load_file(path).items()})
    return network, read_weights_info(path)


def json_of(path: Path) -> str:
    with safe_open(str(path), framework="pt") as file:
        return file.metadata()["training"]


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
        original = module.Training.step

        def step(self, batch):
            original(self, batch)
            call()

        monkeypatch.setattr(module.Training, "step", step)
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
    roles = [[artefact.role for artefact in event.artefacts] for event in done]
    assert roles == [["examples"], ["examples"], ["weights", "examples"]]


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


def test_slices_of_a_few_blocks_come_with_every_report(params, tmp_path):
    params = params.replace(validation_blocks=3, example_blocks=2, report_every=3)
    events = of(IterationDone, list(train(params, Control())))
    first, last = (next(one for one in event.artefacts if one.role == "examples") for event in events)
    assert (first.name, last.name) == ("examples_step000003.npz", "examples_step000006.npz")
    path = tmp_path / last.name
    last.write(path)
    slices = read_examples(path)
    assert {name: values.shape for name, values in slices.items()} == dict.fromkeys(PARTS, (2, EDGE, EDGE))
    assert np.array_equal(slices["input"], first.slices["input"].astype(np.float32))  # always the same blocks
    assert not np.array_equal(slices["output"], first.slices["output"])
    assert 0 <= slices["mask_output"].min() <= slices["mask_output"].max() <= 1
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(BlushError, match="cannot be read as slices"):
        read_examples(path)
    without = of(IterationDone, list(train(params.replace(example_blocks=0), Control())))
    assert all(one.role == "weights" for event in without for one in event.artefacts)


def test_reports_say_how_long_the_network_waited(params, monkeypatch):
    figures = of(IterationDone, run(params))[0].figures
    assert figures["blocks_per_second"] > 0
    assert 0 <= figures["waiting_share"] <= 1

    def slow(self, key):
        time.sleep(0.3)
        return original(self, key)

    original = TinyBlocks.volume
    monkeypatch.setattr(TinyBlocks, "volume", slow)
    monkeypatch.setattr("blushcore.jobs.train.job._LARGE_WAIT", 0.0)
    events = run(params.replace(steps=1, clean_steps=0))
    figures = of(IterationDone, events)[0].figures
    assert figures["waiting_share"] / figures["blocks_per_second"] > 0.25  # seconds, of one block
    assert any("The network waited for half-maps" in event.text for event in of(Message, events))


def test_carrying_on_from_weights_counts_their_steps(params, tmp_path):
    """A machine that keeps nothing leaves the weights behind: schedule and examples go on after them."""
    half = params.replace(steps=4, ema_decay=0.0)
    weights = run(half)[-1].artefacts[0]
    (tmp_path / "half.safetensors").write_bytes(weights.content)
    record = json.loads(json_of(tmp_path / "half.safetensors"))
    assert record["steps"] == 4
    on = half.replace(steps=6, initial_weights=str(tmp_path / "half.safetensors"), carry_on=True)
    events = run(on)
    done = of(IterationDone, events)
    assert [event.iteration for event in done] == [6]
    assert of(Message, events)[0].text.startswith("Training on 2 models from step 4 on")
    state = done[-1].state
    assert (state.values["first_step"], state.values["steps_before"]) == (4, 0)
    assert state.values["seconds"] >= record["seconds"]
    assert done[-1].figures["learning_rate"] < 1e-4  # late in the schedule, however fresh the optimiser
    anew = of(IterationDone, run(on.replace(carry_on=False)))
    assert [event.iteration for event in anew] == [2, 4, 6]
    assert anew[-1].state.values["steps_before"] == 4
    with pytest.raises(BlushError, match="there are none"):
        run(params.replace(carry_on=True))


@pytest.mark.parametrize(("choice", "compiled"), [("auto", False), ("off", False), ("on", True)])
def test_the_network_is_compiled_where_asked_for(params, monkeypatch, choice, compiled):
    calls = []

    def compile_network(network):
        calls.append(network)
        return network

    monkeypatch.setattr(torch, "compile", compile_network)
    run(params.replace(steps=1, compile=choice))
    assert bool(calls) == compiled
    assert module.is_compiled(params, torch.device("cuda"))
    assert not module.is_compiled(params.replace(compile="off"), torch.device("cuda"))


def test_half_maps_are_made_on_the_device_that_trains(params, table):
    """Of the same models, by another way: with nothing but arrays."""
    on_device = params.replace(half_maps_on="device")
    source, text = pair_source(on_device, "train", torch.device("cpu"))
    assert (type(source), text) == (AtomPairs, "2 models")
    assert makes_on_device(on_device, torch.device("cpu"))
    assert makes_on_device(params, torch.device("cuda"))
    assert not makes_on_device(params, torch.device("cpu"))
    assert not makes_on_device(params.replace(images_share=0.1), torch.device("cuda"))
    assert of(IterationDone, run(on_device))[-1].iteration == 6
    with pytest.raises(BlushError, match="made by workers"):
        run(on_device.replace(images_share=0.1))


def test_what_happens_to_models_is_chosen_by_parameters(params, table, tmp_path):
    usual, _ = pair_source(params, "train")
    assert (usual.composition.changes_nothing, usual.few_particles) == (True, 0.0)
    composed, _ = pair_source(params.replace(compose=True, few_particles_share=0.3), "train")
    assert (composed.composition, composed.few_particles) == (USUAL, 0.3)
    assert not makes_on_device(params.replace(compose=True), torch.device("cuda"))
    drawn = composed(np.random.default_rng(0))
    assert torch.isfinite(drawn.half1).all()
    pack = tmp_path / "models.npz"
    list(write_model_pack(pack, read_models(table)))
    packed = params.replace(models=pack, few_particles_share=0.3)
    assert pair_source(packed, "train")[0].few_particles == 0.3
    with pytest.raises(BlushError, match="no particles are composed"):
        pair_source(packed.replace(compose=True), "train")


def test_half_maps_from_files_are_looked_at_before_it_begins(params, tmp_path):
    values = np.random.default_rng(0).normal(size=(20, 20, 20)).astype(np.float32)
    for name, n in (("a_half1", 20), ("a_half2", 18)):
        write_map(tmp_path / f"{name}.mrc", Volume(values[:n, :n, :n].copy(), (3.0,) * 3))
    stored = params.replace(models=None, pairs=tmp_path)
    with pytest.raises(BlushError, match="not on one grid"):
        check_inputs(stored)
    write_map(tmp_path / "a_half2.mrc", Volume(values + 1, (3.0,) * 3))
    with pytest.raises(BlushError, match="or set validation_blocks to 0"):
        check_inputs(stored)
    check_inputs(stored.replace(validation_blocks=0))
    assert not makes_on_device(stored, torch.device("cuda"))  # many workers read faster than one thread


TWO_PROCESSES = """
import sys
sys.path.insert(0, {tests!r})
import torch
from blushcore.jobs.train import session
from tiny_training import TinyBlocks, tiny_network
from blushcore.cli import main
session.new_network, session.TrainingBlocks = tiny_network, TinyBlocks
sys.exit(main(sys.argv[1:]))
"""


def test_two_processes_do_what_one_does_with_the_joint_batch(params, tmp_path, monkeypatch):
    values = params.replace(batch_size=2, steps=4, dropout=0.0, report_every=2)
    lines = [
        f"{name} = {json.dumps(value if not isinstance(value, Path) else str(value))}"
        for name, value in values.non_defaults().items()
    ]
    (tmp_path / "params.toml").write_text("\n".join(lines))
    tests = str(Path(__file__).parent.parent)
    (tmp_path / "tiny.py").write_text(TWO_PROCESSES.format(tests=tests))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [*torchrun, str(tmp_path / "tiny.py"), "train", str(tmp_path / "params.toml")]
    done = subprocess.run(
        [*command, "-o", str(tmp_path / "run"), "--json"],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=240,
    )
    assert done.returncode == 0, done.stderr

    class Joint:
        """The lanes of both processes, one after the other in each batch."""

        def __init__(self, blocks, first, _batch_size, _workers):
            noisy = blocks.first_noisy // 2
            self._lanes = [
                BatchStream(
                    dataclasses.replace(blocks, lane=lane, lanes=2, first_noisy=noisy), first // 2, 1, 0
                )
                for lane in (0, 1)
            ]

        def __enter__(self):
            return self

        def __exit__(self, *error):
            for lane in self._lanes:
                lane.__exit__(*error)

        def take(self, _timeout):
            parts = [lane.take(30.0) for lane in self._lanes]
            return tuple(torch.cat(both) for both in zip(*parts, strict=True))

    monkeypatch.setattr("blushcore.jobs.train.job.BatchStream", Joint)
    expected = of(IterationDone, run(values))
    found = list(read_run(tmp_path / "run").summary.iterations.values())
    for one, two in zip(expected, found, strict=True):
        for name in ("density_loss", "mask_loss", "validation_density_loss"):
            assert two.event.figures[name] == pytest.approx(one.figures[name], rel=1e-4), name
    alone = expected[-1].state.arrays
    checkpoint, _ = newest_checkpoint(
        RunDirectory(tmp_path / "run"), read_run(tmp_path / "run").summary.checkpoints
    )
    for name, array in checkpoint.state.arrays.items():
        np.testing.assert_allclose(array, alone[name], rtol=2e-4, atol=2e-6, err_msg=name)


def test_a_batch_that_cannot_be_shared_is_refused():
    class Two:
        size = 2

    assert own_share(4, Two()) == 2
    with pytest.raises(BlushError, match="A batch of 3 cannot be shared evenly by 2 processes"):
        own_share(3, Two())
