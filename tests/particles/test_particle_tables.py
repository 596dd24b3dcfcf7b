"""Every flavour of STAR file becomes the same table, and is written as RELION 3.1 and later do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import star_zoo as zoo

from blushcore.particles import read_particles
from blushcore.particles.star_text import read_star, write_star
from blushcore.protocol import BlushError


@pytest.mark.parametrize("flavour", zoo.FLAVOURS)
def test_all_flavours_say_the_same(tmp_path: Path, flavour: str) -> None:
    table = read_particles(zoo.write_project(tmp_path, zoo.FLAVOURS[flavour]()))
    assert len(table) == zoo.COUNT
    assert table.warnings == ()
    assert table.pixel_size_angstrom.tolist() == [zoo.PIXEL_SIZE]
    assert table.box is not None
    assert table.box.tolist() == [zoo.BOX]  # of RELION 3.0: from the stacks
    assert table.has_ctf
    assert table.has_poses
    np.testing.assert_allclose(table.angles_deg, zoo.ANGLES)
    np.testing.assert_allclose(table.offsets_angstrom, zoo.OFFSETS_ANGSTROM, atol=1e-12)
    np.testing.assert_allclose(table.ctf.defocus_u_angstrom, zoo.DEFOCUS)
    np.testing.assert_allclose(table.ctf.defocus_v_angstrom, zoo.DEFOCUS - 50)
    assert table.ctf.scale.tolist() == [1.0] * zoo.COUNT
    assert table.ctf.b_factor.tolist() == [0.0] * zoo.COUNT
    np.testing.assert_allclose(table.norm_correction, 0.9 + 0.01 * zoo.ROWS)
    assert table.group_index.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert table.group_names[2] == "Micrographs/c.mrc"
    assert table.tube_index is None
    assert table.half.tolist() == [0] * zoo.COUNT
    assert table.optics_index.tolist() == [0] * zoo.COUNT
    assert np.isnan(table.angle_priors_deg).all()


@pytest.mark.parametrize("flavour", zoo.FLAVOURS)
def test_written_and_read_again_it_is_the_same(tmp_path: Path, flavour: str) -> None:
    table = read_particles(zoo.write_project(tmp_path, zoo.FLAVOURS[flavour](rlnTiny=[1.25e-9] * zoo.COUNT)))
    again_path = tmp_path / "again.star"
    table.write(again_path)
    assert list(read_star(again_path)) == ["optics", "particles"]
    again = read_particles(again_path)
    pd.testing.assert_frame_equal(again.particles, table.particles, check_dtype=False, rtol=1e-11)
    pd.testing.assert_frame_equal(again.optics, table.optics, check_dtype=False, rtol=1e-11)
    assert again.particles["rlnMyOwnLabel"].tolist() == [f"label{row}" for row in zoo.ROWS]
    assert again.particles["rlnTiny"].tolist() == [1.25e-9] * zoo.COUNT
    assert not {"rlnOriginX", "rlnDetectorPixelSize", "rlnMagnification"} & set(again.particles)
    if flavour == "4":
        assert again.optics["rlnOddZernike"].tolist() == ["[0.1,0.2,-1.5,0,0,2.5]"]
    table.write(tmp_path / "twice.star")
    assert (tmp_path / "twice.star").read_bytes() == again_path.read_bytes()


def test_old_rows_with_other_optics_are_other_groups(tmp_path: Path) -> None:
    voltage = [300.0] * 5 + [200.0] * 7
    magnification = [100000.0] * 10 + [50000.0] * 2
    text = zoo.relion30(rlnVoltage=voltage, rlnMagnification=magnification, rlnOriginX=[1.0] * zoo.COUNT)
    table = read_particles(zoo.write_project(tmp_path, text))
    assert table.optics_index.tolist() == [0] * 5 + [1] * 5 + [2] * 2
    assert table.optics["rlnVoltage"].tolist() == [300, 200, 200]
    assert table.pixel_size_angstrom.tolist() == [1.5, 1.5, 3.0]
    assert table.offsets_angstrom[:, 0].tolist() == [1.5] * 10 + [3.0] * 2
    assert table.warnings == ("The optics groups have pixel sizes of 1.5, 3 Å.",)


def test_a_beam_tilt_for_every_row_is_a_warning(tmp_path: Path) -> None:
    rows = range(150)
    columns = {
        "rlnImageName": [f"{row % 6 + 1}@Extract/even.mrcs" for row in rows],
        "rlnDefocusU": [15000.0] * 150,
        "rlnVoltage": [300.0] * 150,
        "rlnSphericalAberration": [2.7] * 150,
        "rlnAmplitudeContrast": [0.1] * 150,
        "rlnPixelSize": [1.5] * 150,
        "rlnBeamTiltX": [row / 100 for row in rows],
    }
    table = read_particles(zoo.write_project(tmp_path, zoo.loop("images", columns)))
    assert table.optics_index.tolist() == list(rows)
    assert table.optics["rlnBeamTiltX"].tolist() == columns["rlnBeamTiltX"]
    assert table.warnings[-1].startswith("There are 150 optics groups; each has a noise spectrum of its own")


def test_only_optics_groups_in_use_are_kept(tmp_path: Path) -> None:
    optics = zoo.optics_columns(3) | {"rlnImagePixelSize": [1.5, 1.0, 2.0], "rlnImageSize": [8, 12, 6]}
    particles = zoo.particle_columns() | {"rlnOpticsGroup": [3] * 4 + [1] * 8}
    star = zoo.write_project(tmp_path, zoo.loop("optics", optics) + zoo.loop("particles", particles))
    table = read_particles(star)
    assert table.optics["rlnOpticsGroup"].tolist() == [1, 3]
    assert table.optics_index.tolist() == [1] * 4 + [0] * 8
    assert table.box is not None
    assert table.box.tolist() == [8, 6]
    part = table.take(np.arange(4))
    assert part.optics["rlnOpticsGroup"].tolist() == [3]
    assert part.optics_index.tolist() == [0] * 4
    assert part.source_row.tolist() == [1, 2, 3, 4]
    assert table.take(table.optics_index == 0).name_rows([0]) == "run_data.star, row 5"


def test_a_block_that_is_a_list_is_one_row(tmp_path: Path) -> None:
    star = zoo.write_project(tmp_path, zoo.relion31())
    text = star.read_text()
    start, end = text.index("data_optics"), text.index("\n# version", text.index("data_optics"))
    values = "\n".join(f"_{label}  {column[0]}" for label, column in zoo.optics_columns().items())  # type: ignore[index]
    star.write_text(text[:start] + "data_optics\n\n" + values + "\n" + text[end:])
    assert read_particles(star).pixel_size_angstrom.tolist() == [zoo.PIXEL_SIZE]


def test_priors_are_kept(tmp_path: Path) -> None:
    tilt = [90.0 + row for row in zoo.ROWS]
    more = {"rlnAngleTiltPrior": tilt, "rlnAnglePsiPrior": [7.0] * zoo.COUNT}
    new = read_particles(zoo.write_project(tmp_path, zoo.relion31(rlnOriginXPriorAngst=[3.0] * 12, **more)))
    old = read_particles(zoo.write_project(tmp_path, zoo.relion30(rlnOriginXPrior=[2.0] * 12, **more)))
    for table in (new, old):
        assert np.isnan(table.angle_priors_deg[:, 0]).all()
        assert table.angle_priors_deg[:, 1].tolist() == tilt
        assert table.angle_priors_deg[:, 2].tolist() == [7.0] * zoo.COUNT
        assert table.offset_priors_angstrom[:, 0].tolist() == [3.0] * zoo.COUNT
        assert np.isnan(table.offset_priors_angstrom[:, 1]).all()


@pytest.mark.parametrize(
    ("more", "groups"),
    [
        ({"rlnGroupName": ["x"] * 6 + ["y"] * 6, "rlnGroupNumber": list(range(12))}, 2),
        ({"rlnGroupNumber": list(range(12))}, 3),  # micrographs
        ({"rlnMicrographName": ["007"] * 12}, 1),
    ],
)
def test_groups_of_one_scale(tmp_path: Path, more: dict[str, object], groups: int) -> None:
    table = read_particles(zoo.write_project(tmp_path, zoo.relion31(**more)))
    assert len(table.group_names) == groups
    assert table.group_index.max() == groups - 1
    nameless = table.particles.drop(columns=["rlnMicrographName", "rlnGroupName"], errors="ignore")
    numbered = zoo.write_project(tmp_path, "")
    type(table)(table.path, nameless, table.optics, table.source_row).write(numbered)
    by_number = read_particles(numbered)
    assert len(by_number.group_names) == (12 if "rlnGroupNumber" in more else 1)


def test_words_that_look_like_numbers_stay_words(tmp_path: Path) -> None:
    table = read_particles(zoo.write_project(tmp_path, zoo.relion31(rlnMicrographName=["007"] * zoo.COUNT)))
    table.write(tmp_path / "again.star")
    assert read_particles(tmp_path / "again.star").group_names == ("007",)


def test_columns_are_replaced_in_a_copy(tmp_path: Path) -> None:
    table = read_particles(zoo.write_project(tmp_path, zoo.relion31()))
    angles, offsets = zoo.ANGLES[::-1] + 1e-9, zoo.OFFSETS_ANGSTROM + 1
    moved = table.with_poses(angles, offsets).with_columns({"rlnMaxValueProbDistribution": zoo.ROWS / 7})
    np.testing.assert_allclose(table.angles_deg, zoo.ANGLES)
    assert np.array_equal(moved.angles_deg, zoo.ANGLES[::-1])
    np.testing.assert_allclose(moved.offsets_angstrom, offsets)
    moved.write(tmp_path / "moved.star")
    again = read_particles(tmp_path / "moved.star")
    np.testing.assert_allclose(again.column("rlnMaxValueProbDistribution"), zoo.ROWS / 7, rtol=1e-11)
    assert np.array_equal(again.angles_deg, moved.angles_deg)
    angles_of_caller = moved.angles_deg
    angles_of_caller[:] = 0
    assert np.array_equal(moved.angles_deg, zoo.ANGLES[::-1])


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    table = read_particles(zoo.write_project(tmp_path, zoo.relion31()))
    assert table.column("rlnNothing", 4.0).tolist() == [4.0] * zoo.COUNT
    with pytest.raises(BlushError, match=r"run_data\.star has no column rlnNothing"):
        table.column("rlnNothing")


def test_plain_lists_and_tables_in_one_file(tmp_path: Path) -> None:
    values = {"rlnSomething": 2.5, "rlnCount": 3, "rlnIsSo": True, "rlnOutputRootName": "Refine3D/job012/run"}
    values |= {"rlnSolventMaskName": "mäsks of mine/one.mrc", "rlnEmpty": ""}
    table = pd.DataFrame({"rlnImageName": ["1@a.mrcs", "with space"], "rlnX": [0.1, -3.25e-7]})
    write_star(tmp_path / "file.star", {"general": values, "particles": table})
    blocks = read_star(tmp_path / "file.star")
    assert blocks["general"].iloc[0].to_dict() == values
    pd.testing.assert_frame_equal(blocks["particles"], table)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    table = read_particles(zoo.write_project(tmp_path, zoo.relion31()))
    with pytest.raises(BlushError, match="does not exist"):
        table.write(tmp_path / "nowhere" / "run_data.star")
    target = tmp_path / "old.star"
    target.write_text("old")
    broken = table.with_columns({"rlnBroken": np.array([_Unwritable()] * zoo.COUNT, dtype=object)})
    with pytest.raises(RuntimeError, match="unwritable"):
        broken.write(target)
    assert target.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Extract", "Refine3D", "old.star"]


class _Unwritable:
    def __str__(self) -> str:
        raise RuntimeError("unwritable")


def test_a_hundred_thousand_rows_are_read_in_seconds(tmp_path: Path) -> None:
    import time

    rows = np.arange(100_000)
    columns = {
        "rlnImageName": [f"{row % 500 + 1:06d}@Extract/job018/m{row // 500}.mrcs" for row in rows],
        "rlnOpticsGroup": np.ones(len(rows), int),
        **dict.fromkeys(("rlnDefocusU", "rlnDefocusV", "rlnCoordinateX", "rlnA", "rlnB"), 10000 + rows * 0.125),
    }
    star = tmp_path / "large.star"
    star.write_text(zoo.loop("optics", zoo.optics_columns()) + zoo.loop("particles", columns))
    start = time.perf_counter()
    table = read_particles(star)
    seconds = time.perf_counter() - start
    assert len(table) == 100_000
    assert len(table.stacks.names) == 200
    assert table.stacks.index_in_stack[777] == 277
    assert seconds < 10  # half a second on an idle machine
