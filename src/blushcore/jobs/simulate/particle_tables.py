"""The STAR tables of a simulated particle set, in the form of RELION 3.1 and later."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import starfile

from blushcore.optics import OpticsGroup
from blushcore.simulation import ParticleDraws

_PARTICLES_A_MICROGRAPH = 50


@dataclass(frozen=True)
class ParticleStar:
    """A particle table as an artefact."""

    role: str
    name: str
    group: OpticsGroup
    draws: ParticleDraws
    stack: str
    """The stack's name as the table gives it."""
    with_truth: bool
    """Whether it tells poses, offsets and class numbers."""

    def write(self, path: Path) -> None:
        """Write blocks ``optics`` and ``particles`` to `path`."""
        starfile.write({"optics": self.optics(), "particles": self.particles()}, path, overwrite=True)

    def optics(self) -> pd.DataFrame:
        """Return the one optics group's row."""
        return pd.DataFrame(
            {
                "rlnOpticsGroupName": [self.group.name],
                "rlnOpticsGroup": [self.group.number],
                "rlnVoltage": [self.group.voltage_kilovolts],
                "rlnSphericalAberration": [self.group.spherical_aberration_mm],
                "rlnAmplitudeContrast": [self.group.amplitude_contrast],
                "rlnImagePixelSize": [self.group.pixel_size_angstrom],
                "rlnImageSize": [self.group.box],
                "rlnImageDimensionality": [2],
                "rlnCtfDataAreCtfPremultiplied": [0],
            }
        )

    def particles(self) -> pd.DataFrame:
        """Return one row an image."""
        draws, numbers = self.draws, np.arange(len(self.draws))
        columns: dict[str, object] = {}
        if self.with_truth:
            offsets_angstrom = draws.offsets_px * self.group.pixel_size_angstrom
            columns |= dict(
                zip(("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"), draws.angles_deg.T, strict=True)
            )
            columns |= dict(zip(("rlnOriginXAngst", "rlnOriginYAngst"), offsets_angstrom.T, strict=True))
            columns["rlnClassNumber"] = draws.class_numbers
        columns |= dict(zip(("rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle"), draws.defocus.T, strict=True))
        columns["rlnOpticsGroup"] = np.full(len(draws), self.group.number)
        columns["rlnImageName"] = [f"{number + 1:06d}@{self.stack}" for number in numbers]
        columns["rlnMicrographName"] = [f"mic{number // _PARTICLES_A_MICROGRAPH:04d}.mrc" for number in numbers]
        return pd.DataFrame(columns)
