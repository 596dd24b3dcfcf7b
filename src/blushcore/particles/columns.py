"""RELION's columns: which are numbers, which belong to the optics, and what they were before version 3.1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from blushcore.particles.row_names import named_rows
from blushcore.protocol import BlushError

if TYPE_CHECKING:
    import pandas as pd

OPTICS_IN_OLD_FILES = (
    "rlnVoltage",
    "rlnSphericalAberration",
    "rlnAmplitudeContrast",
    "rlnImagePixelSize",
    "rlnBeamTiltClass",
    "rlnBeamTiltX",
    "rlnBeamTiltY",
    "rlnMtfFileName",
)
"""What stood in every row before RELION 3.1 (pixel size: as converted here)."""

IN_PIXELS = {
    "rlnOriginX": "rlnOriginXAngst",
    "rlnOriginY": "rlnOriginYAngst",
    "rlnOriginXPrior": "rlnOriginXPriorAngst",
    "rlnOriginYPrior": "rlnOriginYPriorAngst",
}
"""Offsets in pixels before RELION 3.1, and the columns in Å since."""

NUMBERS_OF_PARTICLES = (
    "rlnOpticsGroup",
    "rlnDefocusU",
    "rlnDefocusV",
    "rlnDefocusAngle",
    "rlnPhaseShift",
    "rlnCtfBfactor",
    "rlnCtfScalefactor",
    "rlnAngleRot",
    "rlnAngleTilt",
    "rlnAnglePsi",
    "rlnOriginX",
    "rlnOriginY",
    "rlnOriginXAngst",
    "rlnOriginYAngst",
    "rlnAngleRotPrior",
    "rlnAngleTiltPrior",
    "rlnAnglePsiPrior",
    "rlnOriginXPrior",
    "rlnOriginYPrior",
    "rlnOriginXPriorAngst",
    "rlnOriginYPriorAngst",
    "rlnNormCorrection",
    "rlnRandomSubset",
    "rlnHelicalTubeID",
    "rlnDetectorPixelSize",
    "rlnMagnification",
    "rlnPixelSize",
    "rlnVoltage",
    "rlnSphericalAberration",
    "rlnAmplitudeContrast",
)
NUMBERS_OF_OPTICS = (
    "rlnOpticsGroup",
    "rlnVoltage",
    "rlnSphericalAberration",
    "rlnAmplitudeContrast",
    "rlnImagePixelSize",
    "rlnImageSize",
    "rlnBeamTiltX",
    "rlnBeamTiltY",
    "rlnMagMat00",
    "rlnMagMat01",
    "rlnMagMat10",
    "rlnMagMat11",
)


def refuse_what_is_no_number(table: pd.DataFrame, labels: tuple[str, ...], file_name: str, what: str) -> None:
    """Raise a BlushError for the first of `labels` that has words, NaN or infinity in some row."""
    import pandas as pd

    for label in labels:
        if label not in table:
            continue
        numbers = pd.to_numeric(table[label], errors="coerce").to_numpy(np.float64)
        if (wrong := np.flatnonzero(~np.isfinite(numbers))).size:
            raise BlushError(
                f"{file_name}, {what}{named_rows(wrong + 1)}: {label} is {table[label].iloc[wrong[0]]}, not a "
                "number.",
                "Mend or remove what is wrong.",
            )


def optics_of_old_file(particles: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split the single table of a file of before RELION 3.1 into particles and optics groups.

    Rows with the same voltage, aberration, amplitude contrast, pixel size and beam tilt make a group. The pixel
    size in Å is ``rlnDetectorPixelSize`` (µm) · 10⁴ / ``rlnMagnification``, or ``rlnPixelSize`` where these are
    missing.

    Returns
    -------
    particles, optics, as in RELION 3.1. The optics have no pixel size if the table has none.
    """
    particles = particles.copy()
    if {"rlnDetectorPixelSize", "rlnMagnification"} <= set(particles):
        size = particles["rlnDetectorPixelSize"] * 1e4 / particles["rlnMagnification"]
        particles["rlnImagePixelSize"] = [float(f"{value:.7g}") for value in size]
    elif "rlnPixelSize" in particles:
        particles["rlnImagePixelSize"] = particles["rlnPixelSize"]
    old = ["rlnDetectorPixelSize", "rlnMagnification", "rlnPixelSize", "rlnOpticsGroup"]
    particles = particles.drop(columns=old, errors="ignore")
    present = [label for label in OPTICS_IN_OLD_FILES if label in particles]
    if present:
        numbers = particles.groupby(present, sort=False, dropna=False).ngroup().to_numpy(np.int64) + 1
    else:
        numbers = np.ones(len(particles), np.int64)
    _, first = np.unique(numbers, return_index=True)
    optics = particles[present].iloc[first].reset_index(drop=True)
    optics.insert(0, "rlnOpticsGroup", np.arange(1, len(first) + 1))
    optics.insert(1, "rlnOpticsGroupName", [f"opticsGroup{number}" for number in optics["rlnOpticsGroup"]])
    optics["rlnImageDimensionality"] = 2
    particles = particles.drop(columns=present)
    particles["rlnOpticsGroup"] = numbers
    return particles, optics


def offsets_in_angstrom(particles: pd.DataFrame, pixel_size_of_row: np.ndarray) -> pd.DataFrame:
    """Turn offsets in pixels into the columns in Å; where both are there, those in Å stand."""
    particles = particles.copy()
    for old, new in IN_PIXELS.items():
        if old in particles:
            values = particles.pop(old)
            if new not in particles:
                particles[new] = values * pixel_size_of_row
    return particles
