"""A small refinement problem whose every pose can be gone through."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from blushcore.inference import ImageModel, Particles
from blushcore.optics import CtfParameters, OpticsGroup, ctf
from blushcore.poses import euler_to_matrix
from blushcore.projection import FourierVolume
from blushcore.shells import PlaneComponents, images_from

BOX, PIXEL_SIZE, DIAMETER = 24, 4.0, 60.0


@dataclass(frozen=True)
class Problem:
    """Images of a known map in known poses."""

    reference: Tensor
    images: Tensor
    particles: Particles
    model: ImageModel
    angles_deg: Tensor
    offsets_px: Tensor

    def batches(self, indices, batch_size):
        for first in range(0, len(indices), batch_size):
            rows = indices[first : first + batch_size]
            yield rows, self.images[torch.from_numpy(rows)]


def blobs(n: int = BOX, seed: int = 5) -> Tensor:
    """A map of some Gaussian blobs without symmetry."""
    generator = np.random.default_rng(seed)
    axis = np.arange(n) - n // 2
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    volume = np.zeros((n, n, n))
    for _ in range(6):
        centre = generator.uniform(-0.2, 0.2, 3) * n
        squared = (z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2
        volume += generator.uniform(0.5, 1) * np.exp(-squared / 4)
    return torch.from_numpy(volume.astype(np.float32))


def make_problem(count: int = 6, noise: float = 1.0, seed: int = 0, groups: int = 1) -> Problem:
    generator = np.random.default_rng(seed)
    optics = [
        OpticsGroup(
            number=g + 1,
            name=f"group{g + 1}",
            voltage_kilovolts=300.0,
            spherical_aberration_mm=2.7,
            amplitude_contrast=0.1,
            pixel_size_angstrom=PIXEL_SIZE,
            box=BOX,
        )
        for g in range(groups)
    ]
    zeros = torch.zeros(count, dtype=torch.float64)
    parameters = CtfParameters(
        defocus_u_angstrom=torch.from_numpy(generator.uniform(10000, 20000, count)),
        defocus_v_angstrom=torch.from_numpy(generator.uniform(10000, 20000, count)),
        defocus_angle_deg=torch.from_numpy(generator.uniform(0, 180, count)),
        phase_shift_deg=zeros,
        b_factor=zeros,
        scale=zeros + 1,
    )
    angles = torch.from_numpy(
        np.stack(
            (
                generator.uniform(-180, 180, count),
                np.degrees(np.arccos(generator.uniform(-1, 1, count))),
                generator.uniform(-180, 180, count),
            ),
            -1,
        )
    )
    offsets = torch.from_numpy(generator.normal(0, 0.7, (count, 2)))
    reference = blobs()
    plane = PlaneComponents.of(BOX)
    slices = FourierVolume.of(reference).slices(euler_to_matrix(angles).float(), plane)
    clean = slices * ctf(optics[0], parameters, plane.kx, plane.ky) * plane.phase_ramps(offsets).conj()
    images = images_from(clean, plane)
    images = images + noise * torch.from_numpy(generator.normal(size=images.shape).astype(np.float32))
    variance = torch.full((BOX // 2 + 1,), noise**2 / 2 / BOX**2, dtype=torch.float64)
    particles = Particles(
        rows=np.arange(count),
        optics=optics,
        optics_index=torch.arange(count) % groups,
        ctf=parameters,
        angles_deg=angles,
        offsets_px=torch.zeros(count, 2, dtype=torch.float64),
        norm=zeros + 1,
        scale_group=torch.zeros(count, dtype=torch.int64),
    )
    model = ImageModel(
        noise_variance=[variance] * groups,
        scale=torch.ones(1, dtype=torch.float64),
        mean_norm=1.0,
        offset_sigma_angstrom=6.0,
        diameter_angstrom=DIAMETER,
    )
    return Problem(reference, images, particles, model, angles, offsets)
