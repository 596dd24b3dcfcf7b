"""Examples: filters, orientations, standardisation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from blushcore.training.augmentation import (
    CUBE_ROTATIONS,
    HalfMapPair,
    PreparedVolume,
    cut_block,
    draw_filters,
    prepare_volume,
    turned,
    wave_vector_grid,
)
from blushcore.volumes.masks import soft_sphere

BOX = 80


def smooth_noise(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    white = torch.randn((BOX,) * 3, generator=generator)
    k = wave_vector_grid(BOX)
    return torch.fft.irfftn(torch.fft.rfftn(white) * torch.exp(-60 * sum(c**2 for c in k)), s=white.shape)


@pytest.fixture(scope="module")
def pair() -> HalfMapPair:
    mask = soft_sphere((BOX,) * 3, 18, 5)
    signal = smooth_noise(0) * mask
    generator = torch.Generator().manual_seed(1)
    half1, half2 = (
        signal + 0.4 * signal.std() * torch.randn(signal.shape, generator=generator) for _ in range(2)
    )
    return HalfMapPair(half1, half2, mask, resolution=6.0, diameter=70.0, signal=signal)


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_there_are_24_rotations_of_the_cube_and_no_mirrors():
    z, y, x = torch.meshgrid(*(3 * [torch.tensor([-1.0, 0.0, 1.0])]), indexing="ij")
    units = ((2, 1, 1), (1, 2, 1), (1, 1, 2))
    seen = set()
    for turn in CUBE_ROTATIONS:
        # Where the values at the three axes' unit points came from.
        matrix = np.array([[float(turned(c, turn)[point]) for c in (z, y, x)] for point in units])
        assert np.linalg.det(matrix) == pytest.approx(1)
        seen.add(tuple(matrix.flatten()))
    assert len(seen) == len(CUBE_ROTATIONS) == 24


def test_the_target_is_nowhere_sharper_than_the_input():
    k = wave_vector_grid(48)
    frequency = torch.sqrt(sum(c**2 for c in k))
    anisotropic = 0
    for seed in range(60):
        input_filter, target_filter = draw_filters(k, frequency, 3.2 + 0.1 * seed, rng(seed))
        assert bool((target_filter <= input_filter * (1 + 1e-5)).all())
        assert float(input_filter[0, 0, 0]) == pytest.approx(1)
        assert float(target_filter[0, 0, 0]) == pytest.approx(1)
        assert float(target_filter.min()) >= 0
        anisotropic += not torch.allclose(target_filter[0, 0, 4], target_filter[4, 0, 0], rtol=1e-3)
    assert anisotropic > 50


@pytest.mark.parametrize("seed", range(4))
def test_examples_do_not_depend_on_the_maps_scale(pair, seed):
    scaled = HalfMapPair(
        30 * pair.half1, 30 * pair.half2, pair.mask, pair.resolution, pair.diameter, 30 * pair.signal
    )
    first = prepare_volume(pair, rng(seed), clean_targets=False)
    second = prepare_volume(scaled, rng(seed), clean_targets=False)
    for one, other in zip(first.parts(), second.parts(), strict=True):
        assert torch.allclose(one.float(), other.float(), atol=4e-3, rtol=4e-3)


@pytest.mark.parametrize("seed", range(4))
def test_inputs_are_standardised_over_the_volume_and_masked_by_the_sphere(pair, seed):
    wide = HalfMapPair(pair.half1, pair.half2, pair.mask, pair.resolution, diameter=10_000.0)
    volume = prepare_volume(wide, rng(seed), clean_targets=False)
    sphere = volume.sphere.float()
    everywhere = sphere > 0.999
    assert everywhere.float().mean() > 0.2
    inputs = volume.inputs.float()
    # The particle, where the variance is, lies inside the sphere with much of the volume.
    assert abs(float(inputs[:, everywhere].mean())) < 0.5
    assert 0.7 < float(inputs[:, everywhere].std()) < 2.5
    for part in (volume.inputs, volume.targets, volume.local_std):
        assert float(part[:, sphere == 0].abs().max()) == 0


def test_a_noise_free_target_is_the_expectation_of_the_noisy_ones(pair):
    """Over other halves with fresh noise, the mean target is that of the signal (same filters, same input)."""
    clean = prepare_volume(pair, rng(5), clean_targets=True).targets[0].double()
    total = torch.zeros_like(clean)
    repeats = 8
    for repeat in range(repeats):
        noise = torch.randn(pair.half1.shape, generator=torch.Generator().manual_seed(100 + repeat))
        half2 = pair.signal + 0.4 * pair.signal.std() * noise
        fresh = HalfMapPair(pair.half1, half2, pair.mask, pair.resolution, pair.diameter, pair.signal)
        noisy = prepare_volume(fresh, rng(5), clean_targets=False).targets[0].double()
        total += noisy
    error_of_mean = float((total / repeats - clean).square().mean())
    error_of_one = float((noisy - clean).square().mean())
    assert error_of_one > 0
    assert error_of_mean == pytest.approx(error_of_one / repeats, rel=0.35)


def test_the_target_is_smooth_outside_the_mask_and_detailed_inside(pair):
    volume = prepare_volume(pair, rng(11), clean_targets=False)
    slopes = volume.targets[0].float().diff(dim=2).abs()
    inside = pair.mask[:, :, 1:] > 0.99
    outside = (pair.mask[:, :, 1:] < 0.01) & (volume.sphere.float()[:, :, 1:] > 0.999)
    assert slopes[inside].mean() > 3 * slopes[outside].mean()


def test_blocks_come_from_the_volume_in_all_orientations(pair):
    volume = prepare_volume(pair, rng(3), clean_targets=False)
    generator, seen = rng(0), set()
    for _ in range(30):
        block = cut_block(volume, generator)
        assert block.input.shape == (64, 64, 64)
        assert block.input.dtype == torch.float32
        assert block.input.is_contiguous()
        assert float(block.mask.mean()) > 0
        seen.add(tuple(block.mask[::21, ::21, ::21].flatten().tolist()))
    assert len(seen) > 15
    again = cut_block(volume, rng(9)), cut_block(volume, rng(9))
    assert torch.equal(again[0].target, again[1].target)


def test_all_parts_of_a_block_are_turned_alike(pair):
    made = prepare_volume(pair, rng(3), clean_targets=False)
    same = PreparedVolume(made.inputs, made.inputs, made.inputs, made.inputs[0], made.sphere, made.resolution)
    generator = rng(1)
    for _ in range(12):
        block = cut_block(same, generator)
        assert torch.equal(block.input, block.target)
        assert torch.equal(block.input, block.local_std)
