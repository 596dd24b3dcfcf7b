"""Central slices: against closed forms, their own definition, RELION, and the torch operations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from blushcore.projection import FourierVolume
from blushcore.projection.tensor_ops import slice_into
from blushcore.shells.plane import PlaneComponents, images_from, transform_images
from relion_projections import Views, blobs, relion_project


def rotations(count: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(Rotation.random(count, random_state=seed).as_matrix())


def random_map(n: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(blobs(n, np.random.default_rng(seed)))


@pytest.mark.parametrize(("n", "padding"), [(64, 2), (63, 2), (48, 3)])
def test_gaussians_are_projected_to_a_percent(n: int, padding: int) -> None:
    rng = np.random.default_rng(1)
    width = 2.2
    centres = rng.uniform(-0.14 * n, 0.14 * n, (8, 3))  # x, y, z
    axis = np.arange(n) - n // 2
    volume = sum(
        np.exp(-((axis[:, None, None] - z) ** 2 + (axis[:, None] - y) ** 2 + (axis - x) ** 2) / (2 * width**2))
        for x, y, z in centres
    )
    poses = rotations(5, 2)
    plane = PlaneComponents.of(n)
    slices = FourierVolume.of(torch.from_numpy(volume), padding=padding).slices(poses, plane)
    images = images_from(slices, plane).numpy()
    within = np.hypot(axis[:, None], axis) < 0.35 * n
    for image, pose in zip(images, poses.numpy(), strict=True):
        expected = sum(
            np.sqrt(2 * np.pi) * width * np.exp(-((axis[:, None] - y) ** 2 + (axis - x) ** 2) / (2 * width**2))
            for x, y, _ in centres @ pose.T
        )
        expected -= expected.mean()  # slices have no origin
        assert np.abs(image - expected)[within].max() < 0.01 * np.ptp(expected)


def test_the_identity_gives_the_transform_of_the_sum_along_z() -> None:
    n = 32
    volume = random_map(n)
    plane = PlaneComponents.of(n)
    slices = FourierVolume.of(volume, correct_gridding=False).slices(torch.eye(3)[None], plane)
    expected = transform_images(volume.sum(0), plane)
    assert (slices[0] - expected).abs().max() < 1e-5 * expected.abs().max()


@pytest.mark.parametrize("n", [32, 33])
def test_a_half_turn_about_the_beam_gives_the_conjugate(n: int) -> None:
    # The slice runs over k and the turned one over −k: on every point the half transform is left and right.
    volume = FourierVolume.of(random_map(n))
    plane = PlaneComponents.of(n)
    poses = torch.cat([torch.eye(3)[None].double(), rotations(20)])
    turn = torch.diag(torch.tensor([-1.0, -1.0, 1.0])).double()
    there, back = volume.slices(poses, plane), volume.slices(turn @ poses, plane)
    assert (there - back.conj()).abs().max() < 1e-5 * there.abs().max()


def test_slices_vary_smoothly_through_the_plane_x_0() -> None:
    # Views along x: all points of the slice lie within rounding of x = 0, on either side of it.
    volume = FourierVolume.of(random_map(48))
    plane = PlaneComponents.of(48)
    along_x = Rotation.from_euler("y", 90, degrees=True).as_matrix()
    tilts = [Rotation.from_euler("y", a).as_matrix() @ along_x for a in (-1e-6, 0.0, 1e-6)]
    before, at, after = volume.slices(torch.from_numpy(np.stack(tilts)), plane)
    assert (before - at).abs().max() < 2e-3 * at.abs().max()
    assert (after - at).abs().max() < 2e-3 * at.abs().max()


def test_there_is_nothing_beyond_the_current_size() -> None:
    n = 48
    plane = PlaneComponents.of(n)
    full, small = FourierVolume.of(random_map(n)), FourierVolume.of(random_map(n), 20)
    poses = rotations(7)
    expected, slices = full.slices(poses, plane), small.slices(poses, plane)
    inside = plane.shell <= 10
    assert (slices[:, ~inside] == 0).all()
    assert torch.allclose(slices[:, inside], expected[:, inside], atol=1e-5 * float(expected.abs().max()))
    assert small.components.numel() < full.components.numel() / 8


def test_the_two_layouts_hold_the_same() -> None:
    plane = PlaneComponents.of(32)
    for size in (32, 20):
        volume = FourierVolume.of(random_map(32), size)
        slices = volume.slices(rotations(9), plane)
        real = volume.slices_real(rotations(9), plane)
        torch.testing.assert_close(real, torch.cat([slices.real, slices.imag], 1), rtol=1e-5, atol=1e-6)


def test_slices_go_where_they_are_told() -> None:
    plane = PlaneComponents.of(24)
    volume = FourierVolume.of(random_map(24))
    place = torch.full((3, plane.count), torch.nan, dtype=torch.complex64)
    assert volume.slices(rotations(3), plane, out=place) is place
    assert torch.equal(place, volume.slices(rotations(3), plane))
    with pytest.raises(ValueError, match="contiguous complex64"):
        volume.slices(rotations(3), plane, out=place[:, 1:])


@pytest.mark.parametrize("threads", [1, 2])
def test_the_number_of_threads_changes_nothing(threads: int) -> None:
    plane = PlaneComponents.of(32)
    volume = FourierVolume.of(random_map(32))
    expected = volume.slices(rotations(50), plane)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert torch.equal(volume.slices(rotations(50), plane), expected)
    finally:
        torch.set_num_threads(before)


def test_torch_operations_agree_with_the_kernels() -> None:
    plane = PlaneComponents.of(48)
    volume = FourierVolume.of(random_map(48))
    poses = rotations(30).float()
    expected = volume.slices(poses, plane)
    parts = torch.empty(30, 2, plane.count)
    slice_into(parts, volume.components, volume.grid.reach, poses, plane.kx.float() * 2, plane.ky.float() * 2)
    error = (torch.complex(parts[:, 0], parts[:, 1]) - expected).abs().max()
    assert error < 1e-5 * expected.abs().max()


def test_a_magnification_moves_the_points() -> None:
    # Twice the frequency in a plane of n is the frequency of the same number in a plane of n/2 doubled.
    n = 32
    volume = FourierVolume.of(random_map(n))
    plane = PlaneComponents.of(n)
    poses = rotations(6)
    plain = volume.slices(poses, plane)
    doubled = volume.slices(poses, plane, magnification=2 * torch.eye(2))
    where = {(int(x), int(y)): i for i, (x, y) in enumerate(zip(plane.kx, plane.ky, strict=True))}
    for i, (x, y) in enumerate(zip(plane.kx.tolist(), plane.ky.tolist(), strict=True)):
        if np.hypot(2 * x, 2 * y) >= n // 2 + 0.5:
            assert (doubled[:, i] == 0).all()
        elif (2 * x, 2 * y) in where:
            assert torch.allclose(doubled[:, i], plain[:, where[2 * x, 2 * y]], rtol=1e-4, atol=1e-4)
    swapped = volume.slices(poses, plane, magnification=torch.tensor([[0.0, 1.0], [-1.0, 0.0]]))
    turned = Rotation.from_euler("z", 90, degrees=True).as_matrix()  # of the image's axes: (kx, ky) → (ky, −kx)
    assert torch.allclose(swapped, volume.slices(torch.from_numpy(turned) @ poses, plane), atol=1e-4)


def test_another_box_needs_a_magnification() -> None:
    volume = FourierVolume.of(random_map(32))
    plane = PlaneComponents.of(48)
    with pytest.raises(ValueError, match="magnification"):
        volume.slices(rotations(1), plane)
    same_extent = volume.slices(rotations(1), plane, magnification=torch.eye(2))
    assert torch.allclose(
        same_extent[:, :20], volume.slices(rotations(1), PlaneComponents.of(32))[:, :20], atol=1e-4
    )


def test_what_is_no_rotation_is_refused() -> None:
    volume = FourierVolume.of(random_map(24))
    plane = PlaneComponents.of(24)
    poses = rotations(3)
    poses[1, 0, 0] = torch.nan
    with pytest.raises(ValueError, match="matrix 1 of 3 is no rotation"):
        volume.slices(poses, plane)
    with pytest.raises(ValueError, match="is no rotation"):
        volume.slices(1.1 * rotations(3), plane)
    with pytest.raises(ValueError, match=r"not \(O, 3, 3\)"):
        volume.slices(rotations(3)[0], plane)
    with pytest.raises(ValueError, match=r"not \(n, n, n\)"):
        FourierVolume.of(torch.zeros(8, 8, 10))


def test_a_map_with_nan_makes_slices_with_nan() -> None:
    volume = random_map(24)
    volume[3, 4, 5] = torch.nan
    slices = FourierVolume.of(volume).slices(rotations(3), PlaneComponents.of(24))
    assert slices.isnan().all()


@pytest.mark.relion
@pytest.mark.parametrize("options", ["", "--ctf"])
def test_projections_are_relions(tmp_path: Path, options: str) -> None:
    n = 48
    rng = np.random.default_rng(5)
    volume, views = blobs(n, rng), Views.random(12, rng)
    theirs = torch.from_numpy(relion_project(tmp_path, volume, views, options))
    plane = PlaneComponents.of(n)
    slices = FourierVolume.of(torch.from_numpy(volume)).slices(torch.from_numpy(views.rotations()), plane)
    if options:
        slices = slices * torch.from_numpy(views.ctf(plane.kx.numpy(), plane.ky.numpy(), n)).float()
    expected = transform_images(theirs, plane)
    # RELION ends at a radius of n/2, which runs through the last shell.
    within = plane.shell < n // 2
    difference = (slices - expected)[:, within]
    assert difference.norm() < 1e-4 * expected[:, within].norm()
    assert (difference.abs().amax(1) < 1e-3 * expected.abs().amax(1)).all()
    for shell in (5, 10, 20):
        here = (plane.shell == shell)[within]
        assert difference[:, here].norm() < 1e-3 * expected[:, within][:, here].norm()
