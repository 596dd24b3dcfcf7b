"""From a pair of half-maps to training examples (Kimanius et al. 2024, Methods, "Training").

``y⁽ᵏ⁾ = H_{C,A}[x⁽¹⁻ᵏ⁾ + e]`` is what the network sees and ``ȳ⁽ᵏ⁾ = H_{C̄,A}[x⁽ᵏ⁾⊙M + h(x⁽ᵏ⁾)⊙(1−M)]`` what it
should make of it. Filtering is done once per volume; cutting blocks out of it and turning them is cheap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from blushcore.denoiser.local_std import local_standard_deviation
from blushcore.denoiser.network import BLOCK_SIZE, VOXEL_SIZE_ANGSTROM
from blushcore.simulation import random_rotation
from blushcore.volumes.masks import soft_sphere

_SOLVENT_LOWPASS_ANGSTROM = 15.0
"""h: outside the mask the target keeps only what is coarser than this."""
_SPHERE_EDGE_ANGSTROM = 10.0
_TARGET_EDGE = 0.7
"""Targets are damped to one half at this multiple of the resolution (Å)."""


@dataclass(frozen=True)
class HalfMapPair:
    """Two half-maps at the network's voxel size (1.5 Å), cubic float32 ``(z, y, x)``."""

    half1: Tensor
    half2: Tensor
    mask: Tensor
    """Where the particle is, 0 to 1."""
    resolution: float
    """Å; sets the range of the filters."""
    diameter: float
    """Of the particle, Å."""
    signal: Tensor | None = None
    """What the half-maps share, where it is known (simulated pairs): the target of pre-training."""
    truth: Tensor | None = None
    """The density without noise, blur and damping, where it is known: what benchmarks compare with."""

    def on(self, device: torch.device) -> HalfMapPair:
        """Return what a training needs of it on a device; the truth stays where it is."""
        signal = None if self.signal is None else self.signal.to(device)
        half1, half2, mask = (part.to(device) for part in (self.half1, self.half2, self.mask))
        return replace(self, half1=half1, half2=half2, mask=mask, signal=signal)


@dataclass(frozen=True)
class PreparedVolume:
    """Input and target of both directions, k = 0 and 1, float16 ``(2, z, y, x)`` each; `mask` ``(z, y, x)``."""

    inputs: Tensor
    local_std: Tensor
    targets: Tensor
    mask: Tensor
    sphere: Tensor
    resolution: Tensor
    """Å, a scalar."""

    def parts(self) -> tuple[Tensor, ...]:
        """Return the tensors in order: what another process needs to build it again."""
        return self.inputs, self.local_std, self.targets, self.mask, self.sphere, self.resolution


@dataclass(frozen=True)
class Block:
    """One example, float32 64³ each."""

    input: Tensor
    local_std: Tensor
    target: Tensor
    mask: Tensor
    resolution: Tensor
    """Of its volume, Å, a scalar."""


def prepare_volume(pair: HalfMapPair, generator: np.random.Generator, *, clean_targets: bool) -> PreparedVolume:
    """Draw filters and noise, and apply them to both halves.

    Parameters
    ----------
    clean_targets
        Take `HalfMapPair.signal` in place of the other half: the same minimiser in expectation, since the noise
        of the other half is independent and of zero mean, and much less noise in the gradient.
    """
    device = pair.half1.device
    torch_generator = torch.Generator(device).manual_seed(int(generator.integers(2**63)))
    shape = pair.half1.shape
    wave_vector = wave_vector_grid(shape[0], device)
    frequency = torch.sqrt(sum(k**2 for k in wave_vector))  # type: ignore[arg-type]
    input_filter, target_filter = draw_filters(wave_vector, frequency, pair.resolution, generator)
    keep_coarse = _gaussian_filter(frequency, _SOLVENT_LOWPASS_ANGSTROM)
    sphere = _draw_sphere(pair, generator)

    def filtered(volume: Tensor, by: Tensor) -> Tensor:
        result: Tensor = torch.fft.irfftn(torch.fft.rfftn(volume) * by, s=shape)
        return result

    inputs, stds, targets = [], [], []
    for seen, other in ((pair.half1, pair.half2), (pair.half2, pair.half1)):
        noisy = seen + _coloured_noise(seen, frequency, generator, torch_generator)
        y = filtered(noisy, input_filter)
        wanted = pair.signal if clean_targets and pair.signal is not None else other
        solvent_flat = wanted * pair.mask + filtered(wanted, keep_coarse) * (1 - pair.mask)
        mean, std = y.mean(), y.std()
        inputs.append((y - mean) / std * sphere)
        stds.append(local_standard_deviation(y - mean) * sphere)  # without its mean, as at inference
        targets.append((filtered(solvent_flat, target_filter) - mean) / std * sphere)
    half = torch.float16
    return PreparedVolume(
        torch.stack(inputs).to(half),
        torch.stack(stds).to(half),
        torch.stack(targets).to(half),
        (pair.mask * sphere).to(half),
        sphere.to(half),
        torch.tensor(pair.resolution, dtype=torch.float32, device=device),
    )


def cut_block(volume: PreparedVolume, generator: np.random.Generator) -> Block:
    """Cut a random block out of a prepared volume, in one of the 24 orientations of the cube.

    As in the published application, blocks with less than 0.3 of them inside the sphere are not used; mostly
    the particle should be in view.
    """
    n = volume.mask.shape[-1]
    want_particle = generator.random() < 0.9
    for _ in range(50):
        z, y, x = generator.integers(0, n - BLOCK_SIZE + 1, 3)
        window = (slice(z, z + BLOCK_SIZE), slice(y, y + BLOCK_SIZE), slice(x, x + BLOCK_SIZE))
        if volume.sphere[window].float().mean() < 0.3:
            continue
        if want_particle and volume.mask[window].float().mean() < 0.05:
            continue
        break
    k = int(generator.integers(2))
    turn = int(generator.integers(len(CUBE_ROTATIONS)))
    return block_at(volume, (int(z), int(y), int(x)), k, turn)


def block_at(volume: PreparedVolume, origin: tuple[int, int, int], direction: int, turn: int = 0) -> Block:
    """Cut one block out of a prepared volume.

    Parameters
    ----------
    volume
        Where it comes from.
    origin
        Its first voxel (z, y, x); a block lies within the volume.
    direction
        k, 0 or 1: which half is the input.
    turn
        Which of `CUBE_ROTATIONS`; the first leaves it as it is.
    """
    z, y, x = origin
    window = (slice(z, z + BLOCK_SIZE), slice(y, y + BLOCK_SIZE), slice(x, x + BLOCK_SIZE))
    block, local_std, target, mask = (
        turned(part[window], CUBE_ROTATIONS[turn]).float().contiguous()
        for part in (
            volume.inputs[direction],
            volume.local_std[direction],
            volume.targets[direction],
            volume.mask,
        )
    )
    return Block(block, local_std, target, mask, volume.resolution)


def draw_filters(
    wave_vector: tuple[Tensor, Tensor, Tensor],
    frequency: Tensor,
    resolution: float,
    generator: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """Draw H_C of the input and H_C̄ of the target, both on the half grid of `wave_vector_grid`.

    Both are Gaussians with axes of their own; the target's is nowhere sharper. Some inputs are not filtered but
    cut off sharply beyond the resolution, as the reconstructions within a refinement are, and some are
    sharpened. Targets fade beyond the resolution, where the noise of the other half is all they hold; they keep
    what is up to it, or the network learns to smooth.
    """
    kind = generator.random()
    stretch = np.exp(generator.normal(0, 0.15, 3))
    if kind < 0.3:
        edges = resolution * np.exp(generator.uniform(np.log(0.5), np.log(1.3))) * stretch
        frame = random_rotation(generator)
        input_filter = _anisotropic_gaussian(wave_vector, edges, frame)
        edges = np.maximum(edges, _TARGET_EDGE * resolution) * generator.uniform(1.0, 1.1, 3)
        target_filter = _anisotropic_gaussian(wave_vector, edges, frame)
    else:
        input_filter = torch.ones_like(frequency)
        edges = _TARGET_EDGE * resolution * stretch
        target_filter = _anisotropic_gaussian(wave_vector, edges, random_rotation(generator))
    if 0.2 < kind < 0.6:
        cut = (1 / resolution) * generator.uniform(1.05, 1.8)
        width = 2 / (frequency.shape[0] * VOXEL_SIZE_ANGSTROM)
        edge = 0.5 + 0.5 * torch.cos(math.pi * ((frequency - cut) / width).clamp(0, 1))
        input_filter, target_filter = input_filter * edge, target_filter * edge
    if generator.random() < 0.3:
        # Sharpened to no more than 20× between the origin and a little beyond the resolution.
        limit = 1.2 / resolution
        exponent = generator.uniform(0, math.log(20)) / limit**2
        sharpening = torch.exp(exponent * frequency.clamp_max(limit) ** 2)
        input_filter, target_filter = input_filter * sharpening, target_filter * sharpening
    return input_filter, target_filter


def _coloured_noise(
    volume: Tensor, frequency: Tensor, generator: np.random.Generator, torch_generator: torch.Generator
) -> Tensor | float:
    """e: noise of a random spectrum and level, in a fifth of the inputs."""
    if generator.random() > 0.2:
        return 0.0
    slope = generator.uniform(-1.0, 1.0)
    white = torch.randn(volume.shape, generator=torch_generator, device=volume.device)
    spectrum = torch.fft.rfftn(white) * (frequency + 0.02) ** slope
    noise = torch.fft.irfftn(spectrum, s=volume.shape)
    scaled: Tensor = noise / noise.std() * volume.std() * generator.uniform(0, 0.7)
    return scaled


def _draw_sphere(pair: HalfMapPair, generator: np.random.Generator) -> Tensor:
    n = pair.half1.shape[0]
    radius = pair.diameter / 2 * generator.uniform(1.0, 1.25) / VOXEL_SIZE_ANGSTROM
    edge = _SPHERE_EDGE_ANGSTROM / VOXEL_SIZE_ANGSTROM
    return soft_sphere((n, n, n), min(radius, n / 2 - edge), edge, device=pair.half1.device)


def wave_vector_grid(n: int, device: torch.device | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Return (kx, ky, kz) in 1/Å on the half grid of `rfftn` of a box at the network's voxel size."""
    full, half = (
        make(n, VOXEL_SIZE_ANGSTROM, device=device) for make in (torch.fft.fftfreq, torch.fft.rfftfreq)
    )
    return half[None, None, :], full[None, :, None], full[:, None, None]


def _gaussian_filter(frequency: Tensor, edge: float) -> Tensor:
    """Gaussian that falls to one half at the resolution `edge` (Å)."""
    return torch.exp(-math.log(2) * (frequency * edge) ** 2)


def _anisotropic_gaussian(
    wave_vector: tuple[Tensor, Tensor, Tensor], edges: np.ndarray, frame: np.ndarray
) -> Tensor:
    """Gaussian that falls to one half at `edges` (Å) along the three axes (rows) of `frame`."""
    covariance = frame.T @ np.diag(edges**2) @ frame
    exponent: Tensor | float = 0.0
    for i in range(3):
        for j in range(3):
            exponent = exponent + float(covariance[i, j]) * wave_vector[i] * wave_vector[j]
    return torch.exp(-math.log(2) * exponent)  # type: ignore[arg-type]


def _cube_rotations() -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """All proper rotations of the cube as (permutation of the axes, axes flipped afterwards).

    No mirrors: hands matter. A permutation is a rotation when even and a mirror when odd, and every flip is
    another mirror.
    """
    rotations: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
    for permutation in ((0, 1, 2), (1, 2, 0), (2, 0, 1), (0, 2, 1), (2, 1, 0), (1, 0, 2)):
        odd = permutation in ((0, 2, 1), (2, 1, 0), (1, 0, 2))
        for bits in range(8):
            flips = tuple(axis for axis in range(3) if bits >> axis & 1)
            if (len(flips) % 2 == 1) == odd:
                rotations.append((permutation, flips))
    return rotations


CUBE_ROTATIONS = _cube_rotations()


def turned(block: Tensor, turn: tuple[tuple[int, ...], tuple[int, ...]]) -> Tensor:
    """Turn ``(z, y, x)`` by one of `CUBE_ROTATIONS`."""
    permutation, flips = turn
    return block.permute(permutation).flip(flips) if flips else block.permute(permutation)
