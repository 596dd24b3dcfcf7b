"""How finely poses can be told apart: the step at which a displaced slice would show in the likelihood."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from blushcore.inference.group_work import size_in_images
from blushcore.inference.model import ImageModel, Particles
from blushcore.optics import ctf
from blushcore.poses import euler_to_matrix
from blushcore.projection import FourierVolume
from blushcore.shells import PlaneComponents

PARTICLES = 100
_NOTICED = 4.605
"""Log-likelihood ratio of 99 to 1."""
_ANGLES_DEG = np.concatenate(
    [
        np.arange(0.05, 0.2, 0.05),
        np.arange(0.2, 1, 0.1),
        np.arange(1, 2, 0.2),
        np.arange(2, 5, 0.5),
        np.arange(5, 10, 1.0),
        np.arange(10, 20, 2.0),
        np.arange(20, 31, 5.0),
    ]
)
_OFFSETS_PX = np.concatenate(
    [
        np.arange(0.05, 0.2, 0.05),
        np.arange(0.2, 1, 0.1),
        np.arange(1, 2, 0.2),
        np.arange(2, 5, 0.5),
        np.arange(5, 10.5, 1.0),
    ]
)


@dataclass(frozen=True)
class Accuracy:
    """Mean over particles of the smallest displacement that would be noticed.

    Attributes
    ----------
    angle_deg
        Of one Euler angle, degrees; at most 30.
    offset_angstrom
        Of one coordinate.
    """

    angle_deg: float
    offset_angstrom: float


def estimate_accuracy(
    reference: Tensor,
    voxel_size_angstrom: float,
    current_size: int,
    particles: Particles,
    model: ImageModel,
    *,
    padding: int = 2,
    seed: int = 0,
) -> Accuracy:
    """Displace the poses of some particles step by step until Σ|CTF·ΔS|²/2σ² exceeds 4.605.

    Parameters
    ----------
    reference
        The map, ``(n, n, n)``.
    voxel_size_angstrom
        Of the map.
    current_size
        Up to where the particles are compared, pixels.
    particles
        At their last poses; at most `PARTICLES` of them are drawn.
    model
        Noise and scales.
    padding
        Of the Fourier volume.
    seed
        Of the draw of particles, of the angle of each that is displaced, and of the direction of its offset.
    """
    generator = np.random.default_rng(seed)
    drawn = generator.permutation(particles.count)[:PARTICLES]
    which_angle = generator.integers(0, 3, particles.count)
    which_axis = generator.integers(0, 2, particles.count)
    volume = FourierVolume.of(reference, current_size, padding=padding)
    angles, offsets = [], []
    for group, optics in enumerate(particles.optics):
        mine = drawn[(particles.optics_index[torch.from_numpy(drawn)] == group).numpy()]
        if len(mine) == 0:
            continue
        at = torch.from_numpy(mine)
        relative_size = optics.box * optics.pixel_size_angstrom / (volume.n * voxel_size_angstrom)
        magnification = optics.slice_magnification(relative_size, volume_box=volume.n)
        size = size_in_images(current_size, relative_size, optics.box)
        plane = PlaneComponents.of(optics.box, size, volume.device)
        transfer = ctf(optics, particles.ctf.take(at).to(volume.device), plane.kx, plane.ky)
        transfer = (
            transfer
            * (model.scale[particles.scale_group[at]].float().to(volume.device) * relative_size**-2)[:, None]
        )
        variance = model.noise_variance[group].to(volume.device)[plane.shell]
        sensitivity = transfer.double().square() / (2 * variance)
        poses = particles.angles_deg[at]

        def slices(
            poses: Tensor, plane: PlaneComponents = plane, magnification: Tensor | None = magnification
        ) -> Tensor:
            rotations = euler_to_matrix(poses).float().to(volume.device)
            return volume.slices(rotations, plane, magnification=magnification)

        here = slices(poses)
        noticed = np.full(len(mine), _ANGLES_DEG[-1])
        searching = np.ones(len(mine), bool)
        for step in _ANGLES_DEG:
            moved = poses.clone()
            moved[torch.arange(len(mine)), torch.from_numpy(which_angle[mine])] += step
            ratio = (sensitivity * (slices(moved) - here).abs().square()).sum(1).cpu().numpy()
            found = searching & (ratio > _NOTICED)
            noticed[found] = step
            searching &= ~found
            if not searching.any():
                break
        angles.append(noticed)

        k = torch.stack((plane.kx, plane.ky))[torch.from_numpy(which_axis[mine]).to(volume.device)].double()
        power = sensitivity * here.abs().square()
        noticed = np.full(len(mine), _OFFSETS_PX[-1])
        searching = np.ones(len(mine), bool)
        for step in _OFFSETS_PX:
            ratio = (power * 4 * torch.sin(torch.pi * k * step / optics.box).square()).sum(1).cpu().numpy()
            found = searching & (ratio > _NOTICED)
            noticed[found] = step
            searching &= ~found
            if not searching.any():
                break
        offsets.append(noticed * optics.pixel_size_angstrom)
    return Accuracy(float(np.concatenate(angles).mean()), float(np.concatenate(offsets).mean()))
