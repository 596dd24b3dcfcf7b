"""Spheres and masks, against their formulas and against relion_mask_create."""

from __future__ import annotations

import math
import subprocess

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from blushcore.protocol import BlushError
from blushcore.volumes import (
    MapHeader,
    Volume,
    lowpass,
    mask_from_map,
    read_map,
    soft_mask,
    soft_sphere,
    suggest_threshold,
    write_map,
)
from blushcore.volumes.distances import squared_distances

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)]


def smooth_noise(shape, seed=0, sigma=2.0):
    values = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), sigma)
    return (values / values.std()).astype(np.float32)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("shape", [(16, 16, 16), (9, 12, 15)])
@pytest.mark.parametrize(("radius", "edge"), [(4, 3), (0, 5), (3.5, 0.5), (5, 0), (100, 3), (-2, 4)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_sphere(device, shape, radius, edge, dtype):
    sphere = soft_sphere(shape, radius, edge, device=device, dtype=dtype)
    assert sphere.dtype == dtype
    assert sphere.device.type == device
    z, y, x = np.indices(shape)
    r = np.sqrt((z - shape[0] // 2) ** 2 + (y - shape[1] // 2) ** 2 + (x - shape[2] // 2) ** 2)
    expected = np.select(
        [r <= radius, r >= radius + edge],
        [1.0, 0.0],
        0.5 + 0.5 * np.cos(math.pi * (r - radius) / max(edge, 1e-9)),
    )
    np.testing.assert_allclose(sphere.double().cpu(), expected, atol=1e-2 if dtype == torch.bfloat16 else 1e-5)


def test_edges_have_no_negative_width():
    with pytest.raises(ValueError, match="0 or more voxels"):
        soft_sphere((4, 4, 4), 1, -1)
    with pytest.raises(ValueError, match="0 or more voxels"):
        soft_mask(np.ones((4, 4, 4), np.float32), threshold=0.5, soft_edge=-1)


@given(
    shape=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    seed=st.integers(0, 10_000),
    share=st.sampled_from([0.01, 0.1, 0.5, 1.0]),
    limit=st.floats(0, 12),
)
def test_distances(shape, seed, share, limit):
    inside = np.random.default_rng(seed).random(shape) < share
    result = squared_distances(inside, limit)
    reach = math.ceil(limit)
    exact = np.full(shape, np.inf)
    if inside.any():
        exact = np.round(ndimage.distance_transform_edt(~inside) ** 2)
    np.testing.assert_array_equal(result, np.where(exact <= reach**2, exact, reach**2 + 1))


def test_far_distances_do_not_overflow():
    inside = np.zeros((1, 1, 600), dtype=bool)
    inside[..., 0] = True
    np.testing.assert_array_equal(squared_distances(inside, 599)[0, 0], np.arange(600) ** 2)


def mask_by_pairs(volume, threshold, extend, soft_edge):
    """The mask's definition, from the distances between all pairs of voxels."""
    where = np.indices(volume.shape).reshape(3, -1).T.astype(float)
    pairs = np.sqrt(((where[:, None] - where[None]) ** 2).sum(-1))
    inside = (volume >= threshold).ravel()
    if extend > 0:
        inside = pairs[:, inside].min(axis=1) < extend
    elif extend < 0 and not inside.all():
        inside &= pairs[:, ~inside].min(axis=1) >= -extend
    if not inside.any():
        return None
    distance = pairs[:, inside].min(axis=1)
    soft = (
        0.5 + 0.5 * np.cos(np.pi * np.minimum(distance / soft_edge, 1)) if soft_edge else inside.astype(float)
    )
    return soft.reshape(volume.shape)


@given(
    shape=st.tuples(*[st.integers(3, 8)] * 3),
    seed=st.integers(0, 10_000),
    threshold=st.floats(-2.5, 2.5),
    extend=st.integers(-300, 400).map(lambda hundredths: hundredths / 100),
    soft_edge=st.floats(0.1, 5) | st.integers(0, 5),
)
def test_mask_against_all_pairs(shape, seed, threshold, extend, soft_edge):
    volume = smooth_noise(shape, seed, 1.0)
    expected = mask_by_pairs(volume, threshold, extend, soft_edge) if (volume >= threshold).any() else None
    if expected is None:
        with pytest.raises(BlushError):
            soft_mask(volume, threshold=threshold, extend=extend, soft_edge=soft_edge)
        return
    mask = soft_mask(volume, threshold=threshold, extend=extend, soft_edge=soft_edge)
    assert mask.dtype == np.float32
    np.testing.assert_allclose(mask, expected, atol=1e-6)


def test_lengths_in_angstrom_and_the_place_of_the_map():
    data = smooth_noise((12, 14, 16))
    volume = Volume(data, (1.5, 1.5, 1.5), MapHeader(origin=(10.0, -3.0, 4.5)))
    mask = mask_from_map(volume, threshold=1.0, extend_angstrom=3.0, soft_edge_angstrom=6.0)
    np.testing.assert_array_equal(mask.data, soft_mask(data, threshold=1.0, extend=2, soft_edge=4))
    assert (mask.voxel_size, mask.position) == (volume.voxel_size, volume.position)
    with pytest.raises(BlushError, match="not cubes"):
        mask_from_map(Volume(data, (1.5, 1.5, 1.0)), threshold=1.0, extend_angstrom=3.0, soft_edge_angstrom=6.0)


def test_masks_of_nothing():
    volume = smooth_noise((8, 8, 8))
    with pytest.raises(BlushError, match="No voxel reaches the mask's threshold of 99; the highest is"):
        soft_mask(volume, threshold=99)
    with pytest.raises(BlushError, match="Nothing is left of the mask after taking 50 voxels off"):
        soft_mask(volume, threshold=0.5, extend=-50)


@pytest.mark.relion
@pytest.mark.parametrize(
    ("extend", "soft_edge"), [(0, 0), (3, 0), (-2, 0), (0, 5), (3, 6), (5, 1), (-1, 4), (-3, 0), (2.5, 3.5)]
)
@pytest.mark.parametrize("shape", [(48, 48, 48), (40, 32, 24)])
def test_as_relion_mask_create(tmp_path, extend, soft_edge, shape):
    """The same voxels are inside; soft edges agree to 1e-6."""
    volume = smooth_noise(shape, seed=extend + 10 if extend == int(extend) else 3)
    volume = np.round(volume, 2)  # so that some voxels lie exactly at the threshold
    write_map(tmp_path / "in.mrc", Volume(volume, (1.5, 1.5, 1.5)))
    command = ["relion_mask_create", "--i", "in.mrc", "--o", "out.mrc", "--ini_threshold", "1.25"]
    command += ["--extend_inimask", str(extend), "--width_soft_edge", str(soft_edge)]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    theirs = read_map(tmp_path / "out.mrc").data
    ours = soft_mask(volume, threshold=1.25, extend=extend, soft_edge=soft_edge)
    assert 0 < (theirs == 1).mean() < 0.95
    np.testing.assert_array_equal(ours == 1, theirs == 1)
    np.testing.assert_array_equal(ours == 0, theirs == 0)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


def particle(noise, seed=0, n=64):
    """Overlapping blobs of one density in white noise, some 25 voxels across; returns it and the truth."""
    rng = np.random.default_rng(seed)
    seeds = np.zeros((n, n, n))
    for place in rng.normal(n // 2, n / 14, size=(60, 3)).round().astype(int):
        seeds[tuple(place)] = 1
    inside = ndimage.gaussian_filter(seeds, 2.0) > 0.002
    truth = ndimage.gaussian_filter(inside.astype(np.float32), 1.0)
    return truth + noise * rng.normal(size=truth.shape).astype(np.float32), inside


@pytest.mark.parametrize("noise", [0, 0.3, 1.0])
@pytest.mark.parametrize(("scale", "offset"), [(1, 0), (1e-5, 1e-5), (30, -300), (1, 1e5)])
def test_suggested_threshold_finds_the_particle(noise, scale, offset):
    noisy, inside = particle(noise)
    scaled = (scale * noisy + offset).astype(np.float32)
    smooth = lowpass(torch.from_numpy(scaled), 15.0, 2.0).numpy()
    above = smooth >= suggest_threshold(smooth)
    assert above[inside].mean() > 0.9
    assert above.sum() < 1.35 * inside.sum()


def test_no_threshold_is_suggested_for_a_particle_lost_in_noise():
    smooth = lowpass(torch.from_numpy(particle(8.0)[0]), 15.0, 2.0).numpy()
    with pytest.raises(BlushError, match="do not stand apart"):
        suggest_threshold(smooth)


def test_no_threshold_is_suggested_where_none_is_to_be_seen():
    with pytest.raises(BlushError, match="do not stand apart"):
        suggest_threshold(smooth_noise((32, 32, 32)))
    with pytest.raises(BlushError, match="constant"):
        suggest_threshold(np.ones((8, 8, 8), np.float32))
    with pytest.raises(BlushError, match="no finite numbers"):
        suggest_threshold(np.full((8, 8, 8), np.nan, np.float32))


@pytest.mark.shared_data
def test_suggested_threshold_on_a_real_map(shared_data):
    """Haemoglobin, 64 kDa: 78 nm³ of protein."""
    volume = read_map(shared_data / "maps" / "emd_3488.mrc")
    smooth = lowpass(torch.from_numpy(volume.data), 15.0, volume.voxel_size).numpy()
    enclosed = (smooth >= suggest_threshold(smooth)).sum() * math.prod(volume.voxel_size) / 1000
    assert 65 < enclosed < 120
