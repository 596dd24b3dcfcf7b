"""How real data sets were taken: statistics from which microscope, defocus and views of images are drawn.

The numbers are condensed from real particle tables by ``scripts/acquisition_statistics.py``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache

import healpix
import numpy as np

from blushcore.shipped import shipped_file
from blushcore.simulation.rotations import random_rotation

_FILE = "simulation/acquisition.json"
_LARGEST_SHARE = 30.0
"""By how much a direction may be seen more often than on average: beyond, it is a table's few particles."""


@dataclass(frozen=True, eq=False)
class Acquisition:
    """A data set as it was taken.

    Attributes
    ----------
    name
        Where the numbers come from.
    voltage_kilovolts, spherical_aberration_mm, amplitude_contrast
        Of the microscope.
    defocus_angstrom, astigmatism_angstrom
        Quantiles, evenly spaced from 0 to 1: mean underfocus, and the larger minus the smaller one.
    direction_shares
        How densely each direction is seen, in HEALPix pixels (ring order), with mean 1; None for all alike.
    """

    name: str
    voltage_kilovolts: float
    spherical_aberration_mm: float
    amplitude_contrast: float
    defocus_angstrom: np.ndarray
    astigmatism_angstrom: np.ndarray
    direction_shares: np.ndarray | None

    def draw_defocus(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """Draw u, v (Å) and the angle (degrees), float64 ``(count, 3)``."""
        mean, astigmatism = (
            np.interp(generator.random(count), np.linspace(0, 1, len(quantiles)), quantiles)
            for quantiles in (self.defocus_angstrom, self.astigmatism_angstrom)
        )
        angle = generator.uniform(0, 180, count)
        return np.stack((mean + astigmatism / 2, mean - astigmatism / 2, angle), axis=1)

    def draw_angles(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """Draw rot, tilt and psi in degrees, float64 ``(count, 3)``, about axes that are drawn too.

        A table's preferred views belong to its particle: only how uneven they are is taken over.
        """
        psi = generator.uniform(-180, 180, count)
        if self.direction_shares is None:
            directions = generator.normal(size=(count, 3))
        else:
            shares = self.direction_shares / self.direction_shares.sum()
            nside = round(np.sqrt(len(shares) / 12))
            pixels = generator.choice(len(shares), count, p=shares)
            directions = np.stack(healpix.pix2vec(nside, pixels), axis=1)
            # Within the pixel: its radius is about that of a disc of its area.
            directions += generator.normal(0, 0.5 * np.sqrt(4 / len(shares)), (count, 3))
            directions = directions @ random_rotation(generator).T
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        rot = np.degrees(np.arctan2(directions[:, 1], directions[:, 0]))
        tilt = np.degrees(np.arccos(np.clip(directions[:, 2], -1, 1)))
        return np.stack((rot, tilt, psi), axis=1)


@lru_cache(maxsize=1)
def acquisitions() -> tuple[Acquisition, ...]:
    """Return the data sets that are known."""
    content = json.loads(shipped_file(_FILE).read_text(encoding="utf-8"))
    return tuple(
        Acquisition(
            name=entry["name"],
            voltage_kilovolts=entry["voltage_kilovolts"],
            spherical_aberration_mm=entry["spherical_aberration_mm"],
            amplitude_contrast=entry["amplitude_contrast"],
            defocus_angstrom=np.array(entry["defocus_angstrom"], dtype=float),
            astigmatism_angstrom=np.array(entry["astigmatism_angstrom"], dtype=float),
            direction_shares=_shares(entry["directions"]),
        )
        for entry in content["sets"]
    )


def _shares(counts: list[int] | None) -> np.ndarray | None:
    if counts is None:
        return None
    shares = np.asarray(counts, dtype=float)
    return np.asarray(np.minimum(shares / shares.mean(), _LARGEST_SHARE))
