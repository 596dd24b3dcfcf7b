"""Whole maps through the denoiser: nothing is lost, added or seamed on the way there and back."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from block_denoisers import Mixing, Scaling
from hypothesis import given, settings
from hypothesis import strategies as st

from blushcore.denoiser import Denoiser, MapDenoising, Slice, denoise_map
from blushcore.denoiser.region import mask_on_grid, particle_sphere
from blushcore.protocol import BlushError
from blushcore.volumes import fourier_resample, grid_of_voxel_size


def random_map(shape, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def expected_of_scaling(data, voxel_size, factor, diameter=None, mask=None) -> torch.Tensor:
    """What the documentation says, in float64, where the network multiplies blocks by `factor`.

    Input times mask, network, minus the background, times mask, plus the background: inside it is the network's
    output, outside it is flat.
    """
    shape = tuple(data.shape)
    grid, exact = grid_of_voxel_size(shape, voxel_size, 1.5)
    offset = data.double().mean()
    raw = fourier_resample(data.double() - offset, grid)
    region = particle_sphere(grid, exact, diameter).double()
    if mask is not None:
        region = region * mask_on_grid(mask, grid).double()
    outside = 1 - region
    background = (raw * outside).sum() / outside.sum() if outside.sum() > 1 else 0.0
    blended = (factor * raw * region - background * region) * region
    return fourier_resample(blended, shape) + offset + background


GRIDS = [
    ((64, 64, 64), (1.5, 1.5, 1.5)),
    ((8, 8, 8), (0.3, 0.3, 0.3)),
    ((8, 9, 10), (10.0, 10.0, 10.0)),
    ((9, 9, 9), (1.5, 1.5, 1.5)),
    ((33, 17, 48), (2.1, 1.7, 3.0)),
    ((101, 101, 101), (1.06, 1.06, 1.06)),
    ((150, 149, 20), (1.5, 1.5, 1.5)),
    ((150, 150, 150), (0.4, 0.4, 0.4)),
    ((24, 150, 31), (1.34, 1.34, 1.34)),
]


@pytest.mark.parametrize(("shape", "voxel_size"), GRIDS)
@pytest.mark.parametrize("factor", [1.0, -0.5])
def test_no_seams(shape, voxel_size, factor):
    """Factor 1 is the identity network; any other shows whether the blocks' windows sum to one everywhere."""
    data = random_map(shape)
    result = denoise_map(Scaling(factor), data, voxel_size)
    expected = expected_of_scaling(data, voxel_size, factor)
    assert result.map.shape == result.mask.shape == data.shape
    assert result.map.dtype == result.mask.dtype == torch.float32
    assert float((result.map - expected).abs().max()) < 2e-5


@settings(deadline=None, max_examples=15)
@given(
    shape=st.tuples(*[st.integers(8, 40)] * 3),
    voxel_size=st.tuples(*[st.floats(0.3, 4.0)] * 3),
    factor=st.sampled_from([1.0, 0.0, 3.0]),
    share=st.floats(0.1, 1.5),
)
def test_no_seams_on_any_grid(shape, voxel_size, factor, share):
    data = random_map(shape)
    diameter = share * max(n * size for n, size in zip(shape, voxel_size, strict=True))
    result = denoise_map(Scaling(factor), data, voxel_size, diameter=diameter)
    expected = expected_of_scaling(data, voxel_size, factor, diameter)
    assert float((result.map - expected).abs().max()) < 1e-4


@pytest.mark.parametrize("stride", [20, 33, 46])
def test_every_stride_is_seamless(stride):
    data = random_map((90, 70, 100))
    result = denoise_map(Scaling(0.3), data, (1.5,) * 3, stride=stride)
    assert float((result.map - expected_of_scaling(data, (1.5,) * 3, 0.3)).abs().max()) < 1e-5


def test_outside_the_particle_the_map_is_flat_and_inside_untouched():
    data = random_map((80, 80, 80)) + 5
    result = denoise_map(Scaling(), data, (1.5,) * 3, diameter=60.0)
    offset = torch.arange(80.0) - 40
    r = 1.5 * (offset[:, None, None] ** 2 + offset[:, None] ** 2 + offset**2).sqrt()
    outside = result.map[r > 41]
    assert float((result.map - data)[r < 30].abs().max()) < 1e-5
    assert float(outside.max() - outside.min()) < 1e-5
    assert float(outside.mean()) == pytest.approx(float(data[r > 41].mean()), abs=0.01)


def test_a_mask_is_used_with_the_sphere_and_saves_blocks():
    data = random_map((160, 160, 160))
    mask = torch.zeros_like(data)
    mask[60:100, 60:100, 60:100] = 1
    result = denoise_map(Scaling(2.0), data, (1.5,) * 3, mask=mask)
    expected = expected_of_scaling(data, (1.5,) * 3, 2.0, mask=mask)
    assert float((result.map - expected).abs().max()) < 1e-5
    assert result.blocks == 1
    assert float(result.mask[mask == 0].max()) == 0
    assert denoise_map(Scaling(), data, (1.5,) * 3).blocks > 20


def test_the_networks_mask_comes_back_on_the_maps_grid():
    result = denoise_map(Scaling(logit=2.0), random_map((50, 40, 60)), (2.0,) * 3)
    assert float(result.mask[25, 20, 30]) == pytest.approx(1 / (1 + np.exp(-2.0)), abs=1e-5)
    assert float(result.mask[0, 0, 0]) == 0
    assert float(result.mask.max()) < 0.9


@pytest.mark.parametrize(("scale", "offset"), [(1e-4, 0), (-3e5, 7e6), (1e-25, 0), (1e25, -3e25), (1, 100)])
def test_scale_and_offset_only_pass_through(scale, offset):
    data = random_map((48, 40, 44))
    plain = denoise_map(Mixing(), data, (1.5,) * 3)
    moved = denoise_map(Mixing(), (data.double() * scale + offset).float(), (1.5,) * 3)
    # Mixing is odd in the blocks, so a negative scale turns its output round.
    expected = plain.map.double() * scale + offset
    # An offset takes away float32's digits before we ever see the map.
    allowed = abs(scale) * 1e-4 * float(plain.map.std()) + 1e-6 * abs(offset)
    assert float((moved.map.double() - expected).abs().max()) < allowed


def test_scale_and_offset_only_pass_through_the_network(network):
    denoiser = Denoiser(network, None, torch.device("cpu"), "float32")
    data = random_map((30, 32, 34))
    plain = denoise_map(denoiser, data, (1.5,) * 3)
    moved = denoise_map(denoiser, data * 4e-6 + 2e-5, (1.5,) * 3)
    assert plain.blocks == 1
    difference = (moved.map.double() - 2e-5) / 4e-6 - plain.map
    assert float(difference.abs().max() / plain.map.std()) < 1e-4
    assert float((moved.mask - plain.mask).abs().max()) < 1e-4


@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_result_does_not_depend_on_the_batch_size(batch_size):
    data = random_map((100, 70, 90))
    expected = denoise_map(Mixing(batch_size=4), data, (1.5,) * 3)
    denoiser = Mixing(batch_size=batch_size)
    result = denoise_map(denoiser, data, (1.5,) * 3)
    assert max(denoiser.batches) == min(batch_size, result.blocks)
    assert float((result.map - expected.map).abs().max()) < 1e-5


def test_input_and_mask_are_left_alone():
    data, mask = random_map((20, 20, 20)), torch.ones((20, 20, 20))
    before = data.clone(), mask.clone()
    denoise_map(Mixing(), data, (1.5,) * 3, mask=mask)
    assert torch.equal(data, before[0])
    assert torch.equal(mask, before[1])


def test_progress_counts_blocks_and_cancelling_ends_after_a_batch():
    denoiser = Scaling(0.0, batch_size=3)
    data = random_map((100, 100, 100))
    denoising = MapDenoising(denoiser, data, (1.5,) * 3)
    total = len(denoising.tiling.origins)
    first = list(itertools.islice(denoising.run(), 3))
    assert [progress.done for progress in first] == [0, 3, 6]
    assert denoiser.batches == [3, 3]
    partial = denoising.result().map
    expected = expected_of_scaling(data, (1.5,) * 3, 0.0)
    untouched = expected_of_scaling(data, (1.5,) * 3, 1.0)
    assert float((partial[-20:] - untouched[-20:]).abs().max()) < 1e-5, "what is missing is the input"
    assert float((partial[:13, :50] - expected[:13, :50]).abs().max()) < 1e-5

    rest = list(denoising.run())
    assert [rest[0].done, rest[-1].done] == [6, total]
    assert all(progress.total == total and progress.unit == "blocks" for progress in rest)
    assert rest[-1].eta_seconds == 0
    assert sum(denoiser.batches) == total
    assert float((denoising.result().map - expected).abs().max()) < 1e-5


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize(("n", "voxel_size"), [(120, 1.5), (67, 3.0), (175, 1.0)])
def test_the_slice_somebody_looks_at_is_done_first(axis, n, voxel_size):
    data = random_map((n, n, n))
    index = n // 6
    denoising = MapDenoising(
        Scaling(0.0, batch_size=1), data, (voxel_size,) * 3, focus=lambda: Slice(axis, index)
    )
    m = denoising.tiling.shape[axis]
    place = m // 2 + (index - n // 2) * m / n
    contributing = sum(origin[axis] + 9 <= place <= origin[axis] + 54 for origin in denoising.tiling.origins)
    assert 0 < contributing < len(denoising.tiling.origins) / 2
    for _ in itertools.islice(denoising.run(), contributing + 1):
        pass
    # Factor 0 leaves the background: flat where the blocks are done.
    done = denoising.result().map
    flat = expected_of_scaling(data, (voxel_size,) * 3, 0.0)
    error = (done - flat).abs().amax(dim=tuple(i for i in range(3) if i != axis))
    assert float(error[index]) < 0.1 * float(error.max())


def test_the_focus_may_change_and_go():
    wanted = iter([Slice(0, 5), Slice(2, 10**6), None, *[Slice(1, 60)] * 100])
    data = random_map((100, 100, 100))
    denoising = MapDenoising(Scaling(0.5, batch_size=2), data, (1.5,) * 3, focus=lambda: next(wanted))
    assert list(denoising.run())[-1].done == len(denoising.tiling.origins)
    assert float((denoising.result().map - expected_of_scaling(data, (1.5,) * 3, 0.5)).abs().max()) < 1e-5


def test_a_slice_is_across_one_of_three_axes():
    with pytest.raises(ValueError, match="axis 0, 1 or 2"):
        Slice(3, 0)


def with_value(value: float) -> torch.Tensor:
    data = random_map((12, 12, 12))
    data[3, 4, 5] = value
    return data


@pytest.mark.parametrize(
    ("data", "voxel_size", "mask", "sentence"),
    [
        (random_map((12, 7, 12)), 1.5, None, "12 × 7 × 12 voxels"),
        (random_map((12, 12, 12)), 0.29, None, "the denoiser takes 0.3 to 10 Å"),
        (random_map((12, 12, 12)), 10.1, None, "the denoiser takes 0.3 to 10 Å"),
        (random_map((12, 12, 12)), float("nan"), None, "the denoiser takes 0.3 to 10 Å"),
        (with_value(float("nan")), 1.5, None, "The map holds values that are not numbers"),
        (with_value(float("-inf")), 1.5, None, "The map holds values that are not numbers"),
        (torch.full((12, 12, 12), 3.0), 1.5, None, "The map is constant"),
        (random_map((12, 12, 12)), 1.5, torch.ones((12, 12, 13)), "The mask has 13 × 12 × 12 voxels"),
        (random_map((12, 12, 12)), 1.5, with_value(float("nan")), "The mask holds values that are not numbers"),
        (random_map((12, 12, 12)), 1.5, torch.zeros((12, 12, 12)), "The mask is empty"),
    ],
)
def test_what_cannot_be_denoised_is_refused_with_a_sentence(data, voxel_size, mask, sentence):
    with pytest.raises(BlushError, match=sentence):
        MapDenoising(Scaling(), data, (voxel_size,) * 3, mask=mask)


def test_a_map_with_nothing_but_finest_detail_is_refused():
    checkerboard = (-1.0) ** torch.arange(16.0)
    data = checkerboard[:, None, None] * checkerboard[:, None] * checkerboard
    with pytest.raises(BlushError, match="finer than 3 Å"):
        MapDenoising(Scaling(), data, (0.5,) * 3)


def test_only_three_axes():
    with pytest.raises(ValueError, match="three axes"):
        MapDenoising(Scaling(), torch.zeros((3, 12, 12, 12)), (1.5,) * 3)
