"""Fine-tuning: it helps where it can, keeps the start where it cannot, and its weights say what they know."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from blushcore.denoiser.finetuned import RECORD, map_sha256, warning_for_map, warning_for_particles
from blushcore.denoiser.weights import WeightsInfo, read_weights_info, weights_bytes
from blushcore.jobs.finetune import job as module
from blushcore.jobs.finetune.job import JOB, check_inputs, finetune
from blushcore.jobs.finetune.parameters import FinetuneParameters
from blushcore.protocol import (
    BlushError,
    Command,
    Control,
    Finished,
    IterationDone,
    JobState,
    Message,
    Progress,
    Stopped,
)
from small_halves import small_halves, write, written
from tiny_training import TinyNetwork, tiny_network


def load_tiny(path: Path) -> tuple[TinyNetwork, WeightsInfo]:
    network = TinyNetwork()
    network.load_state_dict({name: tensor.float() for name, tensor in load_file(path).items()})
    return network, read_weights_info(path)


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    monkeypatch.setattr(module, "new_network", tiny_network)
    monkeypatch.setattr(module, "load_network", load_tiny)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two half-maps of a particle at some 8 Å with white noise, its mask, and poor weights."""
    folder = written(tmp_path_factory.mktemp("halves"), small_halves())
    poor = tiny_network(5, 0.0)
    (folder / "poor.safetensors").write_bytes(
        weights_bytes(poor.state_dict(), name="poor", version="1", training={"steps": 3, "steps_before": 1})
    )
    return folder


@pytest.fixture
def params(folder) -> FinetuneParameters:
    return FinetuneParameters(
        half1=folder / "half1.mrc",
        half2=folder / "half2.mrc",
        mask=folder / "mask.mrc",
        weights=str(folder / "poor.safetensors"),
        resolution=8.0,
        steps=24,
        batch_size=1,
        learning_rate=0.02,
        warmup_steps=2,
        evaluate_every=8,
        held_out_blocks=4,
        ema_decay=0.5,
        recycles=0,
        dropout=0.0,
        device="cpu",
        precision="float32",
        workers=0,
    )


def copied(state: JobState) -> JobState:
    return JobState(arrays={k: np.array(v) for k, v in state.arrays.items()}, values=dict(state.values))


def run(params: FinetuneParameters, state: JobState | None = None, control: Control | None = None) -> list:
    events = []
    for event in finetune(params, control or Control(), state):
        if isinstance(event, IterationDone) and event.state is not None:
            kept = copied(event.state)
            event = IterationDone(
                iteration=event.iteration, figures=event.figures, artefacts=event.artefacts, state=kept
            )
        events.append(event)
    return events


def of(kind: type, events: list) -> list:
    return [event for event in events if isinstance(event, kind)]


@pytest.fixture
def tuned(params, tmp_path) -> tuple[list, Path]:
    """A fine-tuning that helped: its events, and its weights in a file."""
    events = run(params)
    path = tmp_path / "finetuned.safetensors"
    [file] = events[-1].artefacts
    file.write(path)
    return events, path


def test_poor_weights_get_better_on_what_was_not_trained_on(tuned, params):
    events, path = tuned
    finished = events[-1]
    assert isinstance(finished, Finished)
    figures = finished.figures
    assert figures["helped"]
    assert figures["held_out_loss"] < 0.9 * figures["held_out_loss_at_start"]
    assert figures["held_out_gain"] > figures["held_out_gain_error"] > 0
    done = of(IterationDone, events)
    assert [event.iteration for event in done] == [0, 8, 16, 24]
    assert {one.role for event in done for one in event.artefacts} == {"examples"}
    progress = of(Progress, events)
    assert all(event.eta_seconds > 0 for event in progress[:-1])
    assert progress[-1].eta_seconds == 0
    best = min(event.figures["held_out_loss"] for event in done)
    assert figures["held_out_loss"] == pytest.approx(best)

    # They say what they know, to who uses them on it.
    info = read_weights_info(path)
    [data_set] = info.training[RECORD]
    assert data_set["half1"]["name"] == "half1.mrc"
    assert (info.training["steps"], info.training["steps_before"]) == (figures["best_step"], 4)
    assert str(params.half1.parent) not in json.dumps(dict(info.training))
    from blushcore.volumes import read_map

    own = read_map(params.half2).data
    assert data_set["half2"]["sha256"] == map_sha256(own)
    assert "no longer independent" in warning_for_map(info, "half2.mrc", own)
    assert "independent of other.mrc only if" in warning_for_map(info, "other.mrc", own + 1)
    assert "fine-tuned on half1.mrc and half2.mrc" in warning_for_particles(info)
    start = read_weights_info(Path(params.weights))
    assert warning_for_map(start, "half2.mrc", own) is None
    assert warning_for_particles(start) is None
    assert any(
        event.level == "warning" and "must not be used to refine" in event.text for event in of(Message, events)
    )


def test_what_was_tuned_twice_names_both_data_sets(tuned, params):
    _, path = tuned
    events = run(params.replace(weights=str(path), steps=8, learning_rate=0.01))
    record = events[-1].artefacts
    if events[-1].figures["helped"]:
        target = path.with_name("twice.safetensors")
        record[0].write(target)
        assert len(read_weights_info(target).training[RECORD]) == 2


def test_where_it_does_not_help_the_start_is_kept_and_that_is_said(params):
    """Steps so large that each makes it worse: patience ends it, and no weights come out."""
    events = run(params.replace(learning_rate=3.0, warmup_steps=0, steps=200, evaluate_every=2, patience=2))
    finished = events[-1]
    assert not finished.figures["helped"]
    assert finished.artefacts == ()
    assert finished.figures["weights"] == "poor"
    assert finished.figures["held_out_loss"] == finished.figures["held_out_loss_at_start"]
    assert finished.figures["steps"] == 4  # two looks without anything better
    [said] = [event.text for event in of(Message, events) if "did not help" in event.text]
    assert "Keep poor; no other weights were written." in said


def test_a_resumed_one_ends_as_one_that_was_not_stopped(params):
    params = params.replace(checkpoint_every=1e-9)
    whole = run(params)
    middle = of(IterationDone, whole)[1]
    resumed = run(params, state=middle.state)
    assert [event.iteration for event in of(IterationDone, resumed)] == [16, 24]
    for name in ("held_out_loss", "held_out_loss_at_start", "held_out_gain", "best_step"):
        assert resumed[-1].figures[name] == pytest.approx(whole[-1].figures[name], rel=1e-4)


def test_it_goes_on_with_the_weights_and_the_half_maps_that_it_began_with(params, folder):
    stream = finetune(params, Control(), None)
    state = copied(next(event for event in stream if isinstance(event, IterationDone)).state)
    stream.close()
    state = JobState(arrays=state.arrays, values=json.loads(json.dumps(state.values)))
    assert next(finetune(params, Control(), state)).resumed_from_iteration == 0
    other = folder / "other.safetensors"
    other.write_bytes(weights_bytes(tiny_network(6, 0.0).state_dict(), name="other", version="1", training={}))
    for changes, said in (
        ({"weights": str(other)}, r"other\.safetensors is not what it was when the run began"),
        ({"half1": params.half2, "half2": params.half1}, r"half2\.mrc or .*half1\.mrc is not what it was"),
    ):
        with pytest.raises(BlushError, match=said) as caught:
            next(finetune(params.replace(**changes), Control(), state))
        assert caught.value.remedy == "Put it back as it was, or start a new run."
    for name in ("weights_sha256", "data_set"):  # an older checkpoint
        del state.values[name]
    assert next(finetune(params, Control(), state)).resumed_from_iteration == 0


def test_told_to_stop_it_keeps_its_state_first(params, monkeypatch):
    monkeypatch.setattr("blushcore.protocol.control._POLL_SECONDS", 0.0)
    steps = []
    original = module._Session._step

    def step(self, batch):
        original(self, batch)
        steps.append(self.trainer.step)

    monkeypatch.setattr(module._Session, "_step", step)
    sent = []

    def source():
        if len(steps) == 3 and not sent:
            sent.append(Command(id="a", action="stop_now"))
            return sent
        return []

    kept, stopped = [], False
    stream = finetune(params, Control(source))
    try:
        for event in stream:
            kept += [event.iteration] if isinstance(event, IterationDone) and event.state else []
    except Stopped:
        stopped = True
    assert (kept, stopped) == ([0, 3], True)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"half2": "half1.mrc"}, "are the same map"),
        ({"half2": "mask_of_another_box.mrc"}, "another_box"),
        ({"weights": "no-such"}, "no network weights 'no-such'"),
        ({"half1": "nowhere.mrc"}, "nowhere.mrc"),
    ],
)
def test_what_cannot_be_tuned_on_is_refused(params, folder, change, sentence):
    if not (folder / "mask_of_another_box.mrc").exists():
        write(folder / "mask_of_another_box.mrc", torch.rand(20, 20, 20))
    values = {name: (folder / value if name.startswith("half") else value) for name, value in change.items()}
    with pytest.raises(BlushError, match=sentence):
        check_inputs(params.replace(**values))


def test_the_job_is_known_by_its_name():
    from blushcore.jobs import JOBS

    assert JOBS["finetune"] is JOB
