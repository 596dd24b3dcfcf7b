"""Training on a CUDA device: compiled kernels, bfloat16, and half-maps that are made and stay there."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from blushcore.simulation.model_pack import read_models
from blushcore.training.atom_pairs import AtomPairs
from blushcore.training.batches import BatchStream
from blushcore.training.samples import TrainingBlocks
from blushcore.training.trainer import Trainer, new_network
from synthetic_models import write_model_table

pytestmark = pytest.mark.cuda
DEVICE = torch.device("cuda")


@pytest.fixture(scope="module")
def blocks(tmp_path_factory) -> TrainingBlocks:
    entries = read_models(write_model_table(tmp_path_factory.mktemp("models"), train=3))
    return TrainingBlocks(AtomPairs(entries, DEVICE), 0, 0, device=DEVICE)


@pytest.fixture(scope="module")
def batch(blocks):
    with BatchStream(blocks, 0, 2, 0) as stream:
        while (made := stream.take(1.0)) is None:
            pass
        return made


def trainer(*, compiled: bool, reduced: bool) -> Trainer:
    return Trainer(
        new_network(0, 0.0), DEVICE, reduced_precision=reduced, ema_decay=0.9, seed=0, compiled=compiled
    )


def test_batches_are_made_and_stay_on_the_device(blocks, batch):
    assert {part.device.type for part in batch} == {"cuda"}
    assert batch[0].shape == (2, 64, 64, 64)
    assert torch.allclose(batch[0][1], blocks[1][0], atol=0.02)  # atoms are added in any order
    assert all(torch.isfinite(part).all() for part in batch)


def test_compiled_steps_are_those_of_plain_ones(batch):
    plain, compiled = (trainer(compiled=choice, reduced=False) for choice in (False, True))
    for recycles in (0, 1):
        losses = [float(one.train_step(batch, 1e-4, recycles).total) for one in (plain, compiled)]
        assert losses[1] == pytest.approx(losses[0], rel=2e-3)


def test_the_loss_falls_in_bfloat16_on_one_batch(batch):
    training = trainer(compiled=False, reduced=True)
    losses = [float(training.train_step(batch, 1e-3, 0).total) for _ in range(25)]
    assert np.isfinite(losses).all()
    assert np.mean(losses[-3:]) < 0.95 * losses[0]
    assert training.skipped == 0


def test_a_state_made_on_the_device_goes_on_there_and_on_the_processor(batch):
    training = trainer(compiled=False, reduced=False)
    training.train_step(batch, 1e-4, 0)
    state = training.state()
    again = trainer(compiled=False, reduced=False)
    again.restore(state)
    expected, found = (float(one.train_step(batch, 1e-4, 0).total) for one in (training, again))
    assert found == pytest.approx(expected, rel=1e-4)
    here = Trainer(new_network(1, 0.0), torch.device("cpu"), reduced_precision=False, ema_decay=0.9, seed=0)
    here.restore(state)
    assert here.step == 1
