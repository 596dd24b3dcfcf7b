"""Sums of slices: the transpose of slicing, the same for any number of threads, against torch operations."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from blushcore.projection import FourierVolume, PaddedGrid, SliceSums, sums_bytes
from blushcore.projection.slice_sums import _slabs
from blushcore.projection.tensor_ops import insert_from
from blushcore.shells.plane import PlaneComponents


def some_slices(plane: PlaneComponents, count: int = 40) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(3)
    poses = torch.from_numpy(Rotation.random(count, random_state=4).as_matrix())
    return poses, torch.randn(count, plane.count, dtype=torch.complex64), torch.rand(count, plane.count)


@pytest.mark.parametrize(
    ("n", "size", "padding"), [(32, 32, 2), (33, 34, 2), (32, 18, 2), (24, 24, 1), (24, 20, 3)]
)
@pytest.mark.parametrize("magnified", [False, True])
def test_inserting_is_the_transpose_of_slicing(n: int, size: int, padding: int, magnified: bool) -> None:
    plane = PlaneComponents.of(n)
    poses, data, weights = some_slices(plane)
    magnification = torch.tensor([[1.03, 0.02], [-0.01, 0.97]]) if magnified else None
    sums = SliceSums(n, size, padding)
    volume = FourierVolume(sums.grid, torch.randn(sums.grid.shape, dtype=torch.complex64))
    slices = volume.slices(poses, plane, magnification=magnification)
    data += slices  # or the products would be what is left of a sum over random signs
    sums.insert(poses, data, weights, plane, magnification=magnification)
    left = torch.sum(slices.conj() * data, dtype=torch.complex128).real
    right = torch.sum(volume.components.conj() * sums.data, dtype=torch.complex128).real
    assert left == pytest.approx(float(right), rel=1e-5)
    # The weights go the same way as the data, without the conjugation.
    flat = FourierVolume(sums.grid, torch.rand(sums.grid.shape).to(torch.complex64))
    real = flat.slices(poses, plane, magnification=magnification).real
    left = torch.sum(real * weights, dtype=torch.float64)
    right = torch.sum(flat.components.real * sums.weight, dtype=torch.float64)
    assert left == pytest.approx(float(right), rel=1e-5)


def test_every_weight_arrives() -> None:
    plane = PlaneComponents.of(32)
    poses, data, weights = some_slices(plane)
    sums = SliceSums(32)
    sums.insert(poses, data, weights, plane)
    assert sums.weight.sum(dtype=torch.float64) == pytest.approx(
        float(weights.sum(dtype=torch.float64)), rel=1e-6
    )
    small = SliceSums(32, 20)
    small.insert(poses, data, weights, plane)
    inside = weights[:, plane.shell <= 10].sum(dtype=torch.float64)
    assert small.weight.sum(dtype=torch.float64) == pytest.approx(float(inside), rel=1e-6)


def test_threads_and_slabs_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    plane = PlaneComponents.of(32)
    poses, data, weights = some_slices(plane, 60)
    poses[:30] = torch.from_numpy(
        Rotation.from_euler("z", np.linspace(0, 6, 30)[:, None]).as_matrix()
    )  # top views
    results = []
    before = torch.get_num_threads()
    for threads, slab_bytes in [(1, 1 << 30), (2, 1 << 30), (2, 1 << 18), (1, 1 << 12)]:
        monkeypatch.setattr("blushcore.projection.slice_sums._SLAB_BYTES", slab_bytes)
        torch.set_num_threads(threads)
        sums = SliceSums(32)
        sums.insert(poses, data, weights, plane)
        results.append(sums)
    torch.set_num_threads(before)
    for other in results[1:]:
        assert torch.equal(other.data, results[0].data)
        assert torch.equal(other.weight, results[0].weight)


def test_small_batches_give_the_same_to_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    plane = PlaneComponents.of(24)
    poses, data, weights = some_slices(plane)
    at_once, in_parts = SliceSums(24), SliceSums(24)
    at_once.insert(poses, data, weights, plane)
    monkeypatch.setattr("blushcore.projection.slice_sums._SORTED_BYTES", 1)
    in_parts.insert(poses, data, weights, plane)
    assert torch.allclose(in_parts.data, at_once.data, atol=1e-4)
    assert torch.allclose(in_parts.weight, at_once.weight, atol=1e-4)


def test_slabs_cover_all_planes_with_equal_shares() -> None:
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 20, (5, 60))
    first = np.concatenate([np.zeros((5, 1), int), np.cumsum(counts, 1)], 1)
    edges = _slabs(first, 4)
    assert edges[0] == 0
    assert edges[-1] == 60
    assert (np.diff(edges) > 0).all()
    shares = [counts[:, a:b].sum() for a, b in pairwise(edges)]
    assert max(shares) < 1.3 * min(shares)
    empty = _slabs(np.zeros((2, 61), int), 4)  # nothing at all, and still every plane has an owner
    assert empty[0] == 0
    assert empty[-1] == 60


def test_torch_operations_agree_with_the_inserting_kernels() -> None:
    plane = PlaneComponents.of(32)
    poses, data, weights = some_slices(plane)
    expected, sums = SliceSums(32), SliceSums(32)
    expected.insert(poses, data, weights, plane)
    insert_from(
        sums.data,
        sums.weight,
        sums.grid.reach,
        poses.float(),
        plane.kx.float() * 2,
        plane.ky.float() * 2,
        data,
        weights,
    )
    assert (sums.data - expected.data).abs().max() < 1e-5 * expected.data.abs().max()
    assert (sums.weight - expected.weight).abs().max() < 1e-5 * expected.weight.abs().max()


def test_sums_of_two_ranks_add_up() -> None:
    plane = PlaneComponents.of(24)
    poses, data, weights = some_slices(plane)
    both, one, two = SliceSums(24), SliceSums(24), SliceSums(24)
    both.insert(poses, data, weights, plane)
    one.insert(poses[:15], data[:15], weights[:15], plane)
    two.insert(poses[15:], data[15:], weights[15:], plane)
    one.add(two)
    assert torch.allclose(one.data, both.data, atol=1e-4)
    assert torch.allclose(one.weight, both.weight, atol=1e-4)
    with pytest.raises(ValueError, match="cannot be added"):
        one.add(SliceSums(24, 20))


def test_nothing_and_nonsense() -> None:
    plane = PlaneComponents.of(24)
    poses, data, weights = some_slices(plane)
    sums = SliceSums(24)
    sums.insert(poses[:0], data[:0], weights[:0], plane)
    assert not sums.weight.any()
    with pytest.raises(ValueError, match="are not both"):
        sums.insert(poses, data[:, 1:], weights, plane)
    poses[7] = torch.inf
    with pytest.raises(ValueError, match="matrix 7 of 40 is no rotation"):
        sums.insert(poses, data, weights, plane)
    assert not sums.weight.any()


def test_the_bytes_are_those_of_the_tensors() -> None:
    sums = SliceSums(32, 20)
    assert sums_bytes(32, 20) == sums.data.nbytes + sums.weight.nbytes
    assert sums_bytes(512, 512) == pytest.approx(6.6e9, rel=0.02)  # DESIGN's figure for a box of 512
    data, weight = sums.take()
    assert data.shape == PaddedGrid(32, 20).shape == weight.shape
    assert sums.data.numel() == sums.weight.numel() == 0
