"""How poses are searched, and up to which shell images are compared. Pure rules.

Those of RELION (Scheres 2012, J Struct Biol 180:519; its program's behaviour was measured where papers say
nothing). Shells are those of the box: shell s has the resolution box · voxel size / s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blushcore.jobs.expectation_maximisation.parameters import SearchParameters

SMALLEST_RESOLUTION_SHELL = 5
FIRST_INCREMENT_SHELLS = 10
DEFAULT_OFFSET_RANGE_PX = 5.0
DEFAULT_OFFSET_STEP_PX = 2.0


@dataclass(frozen=True)
class Search:
    """How poses are searched: a HEALPix grid and offsets on a disc, both halved once where it matters.

    Attributes
    ----------
    healpix_order
        Of the coarse grid.
    offset_range_angstrom
        Radius of the disc about the last offset.
    offset_step_angstrom
        Coarse step on it.
    is_local
        Whether orientations are searched about the last one only.
    """

    healpix_order: int
    offset_range_angstrom: float
    offset_step_angstrom: float
    is_local: bool

    @property
    def step_deg(self) -> float:
        """Coarse angular step."""
        return angular_step_deg(self.healpix_order)

    @property
    def fine_step_deg(self) -> float:
        """Angular step of the second pass."""
        return self.step_deg / 2

    @property
    def fine_offset_step_angstrom(self) -> float:
        """Offset step of the second pass."""
        return self.offset_step_angstrom / 2

    @property
    def sigma_deg(self) -> float | None:
        """Standard deviation of the prior of local searches: two fine steps. None if the search is global."""
        return 2 * self.fine_step_deg if self.is_local else None


def given_search(params: SearchParameters, voxel_size: float, *, is_local: bool) -> Search:
    """Return the search that was asked for, by default over 5 pixels by 2."""
    reach = params.offset_range or DEFAULT_OFFSET_RANGE_PX * voxel_size
    step = params.offset_step or DEFAULT_OFFSET_STEP_PX * voxel_size
    return Search(params.healpix_order, reach, min(step, reach), is_local=is_local)


def angular_step_deg(healpix_order: int) -> float:
    """Return the step of a HEALPix grid in degrees, that of the in-plane angle too: 360 / (6 · 2^order)."""
    return 60.0 / (1 << healpix_order)


def shell_at(resolution_angstrom: float, box: int, voxel_size: float) -> int:
    """Return the shell nearest to a resolution."""
    return math.floor(box * voxel_size / resolution_angstrom + 0.5)


def first_shell_below(curve: NDArray[np.float64], threshold: float) -> int | None:
    """Return the first shell from 1 on in which `curve` is below `threshold`."""
    below = np.flatnonzero(curve[1:] < threshold)
    return int(below[0]) + 1 if below.size else None


def signal_shell(ssnr: NDArray[np.float64], current_size: int) -> int:
    """Return the last shell before the signal-to-noise ratio first falls below 1; 0 if it does so at once."""
    crossing = first_shell_below(ssnr[: current_size // 2 + 1], 1.0)
    return current_size // 2 if crossing is None else crossing - 1


def resolution_shell(ssnr: NDArray[np.float64], current_size: int) -> int:
    """Return the `signal_shell` to go on with, at least 5."""
    return max(SMALLEST_RESOLUTION_SHELL, signal_shell(ssnr, current_size))


def coarse_size(search: Search, current: int, box: int, voxel_size: float, diameter_angstrom: float) -> int:
    """Return the image size that the coarse pass needs: an angular step moves the rim by one resolution.

    With a margin of a fifth: 2⌈1.2 · box · voxel size · 360 / (step · π · diameter)⌉, at most `current`.
    """
    rim = math.pi * diameter_angstrom * search.step_deg / 360
    return min(current, 2 * math.ceil(1.2 * box * voxel_size / rim))


def next_perturbation(previous: float, seed: int, iteration: int) -> float:
    """Return the displacement of the grid of `iteration`, drawn by the seed; see `perturbation`."""
    return perturbation(previous, np.random.default_rng((seed, iteration)).random())


def perturbation(previous: float, draw: float) -> float:
    """Return the grid's next random displacement in steps, within ±½: at least a quarter from the last.

    Parameters
    ----------
    previous
        The last one; 0 at first.
    draw
        Uniform in [0, 1).
    """
    moved = previous + 0.25 + 0.25 * draw
    return moved - 1.0 if moved > 0.5 else moved
