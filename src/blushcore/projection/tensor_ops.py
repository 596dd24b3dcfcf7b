"""Slicing and inserting as torch operations: for devices without compiled kernels, same results to rounding."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

_POINTS_AT_A_TIME = 1 << 24


def slice_into(
    parts: Tensor, components: Tensor, reach: int, rotations: Tensor, kx: Tensor, ky: Tensor
) -> None:
    """Fill ``parts`` (O, 2, P; real, imaginary) with slices of a half transform; see `slice_kernels`."""
    volume = torch.view_as_real(components).permute(3, 0, 1, 2)[None]
    scale = kx.new_tensor([2.0 / reach, 1.0 / reach, 1.0 / reach])
    offset = kx.new_tensor([1.0, 0.0, 0.0])
    for some in _batches(len(rotations), len(kx)):
        points, sign = _points(rotations[some], kx, ky)
        sampled = grid_sample(volume, (points * scale - offset)[None, None], "bilinear", align_corners=True)[
            0, :, 0
        ]
        parts[some, 0] = sampled[0]
        parts[some, 1] = sampled[1] * sign


def insert_from(
    data: Tensor,
    weight: Tensor,
    reach: int,
    rotations: Tensor,
    kx: Tensor,
    ky: Tensor,
    values: Tensor,
    weights: Tensor,
) -> None:
    """Add slices ``values`` (O, P) complex and ``weights`` (O, P) to a half transform; see `insert_kernels`."""
    _, y_size, x_size = weight.shape
    flat_data, flat_weight = data.view(-1), weight.view(-1)
    for some in _batches(len(rotations), len(kx)):
        points, sign = _points(rotations[some], kx, ky)
        points = points + points.new_tensor([0.0, reach, reach])
        corner = points.floor()
        fraction = points - corner
        x, y, z = corner.long().unbind(-1)
        index = (z * y_size + y) * x_size + x
        taken = torch.complex(values[some].real, values[some].imag * sign)
        for dz in (0, 1):
            for dy in (0, 1):
                for dx in (0, 1):
                    steps = fraction.new_tensor([dx, dy, dz])
                    share = (1 - steps + (2 * steps - 1) * fraction).prod(-1)
                    where = (index + ((dz * y_size + dy) * x_size + dx)).flatten()
                    flat_data.index_add_(0, where, (taken * share).flatten())
                    flat_weight.index_add_(0, where, (weights[some] * share).flatten())


def _points(rotations: Tensor, kx: Tensor, ky: Tensor) -> tuple[Tensor, Tensor]:
    """Return positions ``(O, P, 3)`` (x, y, z) with x ≥ 0, and −1 where that took the opposite, ``(O, P)``."""
    points = kx[None, :, None] * rotations[:, None, 0] + ky[None, :, None] * rotations[:, None, 1]
    sign = torch.where(points[..., 0] < 0, -1.0, 1.0).to(points.dtype)
    return points * sign[..., None], sign


def _batches(count: int, points: int) -> list[slice]:
    step = max(1, _POINTS_AT_A_TIME // max(points, 1))
    return [slice(start, min(start + step, count)) for start in range(0, count, step)]
