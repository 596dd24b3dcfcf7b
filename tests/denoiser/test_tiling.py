"""Blocks cover what is to be covered, with few blocks, and blend smoothly."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from blushcore.denoiser import tiling
from blushcore.denoiser.tiling import MARGIN, add, blending_window, cover, cut

SPANS = st.tuples(st.integers(2, 150), st.floats(0, 1), st.floats(0, 1))


def summed(origins, shape) -> torch.Tensor:
    weight = torch.zeros(shape)
    for origin in origins:
        add(weight, origin, blending_window())
    return weight


@settings(deadline=None, max_examples=25)
@given(spans=st.tuples(SPANS, SPANS, SPANS), stride=st.sampled_from([None, 20, 46]))
def test_every_voxel_of_the_mask_gets_weight(spans, stride):
    shape = tuple(n for n, _, _ in spans)
    mask = torch.zeros(shape)
    box = tuple(slice(int(min(a, b) * (n - 1)), int(max(a, b) * (n - 1)) + 1) for n, a, b in spans)
    mask[box] = 1e-3
    covered = cover(mask, stride=stride)
    assert covered.shape == shape
    assert float(summed(covered.origins, shape)[mask > 0].min()) > 1e-3


@pytest.mark.parametrize(("n", "fewest"), [(46, 1), (47, 8), (82, 9), (89, 34), (128, 82), (256, 559)])
def test_a_full_box_takes_as_few_blocks_as_fit(n, fewest):
    assert len(cover(torch.ones((n, n, n))).origins) == fewest


@pytest.mark.parametrize(("n", "left_out"), [(82, False), (96, True), (128, True)])
def test_blocks_that_others_stand_in_for_are_left_out_evenly_and_half_of_the_weight_stays(
    n, left_out, monkeypatch
):
    mask = torch.ones(n, n, n)
    kept = cover(mask).origins
    monkeypatch.setattr(tiling, "_SPARE", 0.0)
    lattices = cover(mask).origins
    assert set(kept) <= set(lattices)
    assert (len(kept) < len(lattices)) == left_out
    assert (summed(kept, (n, n, n)) >= 0.5 * summed(lattices, (n, n, n)) - 1e-4).all()
    firsts = sorted({origin[0] for origin in lattices})
    z, y, x = zip(*((firsts.index(first) for first in origin) for origin in kept), strict=True)
    last = len(firsts) - 1
    assert {*zip(z, y, x, strict=True)} == {(last - i, j, k) for i, j, k in zip(z, y, x, strict=True)}
    assert {*zip(z, y, x, strict=True)} == {*zip(x, z, y, strict=True)}


def test_blocks_without_mask_are_left_out():
    mask = torch.zeros((200, 200, 200))
    mask[:40, :40, :40] = mask[160:, 160:, 160:] = 1
    few, box = cover(mask).origins, cover(torch.ones_like(mask)).origins
    assert 2 <= len(few) < len(box) / 4


def test_empty_mask_takes_no_blocks():
    assert cover(torch.zeros((70, 70, 70))).origins == ()


def test_published_stride_is_possible_and_takes_more_blocks():
    mask = torch.ones((100, 100, 100))
    published, ours = cover(mask, stride=20).origins, cover(mask).origins
    steps = sorted({origin[0] for origin in published})
    assert max(b - a for a, b in itertools.pairwise(steps)) <= 20
    assert len(published) > 1.5 * len(ours)


@pytest.mark.parametrize("stride", [0, 47, -3])
def test_strides_that_leave_gaps_are_refused(stride):
    with pytest.raises(ValueError, match="gaps"):
        cover(torch.ones((100, 100, 100)), stride=stride)


def test_window_is_symmetric_positive_inside_and_zero_on_the_margin():
    window = blending_window()
    inside = (slice(MARGIN, -MARGIN),) * 3
    assert window.shape == (64, 64, 64)
    assert torch.equal(window, window.flip(0))
    assert torch.equal(window, window.transpose(0, 2))
    assert float(window[inside].min()) > 0
    assert float(window.sum()) == pytest.approx(float(window[inside].sum()))
    assert float(window.max()) > 0.99
    assert torch.allclose(window[32, 32, MARGIN:32].diff().sign(), torch.ones(22))


@settings(deadline=None, max_examples=15)
@given(shape=st.tuples(*[st.integers(1, 80)] * 3), origin=st.tuples(*[st.integers(-70, 90)] * 3))
def test_cut_and_add_are_adjoint_also_beyond_the_map(shape, origin):
    generator = torch.Generator().manual_seed(0)
    volume = torch.randn(shape, generator=generator, dtype=torch.float64)
    block = torch.randn((64, 64, 64), generator=generator, dtype=torch.float64)
    added = torch.zeros_like(volume)
    add(added, origin, block)
    assert float((cut(volume, origin) * block).sum()) == pytest.approx(float((volume * added).sum()))
