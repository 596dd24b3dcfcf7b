"""Optics groups as STAR files describe them."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from typing import Any

from blushcore.optics.group import OpticsGroup
from blushcore.protocol import BlushError

COMA = (3, 4)
"""Places of (n, m) = (3, −1) and (3, 1) among the odd Zernike coefficients."""


def optics_group_from_star(row: Mapping[str, Any]) -> OpticsGroup:
    """Return the optics group of a row of a STAR file's optics block.

    Parameters
    ----------
    row
        RELION's columns (``rlnVoltage`` …) and their values, as strings or numbers. Voltage, spherical
        aberration, amplitude contrast, pixel size and box must be there; what is missing of the others does
        not exist. Columns of a beam tilt take the place of the odd Zernike coefficients of coma, also where the
        tilt is 0: RELION's programs do so.

    Raises
    ------
    BlushError
        For a missing column or a value that cannot be: names group and column.
    """
    number = int(row.get("rlnOpticsGroup", 1))
    read = _Row(row, f"optics group {number}")
    magnification = None
    if "rlnMagMat00" in row:
        matrix = [[read.number(f"rlnMagMat{i}{j}") for j in (0, 1)] for i in (0, 1)]
        if matrix != [[1.0, 0.0], [0.0, 1.0]]:
            magnification = ((matrix[0][0], matrix[0][1]), (matrix[1][0], matrix[1][1]))
    odd = read.vector("rlnOddZernike")
    has_tilt = "rlnBeamTiltX" in row or "rlnBeamTiltY" in row
    try:
        return OpticsGroup(
            number=number,
            name=str(row.get("rlnOpticsGroupName", f"opticsGroup{number}")),
            voltage_kilovolts=read.number("rlnVoltage"),
            spherical_aberration_mm=read.number("rlnSphericalAberration"),
            amplitude_contrast=read.number("rlnAmplitudeContrast"),
            pixel_size_angstrom=read.number("rlnImagePixelSize"),
            box=int(read.number("rlnImageSize")),
            magnification=magnification,
            even_zernike=read.vector("rlnEvenZernike"),
            odd_zernike=_without_coma(odd) if has_tilt else odd,
            beam_tilt_mrad=(read.number("rlnBeamTiltX", 0.0), read.number("rlnBeamTiltY", 0.0)),
            ctf_premultiplied=read.flag("rlnCtfDataAreCtfPremultiplied"),
        )
    except ValueError as error:
        raise BlushError(f"The STAR file's {error} cannot be.", "Correct the optics block.") from error


def _without_coma(odd_zernike: tuple[float, ...]) -> tuple[float, ...]:
    """Return odd coefficients with those of (n, m) = (3, ±1) at 0."""
    return tuple(0.0 if index in COMA else value for index, value in enumerate(odd_zernike))


class _Row:
    """Values of a row, with the group's name in complaints."""

    def __init__(self, row: Mapping[str, Any], group: str) -> None:
        self.row, self.group = row, group

    def number(self, column: str, missing: float | None = None) -> float:
        if column not in self.row:
            if missing is not None:
                return missing
            raise BlushError(
                f"The STAR file's {self.group} has no {column}.", "Add the column to the optics block."
            )
        try:
            value = float(self.row[column])
        except (TypeError, ValueError):
            value = math.nan
        if not math.isfinite(value):
            raise self._complaint(column)
        return value

    def vector(self, column: str) -> tuple[float, ...]:
        """Return the numbers of "[0.1,0.2]"."""
        given = self.row.get(column, ())
        try:
            numbers = tuple(
                float(number) for number in (ast.literal_eval(given) if isinstance(given, str) else given)
            )
        except (TypeError, ValueError, SyntaxError):
            raise self._complaint(column) from None
        if not all(math.isfinite(number) for number in numbers):
            raise self._complaint(column)
        return numbers

    def flag(self, column: str) -> bool:
        given = str(self.row.get(column, "0")).strip().lower()
        if given not in ("0", "0.0", "false", "1", "1.0", "true"):
            raise self._complaint(column)
        return given in ("1", "1.0", "true")

    def _complaint(self, column: str) -> BlushError:
        return BlushError(
            f"The STAR file's {self.group} has {self.row[column]!r} as its {column}.",
            "Correct the optics block.",
        )
