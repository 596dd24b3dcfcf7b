"""Particles and their optics groups: one table, in RELION's columns."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from blushcore.particles.half_sets import drawn_halves
from blushcore.particles.row_names import named_rows
from blushcore.particles.stack_names import StackNames, split_image_names
from blushcore.particles.star_text import write_star
from blushcore.protocol import BlushError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

_POSE_DECIMALS = 6
"""As RELION writes angles and offsets."""


class CtfColumns(NamedTuple):
    """What the CTF takes from each row, (N,) float64 each; RELION's value where a column is missing."""

    defocus_u_angstrom: NDArray[np.float64]
    defocus_v_angstrom: NDArray[np.float64]
    defocus_angle_deg: NDArray[np.float64]
    phase_shift_deg: NDArray[np.float64]
    b_factor: NDArray[np.float64]
    scale: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ParticleTable:
    """A set of particles as RELION 3.1 and later describe it. Nothing in it is changed in place.

    Made by `read_particles`. Its columns are checked: those that are used hold finite numbers.

    Attributes
    ----------
    path
        The STAR file from which it was read.
    particles
        One row a particle; all columns of the file, offsets in Å (``rlnOriginXAngst``).
    optics
        One row an optics group, only groups in use; with ``rlnImagePixelSize`` (Å) and, if the file or one of
        its stacks tells, ``rlnImageSize`` (pixels).
    source_row
        (N,) int64: number of the row in the file, from 1, by which messages name a particle.
    root
        The folder below which image names are looked up; None: the STAR file's folder and those above it.
    warnings
        Sentences for the user.
    """

    path: Path
    particles: pd.DataFrame
    optics: pd.DataFrame
    source_row: NDArray[np.int64]
    root: Path | None = None
    warnings: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.particles)

    def column(self, label: str, default: float | None = None) -> NDArray[np.float64]:
        """Return a column of numbers, (N,) float64; `default` everywhere if it is missing.

        Raises
        ------
        BlushError
            If it is missing and there is no default.
        """
        if label in self.particles:
            return self.particles[label].to_numpy(np.float64, copy=True)
        if default is None:
            raise BlushError(f"{self.path.name} has no column {label}.", "Give a table that has it.")
        return np.full(len(self), default)

    @cached_property
    def optics_index(self) -> NDArray[np.int64]:
        """(N,): which row of `optics` each particle has."""
        place = {int(number): index for index, number in enumerate(self.optics["rlnOpticsGroup"])}
        return self.particles["rlnOpticsGroup"].map(place).to_numpy().astype(np.int64)

    @property
    def pixel_size_angstrom(self) -> NDArray[np.float64]:
        """(G,): of each optics group's images."""
        return self.optics["rlnImagePixelSize"].to_numpy(np.float64)

    @property
    def box(self) -> NDArray[np.int64] | None:
        """(G,): of each optics group's images in pixels; None if the file has none and its stacks are away."""
        return self.optics["rlnImageSize"].to_numpy(np.int64) if "rlnImageSize" in self.optics else None

    @property
    def has_ctf(self) -> bool:
        """Whether table and optics have what the CTF needs."""
        return not missing_ctf_columns(self.particles, self.optics)

    @property
    def ctf(self) -> CtfColumns:
        """The CTF's values of each particle. ``rlnDefocusV`` is U where it is missing, the others neutral."""
        u = self.column("rlnDefocusU")
        return CtfColumns(
            u,
            self.column("rlnDefocusV") if "rlnDefocusV" in self.particles else u,
            self.column("rlnDefocusAngle", 0.0),
            self.column("rlnPhaseShift", 0.0),
            self.column("rlnCtfBfactor", 0.0),
            self.column("rlnCtfScalefactor", 1.0),
        )

    @property
    def has_poses(self) -> bool:
        """Whether the file has all three angles."""
        return {"rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"} <= set(self.particles)

    @property
    def angles_deg(self) -> NDArray[np.float64]:
        """(N, 3): rot, tilt, psi; zeros for missing columns."""
        return np.stack([self.column(f"rlnAngle{name}", 0.0) for name in ("Rot", "Tilt", "Psi")], axis=1)

    @property
    def offsets_angstrom(self) -> NDArray[np.float64]:
        """(N, 2): x, y of the shift that, applied to the image, centres the particle; zeros if missing."""
        return np.stack([self.column(f"rlnOrigin{axis}Angst", 0.0) for axis in "XY"], axis=1)

    @property
    def angle_priors_deg(self) -> NDArray[np.float64]:
        """(N, 3): ``rlnAngleRotPrior``, tilt, psi; NaN for missing columns."""
        names = ("Rot", "Tilt", "Psi")
        return np.stack([self.column(f"rlnAngle{name}Prior", np.nan) for name in names], axis=1)

    @property
    def offset_priors_angstrom(self) -> NDArray[np.float64]:
        """(N, 2): ``rlnOriginXPriorAngst``, y; NaN for missing columns."""
        return np.stack([self.column(f"rlnOrigin{axis}PriorAngst", np.nan) for axis in "XY"], axis=1)

    @property
    def norm_correction(self) -> NDArray[np.float64]:
        """(N,): ``rlnNormCorrection``; 1 if missing."""
        return self.column("rlnNormCorrection", 1.0)

    @cached_property
    def group_names(self) -> tuple[str, ...]:
        """Names of the groups with one scale, in order of first occurrence; see `group_index`."""
        return self._groups[1]

    @cached_property
    def group_index(self) -> NDArray[np.int64]:
        """(N,): which group of one scale a particle is in.

        By ``rlnGroupName``, else ``rlnMicrographName``, as RELION's programs do, which take no heed of a
        ``rlnGroupNumber``; it counts here where both are missing.
        """
        return self._groups[0]

    @cached_property
    def tube_index(self) -> NDArray[np.int64] | None:
        """(N,): which helical tube of a micrograph each segment is from; None without ``rlnHelicalTubeID``."""
        if "rlnHelicalTubeID" not in self.particles:
            return None
        by = [label for label in ("rlnMicrographName", "rlnHelicalTubeID") if label in self.particles]
        return _codes(self.particles, by)

    @cached_property
    def half(self) -> NDArray[np.int8]:
        """(N,): ``rlnRandomSubset``; 0 where it is not assigned."""
        return self.column("rlnRandomSubset", 0.0).astype(np.int8)

    @cached_property
    def stacks(self) -> StackNames:
        """The stacks that the rows name."""
        return split_image_names(self.particles["rlnImageName"], self.path.name, self.source_row.tolist())

    def name_rows(self, positions: Sequence[int] | NDArray[np.integer]) -> str:
        """``run_data.star, row 3``: particles (positions from 0 in this table) as a message names them."""
        return f"{self.path.name}, {named_rows(self.source_row[np.asarray(positions, np.int64)])}"

    def assign_halves(self, seed: int) -> ParticleTable:
        """Return the table with every particle in half-set 1 or 2.

        Given ones (``rlnRandomSubset`` of 1 or 2) are kept, the others drawn; segments of one tube and rows
        with one image come into the same half.

        Raises
        ------
        BlushError
            If one half is empty.
        """
        unit = self.tube_index
        if unit is None:
            unit = _codes(self.particles, ["rlnImageName"])
        half = drawn_halves(self.half, unit, seed)
        for number in (1, 2):
            if not (half == number).any():
                raise BlushError(
                    f"{self.path.name}: half-set {number} is empty.",
                    "Give more particles or tubes, or halves to be drawn: remove the column rlnRandomSubset.",
                )
        table = self.with_columns({"rlnRandomSubset": half.astype(np.int64)})
        mixed = _units_in_both_halves(unit, half)
        if not mixed:
            return table
        what = "tubes" if self.tube_index is not None else "images"
        warning = f"rlnRandomSubset has {mixed} {what} in both half-sets: the FSC between them says too much."
        return replace(table, warnings=(*table.warnings, warning))

    def with_columns(self, columns: Mapping[str, ArrayLike]) -> ParticleTable:
        """Return the table with (N,) columns replaced or added."""
        return replace(
            self, particles=self.particles.assign(**{name: np.asarray(c) for name, c in columns.items()})
        )

    def with_poses(self, angles_deg: ArrayLike, offsets_angstrom: ArrayLike) -> ParticleTable:
        """Return the table with other poses: (N, 3) rot, tilt, psi and (N, 2) x, y; rounded as RELION does."""
        angles = np.round(np.asarray(angles_deg, np.float64), _POSE_DECIMALS)
        offsets = np.round(np.asarray(offsets_angstrom, np.float64), _POSE_DECIMALS)
        columns = {f"rlnAngle{name}": angles[:, i] for i, name in enumerate(("Rot", "Tilt", "Psi"))}
        columns |= {f"rlnOrigin{axis}Angst": offsets[:, i] for i, axis in enumerate("XY")}
        return self.with_columns(columns)

    def take(self, positions: ArrayLike) -> ParticleTable:
        """Return the table of some particles, by position or as a mask, with the optics groups they use."""
        chosen = np.arange(len(self))[np.asarray(positions)]
        particles = self.particles.iloc[chosen].reset_index(drop=True)
        optics = self.optics[self.optics["rlnOpticsGroup"].isin(particles["rlnOpticsGroup"].unique())]
        return replace(
            self,
            particles=particles,
            optics=optics.reset_index(drop=True),
            source_row=self.source_row[chosen],
        )

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the blocks ``optics`` and ``particles`` as RELION 3.1 and later do; whole, or not at all.

        Image names stay as they are: relative to the project.

        Raises
        ------
        BlushError
            If the file cannot be written.
        """
        write_star(path, {"optics": self.optics, "particles": self.particles})

    @cached_property
    def _groups(self) -> tuple[NDArray[np.int64], tuple[str, ...]]:
        import pandas as pd

        for label in ("rlnGroupName", "rlnMicrographName", "rlnGroupNumber"):
            if label in self.particles:
                codes, names = pd.factorize(self.particles[label].astype(str))
                return codes.astype(np.int64), tuple(str(name) for name in names)
        return np.zeros(len(self), np.int64), ("all",)


def missing_ctf_columns(particles: pd.DataFrame, optics: pd.DataFrame) -> list[str]:
    """Return the columns that the CTF needs and that neither table has."""
    needed: dict[str, Any] = {
        "rlnDefocusU": particles,
        "rlnVoltage": optics,
        "rlnSphericalAberration": optics,
        "rlnAmplitudeContrast": optics,
    }
    return [label for label, table in needed.items() if label not in table]


def _codes(table: pd.DataFrame, by: list[str]) -> NDArray[np.int64]:
    return table.groupby(by, sort=False).ngroup().to_numpy().astype(np.int64)


def _units_in_both_halves(unit: NDArray[np.integer], half: NDArray[np.int8]) -> int:
    return int(np.intersect1d(unit[half == 1], unit[half == 2]).size)
