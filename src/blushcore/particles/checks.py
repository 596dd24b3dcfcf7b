"""Values in a particle table that cannot be meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from blushcore.particles.row_names import named_rows
from blushcore.protocol import BlushError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

LARGEST_DEFOCUS_ANGSTROM = 300_000.0
"""30 µm. Tilt images are taken at up to 10 µm."""

_OPTICS_RANGES = {
    "rlnVoltage": (20.0, 3000.0, "kV"),
    "rlnSphericalAberration": (-50.0, 50.0, "mm"),
    "rlnAmplitudeContrast": (0.0, 1.0, "a fraction"),
    "rlnImagePixelSize": (0.05, 100.0, "Å"),
}
_MANY_OPTICS_GROUPS = 100
_OUTLYING_NORM = 20.0
"""Times the median, or below by as much: reported."""


def refuse_what_cannot_be(particles: pd.DataFrame, optics: pd.DataFrame, file_name: str) -> None:
    """Refuse optics out of any range, absurd defoci, norm corrections ≤ 0 and half-sets other than 1 and 2.

    The columns are numbers by now.

    Raises
    ------
    BlushError
        With the first offending field and its rows.
    """
    for label, (low, high, unit) in _OPTICS_RANGES.items():
        if label not in optics:
            continue
        values = optics[label].to_numpy(np.float64)
        if (wrong := np.flatnonzero((values < low) | (values > high))).size:
            number = optics["rlnOpticsGroup"].iloc[wrong[0]]
            raise BlushError(
                f"{file_name}: optics group {number} has a {label} of {values[wrong[0]]:g}, which cannot be "
                f"({low:g} to {high:g}; it is {unit}).",
                "Mend the STAR file.",
            )
    for label in ("rlnDefocusU", "rlnDefocusV"):
        if label in particles:
            defocus = np.abs(particles[label].to_numpy(np.float64))
            _refuse_rows(
                particles,
                label,
                defocus > LARGEST_DEFOCUS_ANGSTROM,
                file_name,
                f"; more than {LARGEST_DEFOCUS_ANGSTROM:g} Å (30 µm) cannot be meant",
                "Mend or remove what is wrong; defocus is in Å.",
            )
    if "rlnDefocusU" in particles:
        typical = float(np.median(np.abs(particles["rlnDefocusU"].to_numpy(np.float64))))
        if 0.05 < typical < 20:
            raise BlushError(
                f"{file_name}: the median of rlnDefocusU is {typical:g}, which looks like µm; it is in Å.",
                "Multiply the defoci by 10,000.",
            )
    if "rlnNormCorrection" in particles:
        norm = particles["rlnNormCorrection"].to_numpy(np.float64)
        _refuse_rows(
            particles,
            "rlnNormCorrection",
            norm <= 0,
            file_name,
            ", and must be positive",
            "Mend these rows, or remove the column: it is then found anew.",
        )
    if "rlnRandomSubset" in particles:
        subset = particles["rlnRandomSubset"].to_numpy(np.float64)
        _refuse_rows(
            particles,
            "rlnRandomSubset",
            ~np.isin(subset, (0, 1, 2)),
            file_name,
            ", and must be 1 or 2 (or 0: not assigned yet)",
            "Mend these rows, or remove the column: halves are then drawn anew.",
        )


def suspicious_values(particles: pd.DataFrame, optics: pd.DataFrame) -> tuple[str, ...]:
    """Sentences about what may be meant, but is rarely."""
    warnings = []
    if "rlnNormCorrection" in particles:
        norm = particles["rlnNormCorrection"].to_numpy(np.float64)
        typical = float(np.median(norm))
        out = (norm > _OUTLYING_NORM * typical) | (norm < typical / _OUTLYING_NORM)
        if (rows := np.flatnonzero(out)).size:
            warnings.append(
                f"rlnNormCorrection in {named_rows(rows + 1)} is implausible: {norm[rows[0]]:g}, while the "
                f"median is {typical:g}."
            )
    if (
        "rlnCtfBfactor" in particles
        and (rows := np.flatnonzero(particles["rlnCtfBfactor"].to_numpy(np.float64) < 0)).size
    ):
        warnings.append(
            f"rlnCtfBfactor is negative in {named_rows(rows + 1)}: their CTF grows with frequency. Programs "
            "differ in its sign; RELION's is positive where the signal falls off."
        )
    if (repeated := particles["rlnImageName"].duplicated(keep=False)).any():
        rows = np.flatnonzero(repeated)
        warnings.append(
            f"{len(rows)} rows share their image with another one ({named_rows(rows + 1)}); copies are kept in "
            "one half-set."
        )
    if "rlnImagePixelSize" in optics and len(sizes := np.unique(optics["rlnImagePixelSize"])) > 1:
        warnings.append(f"The optics groups have pixel sizes of {', '.join(f'{size:g}' for size in sizes)} Å.")
    if len(optics) > _MANY_OPTICS_GROUPS:
        warnings.append(
            f"There are {len(optics)} optics groups; each has a noise spectrum of its own, for which it needs "
            "some hundred particles."
        )
    return tuple(warnings)


def _refuse_rows(
    particles: pd.DataFrame, label: str, wrong: NDArray[np.bool_], file_name: str, why: str, remedy: str
) -> None:
    if (rows := np.flatnonzero(wrong)).size:
        raise BlushError(
            f"{file_name}, {named_rows(rows + 1)}: {label} is {particles[label].iloc[rows[0]]:g}{why}.", remedy
        )
