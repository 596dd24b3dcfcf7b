"""Point-group symmetry: every image says the same about all mates of a component."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from blushcore.devices import kernel_threads
from blushcore.poses import SymmetryGroup
from blushcore.projection import PaddedGrid
from blushcore.reconstruction.half_sums import HalfSums
from blushcore.reconstruction.symmetry_kernels import add_mates


def symmetrise(sums: HalfSums, group: SymmetryGroup) -> HalfSums:
    """Return data and weight summed over the mates g·k of each component, for all g of a point group.

    Both are interpolated trilinearly at the mates, so that their ratio is that of inserting every image once
    for each operator. C1 returns the sums as they are.
    """
    if group.order == 1:
        return sums
    identity = torch.eye(3, dtype=group.matrices.dtype)
    others = group.matrices.cpu()
    others = others[(others - identity).abs().amax((1, 2)) > 1e-6].to(torch.float32)
    grid, device = sums.grid, sums.data.device
    data, weight = sums.data.clone(), sums.weight.clone()
    radius = grid.padding * (grid.last_shell + 0.5)
    if kernel_threads.has_kernels(device):
        kernel_threads.use_torch_threads()
        add_mates(
            torch.view_as_real(sums.data).numpy(),
            sums.weight[..., None].numpy(),
            grid.reach,
            np.float32(radius),
            others.contiguous().numpy(),
            _shared_out(grid.shape[0], torch.get_num_threads()),
            torch.view_as_real(data).numpy(),
            weight.numpy(),
        )
    else:
        _add_mates(sums, grid, radius, others.to(device), data, weight)
    return HalfSums(grid, data, weight)


def _shared_out(planes: int, threads: int) -> np.ndarray:
    """Return the planes so ordered that equal intervals of them have about equal work."""
    return np.concatenate([np.arange(first, planes, threads) for first in range(threads)])


def _add_mates(
    sums: HalfSums, grid: PaddedGrid, radius: float, operators: Tensor, data: Tensor, weight: Tensor
) -> None:
    """Do what `symmetry_kernels.add_mates` does, as torch operations."""
    reach = grid.reach
    volume = torch.view_as_real(sums.data).permute(3, 0, 1, 2)[None]
    weights = sums.weight[None, None]
    axis = torch.arange(-reach, reach + 1, dtype=torch.float32, device=data.device)
    scale = axis.new_tensor([2.0 / reach, 1.0 / reach, 1.0 / reach])
    offset = axis.new_tensor([1.0, 0.0, 0.0])
    for planes in grid.plane_blocks():
        z, y, x = torch.meshgrid(axis[planes], axis, axis[reach:], indexing="ij")
        inside = x**2 + y**2 + z**2 <= radius**2
        k = torch.stack((x, y, z), -1)[inside]
        total = data.new_zeros(len(k))
        total_weight = weight.new_zeros(len(k))
        for operator in operators:
            mates = k @ operator.T
            sign = torch.where(mates[:, 0] < 0, -1.0, 1.0)
            where = (mates * sign[:, None] * scale - offset)[None, None, None]
            parts = grid_sample(volume, where, "bilinear", align_corners=True)[0, :, 0, 0]
            total += torch.complex(parts[0], parts[1] * sign)
            total_weight += grid_sample(weights, where, "bilinear", align_corners=True)[0, 0, 0, 0]
        data[planes][inside] += total
        weight[planes][inside] += total_weight
