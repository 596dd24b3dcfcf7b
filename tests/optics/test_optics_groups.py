"""Optics groups: out of STAR rows, and how they relate images to volumes."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from relion_optics import GROUP, optics_columns

from blushcore.optics import OpticsGroup, optics_group_from_star
from blushcore.protocol import BlushError

FULL = dataclasses.replace(
    GROUP,
    magnification=((1.01, 0.002), (0.003, 0.99)),
    even_zernike=(0.1, -0.2),
    odd_zernike=(1.5, 0.0, 2e-3),
    beam_tilt_mrad=(0.3, -0.4),
)


@pytest.mark.parametrize("group", [GROUP, FULL], ids=["plain", "full"])
def test_a_group_comes_back_from_its_row(group: OpticsGroup) -> None:
    row = optics_columns(group)
    assert optics_group_from_star(row) == group
    assert optics_group_from_star({column: str(value) for column, value in row.items()}) == group


@pytest.mark.parametrize(("flag", "means"), [(1, True), ("0", False), ("True", True), (1.0, True)])
def test_the_premultiplied_flag_is_read(flag: Any, means: bool) -> None:
    row = optics_columns(GROUP) | {"rlnCtfDataAreCtfPremultiplied": flag}
    assert optics_group_from_star(row).ctf_premultiplied is means


@pytest.mark.parametrize("columns", [{"rlnBeamTiltX": 0, "rlnBeamTiltY": 0}, {"rlnBeamTiltY": 0.2}])
def test_a_beam_tilt_takes_the_place_of_coma(columns: dict[str, float]) -> None:
    row = optics_columns(GROUP) | {"rlnOddZernike": "[1,2,3,4,5,6]"}
    assert optics_group_from_star(row).odd_zernike == (1, 2, 3, 4, 5, 6)
    with_tilt = optics_group_from_star(row | columns)
    assert with_tilt.odd_zernike == (1, 2, 3, 0, 0, 6)
    assert with_tilt.beam_tilt_mrad == (0, columns["rlnBeamTiltY"])


def test_a_magnification_of_one_is_none() -> None:
    row = optics_columns(GROUP) | {"rlnMagMat00": 1, "rlnMagMat01": 0, "rlnMagMat10": 0, "rlnMagMat11": 1}
    assert optics_group_from_star(row).magnification is None


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("rlnVoltage", "nan"),
        ("rlnVoltage", "-300"),
        ("rlnImagePixelSize", 0.0),
        ("rlnAmplitudeContrast", 7),
        ("rlnEvenZernike", "[0.1,oops]"),
        ("rlnOddZernike", "0.1"),
        ("rlnOddZernike", "[1e999]"),
        ("rlnCtfDataAreCtfPremultiplied", "maybe"),
    ],
)
def test_impossible_values_are_named(column: str, value: Any) -> None:
    row = optics_columns(GROUP) | {"rlnOpticsGroup": 3, column: value}
    with pytest.raises(BlushError, match="optics group 3") as caught:
        optics_group_from_star(row)
    said = str(caught.value)
    assert column in said or str(value).removeprefix("-").rstrip(".0") in said


@pytest.mark.parametrize("column", ["rlnVoltage", "rlnImageSize", "rlnMagMat11"])
def test_missing_columns_are_named(column: str) -> None:
    row = optics_columns(FULL)
    del row[column]
    with pytest.raises(BlushError, match=f"no {column}"):
        optics_group_from_star(row)


def test_slices_are_magnified_and_scaled_to_the_volume() -> None:
    assert GROUP.slice_magnification() is None
    assert GROUP.slice_magnification(1 + 1e-9) is None
    # An image twice as wide as the volume: its component 10 is the volume's 5.
    scaled = GROUP.slice_magnification(2.0)
    assert scaled is not None
    assert (scaled @ torch.tensor([10.0, 0.0], dtype=torch.float64)).tolist() == [5, 0]
    full = FULL.slice_magnification(2.0)
    assert full is not None
    torch.testing.assert_close(2 * full, torch.tensor(FULL.magnification, dtype=torch.float64))
