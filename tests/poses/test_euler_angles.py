"""Euler angles and matrices in RELION's convention."""

from __future__ import annotations

import pytest
import torch
from scipy.spatial.transform import Rotation

from blushcore.poses import direction_vectors, euler_to_matrix, matrix_to_euler


def random_angles(count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, generator=generator, dtype=torch.float64) * torch.tensor([360.0, 180.0, 360.0])


def test_a_matrix_is_the_transpose_of_an_intrinsic_zyz_rotation() -> None:
    angles = random_angles(50)
    expected = Rotation.from_euler("ZYZ", angles.numpy(), degrees=True).as_matrix().transpose(0, 2, 1)
    torch.testing.assert_close(euler_to_matrix(angles), torch.from_numpy(expected.copy()), atol=1e-14, rtol=0)


def test_angles_come_back_from_their_matrix() -> None:
    angles = random_angles(200)
    back = matrix_to_euler(euler_to_matrix(angles))
    apart = (back - angles + 180) % 360 - 180
    assert apart.abs().max() < 1e-9
    assert back[:, 1].min() >= 0
    assert back[:, [0, 2]].abs().max() <= 180


@pytest.mark.parametrize("tilt", [0.0, 180.0, 1e-7])
@pytest.mark.parametrize(("rot", "psi"), [(0.0, 0.0), (30.0, 100.0), (-170.0, 20.0), (90.0, -90.0)])
def test_the_poles_lose_no_rotation(rot: float, tilt: float, psi: float) -> None:
    matrix = euler_to_matrix(torch.tensor([rot, tilt, psi], dtype=torch.float64))
    torch.testing.assert_close(euler_to_matrix(matrix_to_euler(matrix)), matrix, atol=1e-8, rtol=0)


def test_the_third_row_is_the_direction_and_psi_turns_the_image() -> None:
    angles = random_angles(20)
    matrices = euler_to_matrix(angles)
    torch.testing.assert_close(matrices[:, 2], direction_vectors(angles[:, :2]))
    in_plane, view = angles.clone(), angles.clone()
    in_plane[:, :2] = 0
    view[:, 2] = 0
    torch.testing.assert_close(euler_to_matrix(in_plane) @ euler_to_matrix(view), matrices)


def test_single_precision_is_rounded_only_once() -> None:
    angles = random_angles(100).float()
    matrices = euler_to_matrix(angles)
    assert matrices.dtype == torch.float32
    torch.testing.assert_close(matrices.double(), euler_to_matrix(angles.double()), atol=6e-8, rtol=0)
    assert matrix_to_euler(matrices).dtype == torch.float32
