"""Slices of a map on its way through the denoiser: as they stand, and at once from a slab."""

from __future__ import annotations

import pytest
import torch
from block_denoisers import Mixing, Scaling

from blushcore.denoiser import MapDenoising, Slab, Slice, slice_is_exact, slice_of_result

CASES = [
    ((70, 60, 50), (1.5, 1.5, 1.5), 0, 40),
    ((70, 60, 50), (1.5, 1.5, 1.5), 2, 49),
    ((63, 64, 65), (1.5, 1.5, 1.5), 1, 0),
    ((80, 71, 80), (1.1, 1.1, 1.1), 0, 31),
    ((33, 40, 36), (3.0, 3.0, 3.0), 2, 20),
]


def random_map(shape, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def in_part(denoising: MapDenoising, blocks: int) -> None:
    run = denoising.run()
    for _ in range(blocks + 1):
        next(run)


@pytest.mark.parametrize(("shape", "voxel_size", "axis", "index"), CASES)
def test_the_slice_of_a_finished_map_is_that_of_the_result(shape, voxel_size, axis, index):
    denoising = MapDenoising(Mixing(batch_size=3), random_map(shape), voxel_size, diameter=70)
    for _ in denoising.run():
        pass
    where = Slice(axis, index)
    assert slice_is_exact(denoising, where)
    expected = denoising.result().map.select(axis, index)
    torch.testing.assert_close(slice_of_result(denoising, where), expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_on_the_networks_grid_a_slice_is_exact_once_its_blocks_are_done(axis):
    where = Slice(axis, 20)
    denoising = MapDenoising(Mixing(batch_size=1), random_map((90, 90, 90)), (1.5,) * 3, focus=lambda: where)
    crossing = denoising.across(where)
    assert 0 < len(crossing) < len(denoising.tiling.origins)
    in_part(denoising, len(crossing) - 1)
    assert not slice_is_exact(denoising, where)
    in_part(denoising, 1)
    assert slice_is_exact(denoising, where)
    early = slice_of_result(denoising, where)
    torch.testing.assert_close(early, denoising.result().map.select(axis, 20), rtol=0, atol=2e-5)
    for _ in denoising.run():
        pass
    assert torch.equal(early, slice_of_result(denoising, where))


def test_blocks_nearest_to_where_the_eye_rests_come_first():
    where = Slice(0, 45, centre=(5.0, 80.0))
    denoising = MapDenoising(Scaling(0.5, batch_size=1), random_map((90,) * 3), (1.5,) * 3, focus=lambda: where)
    assert denoising.place(where) == (45, 5, 80)
    before = denoising.left
    in_part(denoising, 1)
    ((z, y, x),) = before - denoising.left
    assert z <= 45 < z + 64
    assert y < 10
    assert x > 20


@pytest.mark.parametrize(("shape", "voxel_size", "axis", "index"), [CASES[0], CASES[1], CASES[3], CASES[4]])
def test_a_slab_stands_in_for_the_blocks(shape, voxel_size, axis, index):
    """With a denoiser that sees no further than its neighbours, the slab is as good as the blocks."""
    denoiser, where = Mixing(batch_size=1), Slice(axis, index)
    denoising = MapDenoising(denoiser, random_map(shape), voxel_size)
    bare = slice_of_result(denoising, where)
    slab = Slab(denoising, where)
    assert slab.serves(denoising, where)
    for _ in slab.run(denoising, denoiser):
        pass
    assert slab.whole
    quick = slice_of_result(denoising, where, slab)
    for _ in denoising.run():
        pass
    final = slice_of_result(denoising, where)
    same_grid = voxel_size[0] == 1.5
    error = float((quick - final).norm() / (bare - final).norm())
    assert error < (0.01 if same_grid else 0.15)  # between planes, an interim picture is interpolated


def test_a_slab_serves_its_neighbours_and_no_others():
    denoising = MapDenoising(Scaling(), random_map((96, 40, 40)), (1.5,) * 3)
    slab = Slab(denoising, Slice(0, 48))
    served = [index for index in range(96) if slab.serves(denoising, Slice(0, index))]
    assert served == list(range(44, 53))
    assert not slab.serves(denoising, Slice(1, 20))
    assert slab.change(48) is not None
    assert slab.change(60) is None


def test_wide_slices_are_tiled_from_the_eye_outwards():
    denoiser = Mixing(batch_size=1)
    denoising = MapDenoising(denoiser, random_map((34, 300, 150)), (1.5,) * 3)
    where = Slice(0, 17, centre=(280.0, 75.0))
    slab = Slab(denoising, where)
    run = slab.run(denoising, denoiser)
    next(run)
    change = slab.change(17)
    assert float(change[260:].abs().max()) > 0.1
    assert float(change[:100].abs().max()) == 0
    for _ in run:
        pass
    for _ in denoising.run():
        pass
    final = denoising.volumes.estimate[17] - denoising.volumes.standardised[17]
    inside = denoising.volumes.mask[17] > 0
    assert float((slab.change(17) - final)[inside].norm() / final[inside].norm()) < 0.01


def test_as_blocks_come_in_the_slab_gives_way():
    denoiser, where = Scaling(0.0, batch_size=1), Slice(0, 45)
    denoising = MapDenoising(denoiser, random_map((90,) * 3), (1.5,) * 3, focus=lambda: where)
    wrong = Slab(denoising, where)
    for _ in wrong.run(denoising, Scaling(1.0)):
        pass
    errors = []
    total = len(denoising.across(where))
    for _ in range(total):
        errors.append(float(slice_of_result(denoising, where, wrong).std()))
        in_part(denoising, 1)
    errors.append(float(slice_of_result(denoising, where, wrong).std()))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-3 * errors[0]
