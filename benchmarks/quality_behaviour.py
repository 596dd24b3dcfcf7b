"""What a denoiser does when it is applied again and again, and when its map is turned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from quality_scores import Denoise, curve_to_truth, last_shell
from scipy.ndimage import affine_transform
from torch import Tensor

from blushcore.denoiser.network import VOXEL_SIZE_ANGSTROM
from blushcore.shells import fsc
from blushcore.training.augmentation import HalfMapPair
from blushcore.volumes import soft_sphere

APPLICATIONS = 10
_TURN_DEG = (37.0, 25.0, 11.0)
"""An angle about each axis that has nothing to do with the grid."""


@dataclass(frozen=True)
class Drift:
    """Repeated application; lists of one value an application.

    Attributes
    ----------
    fsc
        Mean FSC to the truth.
    amplitude
        Standard deviation inside the mask, over that after the first application.
    change
        Of the map inside the mask by this application (from the second on), in units of its own deviation.
    """

    fsc: list[float]
    amplitude: list[float]
    change: list[float]

    @property
    def diverges(self) -> bool:
        """Whether amplitudes leave ½ to 2, or the last application changes more than the second did."""
        return not (0.5 <= self.amplitude[-1] <= 2.0 and self.change[-1] <= self.change[0])


def drift(denoise: Denoise, pair: HalfMapPair, applications: int = APPLICATIONS) -> Drift:
    """Apply a denoiser to its own output."""
    inside = pair.mask > 0.5
    fscs, amplitudes, changes = [], [], []
    current = pair.half1
    for number in range(applications):
        result = denoise(current, pair.diameter).map
        deviation = float(result[inside].std())
        fscs.append(float(curve_to_truth(result, pair).mean()))
        amplitudes.append(deviation)
        if number:
            changes.append(float((result - current)[inside].std()) / max(deviation, 1e-12))
        current = result
    return Drift(fscs, [value / max(amplitudes[0], 1e-12) for value in amplitudes], changes)


@dataclass(frozen=True)
class Equivariance:
    """Denoised then turned against turned then denoised, inside the particle's sphere.

    Attributes
    ----------
    quarter_turn
        Deviation of the difference over that of the map, largest of three quarter turns (exact on the grid).
    quarter_turn_fsc
        Least over those turns of the mean FSC up to the resolution.
    any_turn_fsc
        The mean FSC after a turn by an arbitrary angle and back.
    any_turn_fsc_of_interpolation
        What turning and back alone leaves of the map that was denoised before.
    """

    quarter_turn: float
    quarter_turn_fsc: float
    any_turn_fsc: float
    any_turn_fsc_of_interpolation: float


def equivariance(denoise: Denoise, pair: HalfMapPair) -> Equivariance:
    """Measure how much the result depends on how the map lies on the grid."""
    n = pair.half1.shape[0]
    sphere = soft_sphere((n, n, n), min(pair.diameter / 2 / VOXEL_SIZE_ANGSTROM, n / 2 - 3), 3)
    shells = slice(1, last_shell(pair) + 1)
    straight = denoise(pair.half1, pair.diameter).map
    straight = straight - straight.mean()

    def agreement(back: Tensor) -> float:
        return float(fsc(back * sphere, straight * sphere)[shells].mean())

    errors, fscs = [], []
    for axes in ((0, 1), (1, 2), (2, 0)):
        back = quarter_turn(denoise(quarter_turn(pair.half1, axes), pair.diameter).map, axes[::-1])
        difference = (back - back.mean() - straight) * sphere
        errors.append(float(difference.norm() / (straight * sphere).norm()))
        fscs.append(agreement(back))
    there, again = _matrices()
    turned = denoise(_turned(pair.half1, there), pair.diameter).map
    only_turned = _turned(_turned(straight, there), again)
    return Equivariance(max(errors), min(fscs), agreement(_turned(turned, again)), agreement(only_turned))


def quarter_turn(volume: Tensor, axes: tuple[int, int]) -> Tensor:
    """Turn a cube of even edge by 90° about its centre, index n // 2: exact, but for the first planes."""
    turned = torch.rot90(volume, 1, axes)
    # rot90 turns about (n − 1)/2: the centre ends one voxel lower along one axis of the two.
    return turned.roll(1, axes[0])


def mirrored(volume: Tensor) -> Tensor:
    """Return the mirror image across x = n // 2."""
    return volume.flip(2).roll(1, 2)


def _matrices() -> tuple[np.ndarray, np.ndarray]:
    matrix = np.eye(3)
    for axis, angle in enumerate(np.radians(_TURN_DEG)):
        first, second = (other for other in range(3) if other != axis)
        turn = np.eye(3)
        turn[first, first] = turn[second, second] = np.cos(angle)
        turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
        matrix = matrix @ turn
    return matrix, matrix.T


def _turned(volume: Tensor, matrix: np.ndarray) -> Tensor:
    centre = np.array([n // 2 for n in volume.shape], dtype=float)
    found = affine_transform(volume.numpy(), matrix, centre - matrix @ centre, order=3)
    return torch.from_numpy(found)
