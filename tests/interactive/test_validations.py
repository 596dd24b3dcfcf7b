"""The worker validates the denoiser on two half-maps, as `blush validate` does, and can be stopped at it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from blushcore.interactive.messages import (
    Cancel,
    Cancelled,
    DenoiserValidated,
    Failed,
    Load,
    Loaded,
    ValidateDenoiser,
    ValidationSettings,
    Working,
)
from blushcore.simulation import read_structure
from blushcore.simulation.map_model import density_on_grid_of
from blushcore.volumes import MapHeader, Volume
from synthetic_models import write_bundle

BOX, VOXEL, CORNER = 32, 2.5, (-40.0,) * 3


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("model") / "model.pdb")


@pytest.fixture(scope="module")
def halves(tmp_path_factory, model) -> list[Path]:
    """Two noisy copies of what the model looks like, centred where its coordinates put it."""
    grid = Volume(np.zeros((BOX,) * 3, np.float32), (VOXEL,) * 3, MapHeader(origin=CORNER))
    density = density_on_grid_of(read_structure(model), grid)
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("halves")
    paths = [folder / f"half{number}.npy" for number in (1, 2)]
    for path in paths:
        np.save(path, (density + density.std() * rng.normal(size=density.shape)).astype(np.float32))
    return paths


def load(worker, paths, position=CORNER) -> None:
    for number, path in enumerate(paths, 1):
        worker.tell(Load(key=f"half{number}", path=path, voxel_size=(VOXEL,) * 3, position=position))
        worker.until(Loaded)


def ask(name: str, **settings) -> ValidateDenoiser:
    return ValidateDenoiser(id=name, halves=("half1", "half2"), settings=ValidationSettings(**settings))


def test_both_halves_are_tested_and_held_against_the_model(shared_worker, halves, model):
    load(shared_worker, halves)
    shared_worker.tell(ask("whole", model=model, device="cpu"))
    found = shared_worker.until(DenoiserValidated)
    assert found.id == "whole"
    assert found.sentences[0].startswith("Weights ")
    curves = found.figures["curves"]
    assert {"raw", "cross", "model_raw", "model_denoised"} <= curves.keys()
    assert found.figures["verdict"] in ("keeps", "invents beyond", "harm")
    assert np.mean(curves["model_raw"][1:6]) > 0.5  # it lies where the model is
    told = [event for event in shared_worker.events if isinstance(event, Working) and event.id == "whole"]
    assert told[-1].done == told[-1].total > 0
    assert [event.done for event in told] == sorted(event.done for event in told)
    assert len({event.stage for event in told}) in (2, 4)


def test_it_can_be_stopped_and_what_cannot_be_tested_is_told(shared_worker, halves, model):
    load(shared_worker, halves)
    shared_worker.tell(ask("stopped", device="cpu"), Cancel(id="stopped"))
    assert shared_worker.until(Cancelled).id == "stopped"
    load(shared_worker, [halves[0], halves[0]])
    shared_worker.tell(ask("one map", device="cpu"))
    failed = shared_worker.until(Failed)
    assert (failed.id, failed.request) == ("one map", "validate_denoiser")
    assert "are the same map" in failed.problem
    load(shared_worker, halves, position=(500.0, 0.0, 0.0))
    shared_worker.tell(ask("elsewhere", model=model, device="cpu"))
    assert "does not lie within the map" in shared_worker.until(Failed).problem


def test_an_empty_mask_is_told(shared_worker, halves, tmp_path):
    load(shared_worker, halves)
    np.save(tmp_path / "mask.npy", np.zeros((BOX,) * 3, np.float32))
    shared_worker.tell(
        Load(key="empty", path=tmp_path / "mask.npy", voxel_size=(VOXEL,) * 3, role="mask"),
        ask("nowhere", device="cpu").model_copy(update={"mask": "empty"}),
    )
    assert "empty mask" in shared_worker.until(Failed).problem
