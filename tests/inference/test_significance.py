"""Which poses count: the compiled way, the plain way, and sorting."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from brute_force import kept
from hypothesis import given, settings
from hypothesis import strategies as st

from blushcore.inference.poses_kept import starts
from blushcore.inference.significance import dense_marks_on_device, dense_significant, ragged_significant

HALF = 3


def products(images: int, offsets: int, directions: int, spread: float, seed: int) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    columns = directions * HALF
    real, imaginary = (spread * torch.randn(images, offsets, columns, generator=generator) for _ in range(2))
    halves = torch.rand(images, columns, generator=generator) + 0.5
    log_column = -torch.rand(directions, generator=generator).repeat_interleave(HALF)
    log_offset = -torch.rand(images, offsets, generator=generator)
    return real, imaginary, halves, log_column, log_offset


def table(found, b: int, orientations: int, offsets: int) -> np.ndarray:
    """What counts for image b, bool (O, T)."""
    part = found.part(b, b + 1)
    result = np.zeros((orientations, offsets), bool)
    own = part.pairs.view(len(part.orientations), len(part.offsets)).numpy()
    result[np.ix_(part.orientations.numpy(), part.offsets.numpy())] = own
    assert (part.orientations.diff() > 0).all()
    return result


@settings(deadline=None, max_examples=30)
@given(
    spread=st.sampled_from([0.1, 2.0, 30.0]),
    fraction=st.sampled_from([0.5, 0.999]),
    correlate=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_compiled_and_plain_agree(spread, fraction, correlate, seed):
    inputs = products(3, 4, 5, spread, seed)
    found = dense_significant(*inputs, half=HALF, fraction=fraction, correlate=correlate)
    marks = dense_marks_on_device(*inputs, half=HALF, fraction=fraction, correlate=correlate)
    different = sum((table(found, b, 2 * 15, 4) != marks[b].numpy()).sum() for b in range(3))
    assert different <= 2  # a weight may lie at the very edge of a bin
    assert found.counts().tolist() == [int(table(found, b, 30, 4).sum()) for b in range(3)]


@pytest.mark.parametrize("spread", [0.1, 2.0, 10.0])
def test_what_counts_is_what_sorting_finds_but_for_the_last_bin(spread):
    real, imaginary, halves, log_column, log_offset = inputs = products(2, 5, 8, spread, 1)
    found = dense_significant(*inputs, half=HALF, fraction=0.999)
    values = torch.stack((real + imaginary, real - imaginary), 2) - (halves - log_column)[:, None, None]
    values = values + log_offset[:, :, None, None]
    values = values.view(2, 5, 2, 8, HALF).permute(0, 3, 2, 4, 1).reshape(2, 48, 5).double()
    for b in range(2):
        weights = torch.softmax(values[b].flatten(), 0).view(48, 5).numpy()
        exact, mine = kept(weights, 0.999), table(found, b, 48, 5)
        assert (mine | exact).sum() == mine.sum()  # nothing is missed
        more = mine & ~exact
        if more.any():
            assert weights[more].min() > weights[exact].min() * np.exp(-0.008)
        assert weights[mine].sum() >= 0.999


def test_the_best_correlation_is_of_unit_slices():
    """A slice of ten times the power is not the better for it."""
    real, imaginary = torch.zeros(1, 1, HALF), torch.zeros(1, 1, HALF)
    real[0, 0] = torch.tensor([1.0, 9.0, 0.5])
    halves = torch.tensor([[0.5, 50.0, 0.5]])
    flat = torch.zeros(HALF), torch.zeros(1, 1)
    found = dense_significant(real, imaginary, halves, *flat, half=HALF, fraction=0.999, correlate=True)
    assert found.orientations.tolist() == [
        0,
        3,
    ]  # with no imaginary part the slice and the one turned are alike


def test_ragged_lists():
    generator = torch.Generator().manual_seed(2)
    counts = torch.tensor([5, 0, 40])
    start = starts(counts)
    values = 2 * torch.randn(45, generator=generator)
    marks = ragged_significant(values, start, 0.9, only_best=False)
    for b in (0, 2):
        own = values[start[b] : start[b + 1]].double()
        exact = kept(torch.softmax(own, 0).numpy(), 0.9)
        mine = marks[start[b] : start[b + 1]].numpy()
        assert (mine | exact).sum() == mine.sum()
        assert mine.sum() <= exact.sum() + 1
    best = ragged_significant(values, start, 0.9, only_best=True)
    assert best.nonzero()[:, 0].tolist() == [int(values[:5].argmax()), 5 + int(values[5:].argmax())]


def test_an_image_without_any_likelihood_counts_nowhere():
    values = torch.full((4,), -torch.inf)
    assert not ragged_significant(values, torch.tensor([0, 4]), 0.999, only_best=False).any()
