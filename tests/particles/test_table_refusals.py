"""What is wrong with a STAR file is said in a sentence that names file, row and field."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import star_zoo as zoo

from blushcore.particles import read_particles
from blushcore.protocol import BlushError


def _with(label: str, row: int, value: object) -> dict[str, object]:
    """That column with another value in one row (from 1)."""
    column = list(zoo.particle_columns().get(label, [1.0] * zoo.COUNT))  # type: ignore[call-overload]
    column[row - 1] = value
    return {label: column}


def _optics(**values: object) -> str:
    return zoo.loop("optics", zoo.optics_columns() | values) + zoo.loop("particles", zoo.particle_columns())


def _without(text_of: str, label: str) -> str:
    columns = {"optics": zoo.optics_columns(), "particles": zoo.particle_columns()}
    del columns[text_of][label]
    return "".join(zoo.loop(name, block) for name, block in columns.items())


CASES = {
    "no defocus": (
        _without("particles", "rlnDefocusU"),
        r"run_data\.star lacks what the CTF needs: rlnDefocusU\.",
    ),
    "no voltage": (_without("optics", "rlnVoltage"), r"lacks what the CTF needs: rlnVoltage\."),
    "no images": (
        _without("particles", "rlnImageName"),
        r"has no column rlnImageName \(it holds: optics, particles",
    ),
    "no pixel size": (_without("optics", "rlnImagePixelSize"), r"has no pixel size \(rlnImagePixelSize, or"),
    "no particle": (
        zoo.loop("optics", zoo.optics_columns())
        + zoo.loop("particles", {label: [] for label in zoo.particle_columns()}),
        "has no particle in it",
    ),
    "no particle, and another block": (
        zoo.loop("particles", {label: [] for label in zoo.particle_columns()})
        + "\n# version 30001\n"
        + zoo.loop("optics", zoo.optics_columns()),
        "no particle in it|a table without a single row",
    ),
    "no optics group": (
        zoo.loop("optics", {label: [] for label in zoo.optics_columns()})
        + zoo.loop("particles", zoo.particle_columns()),
        "empty block of optics groups",
    ),
    "subtomograms": (_optics(rlnImageDimensionality=[3]), "describes subtomograms"),
    "subtomograms as stacks": (
        "\ndata_general\n\n_rlnTomoSubTomosAre2DStacks  1\n\n" + zoo.relion31(),
        "describes subtomograms",
    ),
    "tomograms": (zoo.relion31(rlnTomoName=["t1"] * zoo.COUNT), "describes subtomograms"),
    "a word": (zoo.relion31(**_with("rlnDefocusU", 3, "abc")), "row 3: rlnDefocusU is abc, not a number"),
    "NaN": (zoo.relion31(**_with("rlnAngleRot", 12, "nan")), "row 12: rlnAngleRot is nan, not a number"),
    "infinity": (zoo.relion31(**_with("rlnOriginXAngst", 2, "inf")), "row 2: rlnOriginXAngst is inf"),
    "absurd defocus": (
        zoo.relion31(**_with("rlnDefocusV", 4, 1e9)),
        r"row 4: rlnDefocusV is 1e\+09; more than",
    ),
    "defocus in µm": (zoo.relion31(rlnDefocusU=zoo.DEFOCUS / 1e4), "looks like µm; it is in Å"),
    "norm": (
        zoo.relion31(rlnNormCorrection=[0.0] * zoo.COUNT),
        "rows 1, 2, 3, 4, 5 and 7 others: rlnNormCorrection",
    ),
    "subset": (
        zoo.relion31(**_with("rlnRandomSubset", 2, 3)),
        "row 2: rlnRandomSubset is 3, and must be 1 or 2",
    ),
    "voltage in V": (
        _optics(rlnVoltage=[300000.0]),
        "optics group 1 has a rlnVoltage of 300000, which cannot be",
    ),
    "pixel size": (_optics(rlnImagePixelSize=[0.0]), "optics group 1 has a rlnImagePixelSize of 0"),
    "a word in the optics": (
        _optics(rlnVoltage=["high"]),
        "data_optics, row 1: rlnVoltage is high, not a number",
    ),
    "unknown group": (
        zoo.relion31(**_with("rlnOpticsGroup", 7, 9)),
        "row 7: there is no optics group 9 in data_optics",
    ),
    "two groups, none said": (
        zoo.loop("optics", zoo.optics_columns(2))
        + zoo.loop("particles", {k: v for k, v in zoo.particle_columns().items() if k != "rlnOpticsGroup"}),
        "has 2 optics groups, but its particles no column rlnOpticsGroup",
    ),
    "two groups of one number": (
        zoo.loop("optics", zoo.optics_columns(2) | {"rlnOpticsGroup": [1, 1]})
        + zoo.loop("particles", zoo.particle_columns()),
        "two optics groups 1",
    ),
    "nothing": ("", "holds no data block"),
    "prose": ("nothing in here\n", "holds no data block"),
    "zero magnification": (
        zoo.relion30(rlnMagnification=[0.0] * zoo.COUNT),
        "rlnImagePixelSize of inf|cannot be",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_refused_in_one_sentence(tmp_path: Path, case: str) -> None:
    text, said = CASES[case]
    with pytest.raises(BlushError, match=said) as caught:
        read_particles(zoo.write_project(tmp_path, text))
    assert "run_data.star" in caught.value.problem
    assert caught.value.remedy


def test_a_table_without_ctf_is_read_where_none_is_needed(tmp_path: Path) -> None:
    table = read_particles(zoo.write_project(tmp_path, _without("particles", "rlnDefocusU")), needs_ctf=False)
    assert not table.has_ctf
    with pytest.raises(BlushError, match="no column rlnDefocusU"):
        _ = table.ctf


def test_a_row_that_is_cut_or_too_long_is_named(tmp_path: Path) -> None:
    star = zoo.write_project(tmp_path, zoo.relion31())
    text = star.read_text().rstrip()
    star.write_text(text[: text.rindex(" ")])
    with pytest.raises(BlushError, match="row 12 of data_particles has no value for rlnOriginYAngst"):
        read_particles(star)
    star.write_text(text + " 5\n")
    with pytest.raises(BlushError, match=r"cannot be read as a STAR file: .*saw 14"):
        read_particles(star)
    star.write_text(text)  # mended, it is read anew
    assert len(read_particles(star)) == zoo.COUNT


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x93NUMPY\x01\x00v\x00{'descr'", "is a cryoSPARC file, not a STAR file"),
        (b"\x1f\x8b\x08\x00", "is compressed"),
        (bytes(range(128, 256)), "holds no data block|cannot be read"),
        (
            "data_\n\nloop_\n_rlnImageName\n1@Zürich.mrcs\n".encode("latin1"),
            "line 5 has letters that are not in UTF-8",
        ),
    ],
)
def test_other_files_are_named(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "particles.star"
    path.write_bytes(content)
    with pytest.raises(BlushError, match=said):
        read_particles(path)


def test_a_file_or_root_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BlushError, match=r"none\.star does not exist"):
        read_particles(tmp_path / "none.star")
    star = zoo.write_project(tmp_path, zoo.relion31())
    with pytest.raises(BlushError, match="There is no folder"):
        read_particles(star, root=tmp_path / "none")


def test_what_is_rarely_meant_is_a_warning(tmp_path: Path) -> None:
    norm = 0.9 + 0.01 * zoo.ROWS
    norm[6] = 3e8
    names = list(zoo.NAMES)
    names[5] = names[1]
    text = zoo.relion31(rlnNormCorrection=norm, rlnCtfBfactor=[-50.0] * 12, rlnImageName=names)
    warnings = read_particles(zoo.write_project(tmp_path, text)).warnings
    assert len(warnings) == 3
    assert "rlnNormCorrection in row 7 is implausible: 3e+08" in warnings[0]
    assert "rlnCtfBfactor is negative in rows 1, 2, 3, 4, 5 and 7 others" in warnings[1]
    assert "2 rows share their image with another one (rows 2 and 6)" in warnings[2]


def test_numbers_that_are_not_used_may_be_anything(tmp_path: Path) -> None:
    text = zoo.relion31(rlnCtfFigureOfMerit=["nan"] * 12)
    table = read_particles(zoo.write_project(tmp_path, text + "\n"))
    table.write(tmp_path / "again.star")
    assert "rlnCtfFigureOfMerit" in read_particles(tmp_path / "again.star").particles
    assert np.isfinite(table.angles_deg).all()
