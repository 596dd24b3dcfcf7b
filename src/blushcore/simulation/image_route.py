"""The honest route to half-maps: image by image, with CTF and noise, put back at poses that are not true.

Nothing of what the fast route assumes is put in: that noise falls with the density of planes, that errors of
the poses blur outwards, that preferred views leave cones of little signal. It all comes about. Images are made
and inserted in Fourier space, where cutting out a box does nothing to them.

Maps are linear in the images. So the reconstructions of signal and of noise are made apart, once, and put
together at the noise level that gives the resolution wanted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own convention

from blushcore.optics import CtfParameters, OpticsGroup, ctf
from blushcore.poses import euler_to_matrix
from blushcore.projection import FourierVolume, SliceSums
from blushcore.reconstruction import HalfSums, unregularised_map
from blushcore.shells import fsc
from blushcore.shells.plane import PlaneComponents
from blushcore.simulation.acquisition import Acquisition
from blushcore.simulation.half_maps import HalfMaps, usual_b_factor
from blushcore.simulation.views import PreferredView, draw_viewing_angles

_BATCH = 256
_CONFORMERS = 5
_PATCH_ANGSTROM = 25.0
"""Over such distances the motion of flexible parts is alike."""
_NOISE_FREQUENCY = 0.03
"""1/Å, below which images are noisier."""
_WANTED_FSC = 1 / 7
_BISECTIONS = 30


@dataclass(frozen=True)
class ImageStatistics:
    """What the images and their poses are like.

    Attributes
    ----------
    resolution
        Where the FSC of the half-maps inside the particle's mask shall be 1/7, Å.
    particles
        Images in each half.
    angular_error_deg, offset_error_angstrom
        Standard deviations of the poses that images are put back at from the true ones, about each axis.
    wrong_share
        Of images with a pose that has nothing to do with the true one.
    flexibility_angstrom
        Standard deviation of the motion of flexible parts.
    b_factor
        Of the signal in images, Å².
    noise_colour
        By how many times its white level the noise's power is larger at the lowest frequencies.
    views
        Preferred views besides uniform ones, in place of the acquisition's; None for those.
    """

    resolution: float
    particles: int = 2000
    angular_error_deg: float = 1.0
    offset_error_angstrom: float = 0.5
    wrong_share: float = 0.0
    flexibility_angstrom: float = 0.0
    b_factor: float = 80.0
    noise_colour: float = 2.0
    views: tuple[PreferredView, ...] | None = None


def draw_image_statistics(
    resolution: float, generator: np.random.Generator, *, largest_particles: int = 4000
) -> ImageStatistics:
    """Draw what the images of a reconstruction of some resolution (Å) may have been like."""
    return ImageStatistics(
        resolution=resolution,
        particles=round(float(np.exp(generator.uniform(np.log(500), np.log(largest_particles))))),
        angular_error_deg=float(generator.uniform(0.2, 0.5)) * resolution,
        offset_error_angstrom=float(generator.uniform(0.05, 0.2)) * resolution,
        wrong_share=float(generator.uniform(0, 0.2)) if generator.random() < 0.5 else 0.0,
        flexibility_angstrom=float(generator.uniform(0, 0.5)) * resolution if generator.random() < 0.5 else 0.0,
        b_factor=float(np.clip(0.7 * usual_b_factor(resolution) * np.exp(generator.normal(0, 0.4)), 0, 600)),
        noise_colour=float(generator.uniform(0, 4)),
    )


def half_maps_from_images(
    density: Tensor,
    mask: Tensor,
    voxel_size: float,
    acquisition: Acquisition,
    statistics: ImageStatistics,
    generator: np.random.Generator,
) -> HalfMaps:
    """Make images of a density, reconstruct both halves of them, and return the unregularised half-maps.

    Parameters
    ----------
    density, mask, voxel_size
        As those of `simulate_half_maps`.
    acquisition
        Microscope, defocus and views.
    statistics
        Images and the errors of their poses.
    generator
        Of all that is drawn.

    Returns
    -------
    HalfMaps
        Their `signal` is the mean of the two reconstructions of images without noise.
    """
    volumes = [FourierVolume.of(copy) for copy in _conformers(density, voxel_size, statistics, generator)]
    halves = [_Half(volumes, voxel_size, acquisition, statistics, generator) for _ in range(2)]
    signals, noises = zip(*(half.reconstruct() for half in halves), strict=True)
    level = _noise_level(signals, noises, mask, voxel_size, statistics.resolution)
    half1, half2 = (signal + level * noise for signal, noise in zip(signals, noises, strict=True))
    return HalfMaps(half1, half2, (signals[0] + signals[1]) / 2)


class _Half:
    """Images of one half and what becomes of them."""

    def __init__(
        self,
        volumes: list[FourierVolume],
        voxel_size: float,
        acquisition: Acquisition,
        statistics: ImageStatistics,
        generator: np.random.Generator,
    ) -> None:
        self._volumes, self._statistics = volumes, statistics
        n = volumes[0].n
        self._plane = plane = PlaneComponents.of(n)
        self._group = OpticsGroup(
            number=1,
            name="opticsGroup1",
            voltage_kilovolts=acquisition.voltage_kilovolts,
            spherical_aberration_mm=acquisition.spherical_aberration_mm,
            amplitude_contrast=acquisition.amplitude_contrast,
            pixel_size_angstrom=voxel_size,
            box=n,
        )
        self._voxel_size = voxel_size
        count = statistics.particles
        if statistics.views is None:
            angles = acquisition.draw_angles(count, generator)
        else:
            angles = draw_viewing_angles(count, statistics.views, generator)
        self._true = euler_to_matrix(torch.from_numpy(angles)).float()
        self._assumed = _disturbed(self._true, statistics, generator)
        self._shows = torch.from_numpy(generator.integers(0, len(volumes), count))
        self._defocus = acquisition.draw_defocus(count, generator)
        frequency = plane.shell.float() / (n * voxel_size)
        self._damping = torch.exp(-statistics.b_factor / 4 * frequency**2)
        self._noise_power = 1 + statistics.noise_colour * torch.exp(-((frequency / _NOISE_FREQUENCY) ** 2))
        error_px = statistics.offset_error_angstrom / voxel_size
        self._offsets_px = torch.from_numpy(generator.normal(0, max(error_px, 1e-9), (count, 2)))
        self._random = torch.Generator().manual_seed(int(generator.integers(2**63)))

    def reconstruct(self) -> tuple[Tensor, Tensor]:
        """Return the maps of signal and of noise alone, whose sum is the half-map."""
        n = self._plane.n
        signal_sums, noise_sums = SliceSums(n), SliceSums(n)
        for first in range(0, self._statistics.particles, _BATCH):
            rows = slice(first, min(first + _BATCH, self._statistics.particles))
            transfer = ctf(
                self._group, CtfParameters.of(*self._defocus[rows].T), self._plane.kx, self._plane.ky
            )
            weights = transfer**2 / self._noise_power
            signal = self._projections(rows) * self._plane.phase_ramps(self._offsets_px[rows])
            signal *= self._damping * weights
            noise = self._noise(len(weights)) * transfer / self._noise_power
            for sums, data in ((signal_sums, signal), (noise_sums, noise)):
                sums.insert(self._assumed[rows], data, weights, self._plane)
        signal_map, noise_map = (unregularised_map(HalfSums.of(sums)) for sums in (signal_sums, noise_sums))
        return signal_map, noise_map

    def _projections(self, rows: slice) -> Tensor:
        shows, rotations = self._shows[rows], self._true[rows]
        slices = torch.empty((len(shows), self._plane.count), dtype=torch.complex64)
        for index, volume in enumerate(self._volumes):
            mine = shows == index
            if bool(mine.any()):
                slices[mine] = volume.slices(rotations[mine], self._plane)
        return slices

    def _noise(self, count: int) -> Tensor:
        parts = torch.randn((count, self._plane.count, 2), generator=self._random)
        return torch.view_as_complex(parts) * self._noise_power.sqrt()


def _disturbed(rotations: Tensor, statistics: ImageStatistics, generator: np.random.Generator) -> Tensor:
    """Turn by small angles about all three axes; some orientations are drawn anew."""
    count = len(rotations)
    vectors = np.radians(generator.normal(0, statistics.angular_error_deg, (count, 3)))
    small = torch.linalg.matrix_exp(_cross_product_matrices(torch.from_numpy(vectors))).float()
    found: Tensor = small @ rotations
    wrong = torch.from_numpy(generator.random(count) < statistics.wrong_share)
    others = torch.from_numpy(generator.permutation(count))
    found[wrong] = rotations[others][wrong]
    return found


def _cross_product_matrices(vectors: Tensor) -> Tensor:
    x, y, z = vectors.unbind(-1)
    nothing = torch.zeros_like(x)
    rows = (nothing, -z, y, z, nothing, -x, -y, x, nothing)
    return torch.stack(rows, -1).view(*vectors.shape[:-1], 3, 3)


def _conformers(
    density: Tensor, voxel_size: float, statistics: ImageStatistics, generator: np.random.Generator
) -> list[Tensor]:
    """Return copies of the density whose flexible parts are moved, each voxel by its own smooth field."""
    if statistics.flexibility_angstrom <= 0:
        return [density]
    n = density.shape[0]
    random = torch.Generator().manual_seed(int(generator.integers(2**63)))
    mode = torch.stack([_smooth(n, voxel_size, random) for _ in range(3)], dim=-1)
    share = torch.sigmoid(3 * (_smooth(n, voxel_size, random) - 1.0))
    field = mode * share[..., None] * (statistics.flexibility_angstrom / voxel_size) * (2 / (n - 1))
    identity = F.affine_grid(torch.eye(3, 4)[None], [1, 1, n, n, n], align_corners=True)
    amplitudes = np.linspace(-1.6, 1.6, _CONFORMERS)  # of variance about 1
    return [
        F.grid_sample(
            density[None, None], identity + float(amplitude) * field, align_corners=True, padding_mode="border"
        )[0, 0]
        for amplitude in amplitudes
    ]


def _smooth(n: int, voxel_size: float, random: torch.Generator) -> Tensor:
    """Smooth noise of variance 1, ``(n, n, n)``."""
    full, half = torch.fft.fftfreq(n, voxel_size), torch.fft.rfftfreq(n, voxel_size)
    squared = full[:, None, None] ** 2 + full[:, None] ** 2 + half**2
    white = torch.fft.rfftn(torch.randn((n, n, n), generator=random))
    noise = torch.fft.irfftn(white * torch.exp(-2 * _PATCH_ANGSTROM**2 * squared), s=(n, n, n))
    scaled: Tensor = noise / noise.std()
    return scaled


def _noise_level(
    signals: tuple[Tensor, ...],
    noises: tuple[Tensor, ...],
    mask: Tensor,
    voxel_size: float,
    resolution: float,
) -> float:
    """Return the factor of the noise with which the FSC inside the mask is 1/7 about the resolution.

    Where errors of the poses alone keep the FSC below that, the noise is as strong as the signal there.
    """
    wanted = mask.shape[0] * voxel_size / resolution
    first = max(1, math.floor(0.92 * wanted))
    near = slice(first, max(first + 1, math.ceil(1.08 * wanted)) + 1)
    inside = [(signal * mask, noise * mask) for signal, noise in zip(signals, noises, strict=True)]
    low, high = -20.0, 20.0
    scale = math.log(float(inside[0][0].norm() / inside[0][1].norm()))
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        halves = [signal + math.exp(scale + middle) * noise for signal, noise in inside]
        if float(fsc(halves[0], halves[1], counting="sphere")[near].mean()) > _WANTED_FSC:
            low = middle
        else:
            high = middle
    return math.exp(scale + low)
