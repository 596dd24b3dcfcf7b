"""Tables and stacks of other programs: what is read from each, or how it is refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from blushcore.particles import ImageReader, ImageStack, read_particles
from blushcore.protocol import BlushError

pytestmark = pytest.mark.shared_data

TABLES = {  # rows, optics groups, pixel sizes, box, poses, groups of one scale, particles of half 1, warning
    "particles/empiar_10076_7.star": (7, 1, [1.309998], 320, False, 7, 0, None),
    "particles/relion31.6opticsgroups.star": (
        139,
        6,
        [1.24, 1.25],
        196,
        True,
        139,
        74,
        "pixel sizes of 1.24, 1.25",
    ),
    "particles/relion31.star": (5, 1, [2.806], 256, True, 1, 5, None),
    "particles/relion31.v2.star": (5, 1, [2.806], 256, True, 1, 5, None),
    "particles/relion5.star": (17, 1, [0.89], 448, True, 2, 11, "4 rows share their image"),
    "particles/sta_testing_bin8.star": (219, 1, [1.96], 64, True, 6, 39, "rlnCtfBfactor is negative"),
    "metadata/relion30_tutorial_betagal_particles.star.gz": (4501, 1, [1.244531], 256, True, 24, 0, None),
    "metadata/relion_tests_ap_s_c2d.star.gz": (8915, 1, [3.540002], None, True, 15, 0, None),
}
REFUSED = {
    "particles/FinalRefinement-OriginalParticles-PfCRT.star": "lacks what the CTF needs: rlnAmplitudeContrast",
    "particles/rln_proj_64.star": "lacks what the CTF needs: rlnDefocusU, rlnVoltage",
    "particles/rln_proj_65.star": "lacks what the CTF needs: rlnDefocusU, rlnVoltage",
    "particles/sample_data_model.star": r"no column rlnImageName \(it holds: model_general",
    "particles/toy_projections.star": "has no pixel size",
    "particles/cryosparc_J2_particles_exported.cs": "is a cryoSPARC file",
    "particles/empiar_10076_7.cs": "is a cryoSPARC file",
    "metadata/cryosparc_P12_J24_001_particles.cs": "is a cryoSPARC file",
    "metadata/R5_tutorial_run_data.star.gz": "describes subtomograms",
    "metadata/relion5_1_run_it025_data.star.gz": "describes subtomograms",
}
READERS = {
    "empiar_10076_7.star": None,
    "relion31.star": None,
    "relion31.v2.star": None,
    "sta_testing_bin8.star": None,
    "relion31.6opticsgroups.star": "139 image stacks, and 139 do not exist: first Polish",
    "relion5.star": r"2 image stacks, and 2 do not exist: first toy_images_a\.mrcs, in rows 1, 3, 4, 6, 7 and",
}
STACKS = {  # images, pixels, whether it is truncated
    "00256_Ribosomes_1.70A.mrcs": (1, 128, True),
    "00263_Ribosomes_1.70A.mrcs": (1, 128, True),
    "ay19102021_L3_position6_ribo_it09_bin8_1.82A.mrcs": (220, 64, False),
    "empiar_10076_7.mrc": (7, 320, False),
    "relion31.mrcs": (5, 256, False),
    "rln_proj_64.mrcs": (5, 64, False),
    "rln_proj_65.mrcs": (5, 65, False),
    "sample.mrcs": (17, 200, False),
    "toy_projections.mrcs": (1000, 30, False),
    "xmipp_smallStack.mrcs": (4, 64, False),
}
CTF_STAR = """
data_
loop_
_rlnImageName
_rlnDefocusU
_rlnVoltage
_rlnSphericalAberration
_rlnAmplitudeContrast
_rlnDetectorPixelSize
_rlnMagnification
"""


def _path(shared_data: Path, name: str, unpacked: Path) -> Path:
    path = shared_data / name
    if path.suffix != ".gz":
        return path
    (unpacked / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    return unpacked / path.stem


@pytest.mark.parametrize("name", TABLES)
def test_tables_that_are_read(shared_data: Path, tmp_path: Path, name: str) -> None:
    table = read_particles(_path(shared_data, name, tmp_path))
    sizes, box = sorted(set(table.pixel_size_angstrom)), table.box
    found = (len(table), len(table.optics), sizes, None if box is None else int(box[0]), table.has_poses)
    found += (len(table.group_names), int((table.half == 1).sum()))
    assert found == TABLES[name][:-1]
    warning = TABLES[name][-1]
    assert [warning in said for said in table.warnings] == ([] if warning is None else [True])
    assert (table.ctf.defocus_u_angstrom > 3000).all()
    table.write(tmp_path / "again.star")
    again = read_particles(tmp_path / "again.star")
    assert np.array_equal(again.angles_deg, table.angles_deg)
    np.testing.assert_allclose(again.offsets_angstrom, table.offsets_angstrom, rtol=1e-11)
    assert list(again.particles) == list(table.particles)
    given = TABLES[name][6]
    if given == len(table):
        with pytest.raises(BlushError, match="half-set 2 is empty"):
            table.assign_halves(1)
        return
    drawn = table.assign_halves(1).half
    if given:
        assert np.array_equal(drawn, table.half)
    else:
        assert abs(int((drawn == 1).sum()) - int((drawn == 2).sum())) <= 1


@pytest.mark.parametrize("name", REFUSED)
def test_tables_that_are_refused(shared_data: Path, tmp_path: Path, name: str) -> None:
    path = _path(shared_data, name, tmp_path)
    with pytest.raises(BlushError, match=REFUSED[name]) as caught:
        read_particles(path)
    assert path.name in caught.value.problem


def test_every_table_is_expected(shared_data: Path) -> None:
    endings = (".star", ".star.gz", ".cs")
    paths = [path for folder in ("particles", "metadata") for path in (shared_data / folder).iterdir()]
    there = {f"{path.parent.name}/{path.name}" for path in paths if path.name.endswith(endings)}
    assert there == TABLES.keys() | REFUSED.keys()


@pytest.mark.parametrize("name", READERS)
def test_their_images(shared_data: Path, name: str) -> None:
    table = read_particles(shared_data / "particles" / name)
    said = READERS[name]
    if said is not None:
        with pytest.raises(BlushError, match=said):
            ImageReader(table)
        return
    reader = ImageReader(table)
    assert len(reader.survey().rows) == 0
    for rows, images in reader.batches(batch_size=50):
        shown = ImageStack(table.path.parent / table.stacks.names[0])
        for row, image in zip(rows, images.numpy(), strict=True):
            assert np.array_equal(image, shown[int(table.stacks.index_in_stack[row])])


@pytest.mark.parametrize("name", STACKS)
def test_stacks_by_a_table_of_our_own(shared_data: Path, tmp_path: Path, name: str) -> None:
    count, pixels, truncated = STACKS[name]
    star = tmp_path / "particles.star"

    def write(rows: int) -> None:
        lines = [f"{row + 1}@{name} 15000 300 2.7 0.1 5 20000" for row in range(rows)]
        star.write_text(CTF_STAR + "\n".join(lines) + "\n")

    write(count)
    reader = ImageReader(read_particles(star, root=shared_data / "particles"))
    assert reader.box.tolist() == [pixels]
    assert len(reader.survey().rows) == 0
    assert sum(len(rows) for rows, _ in reader.batches(batch_size=100)) == count
    write(count + 2)
    said = rf"is truncated: .* 11029 images, 1 is there\. particles\.star, rows {count + 1} and {count + 2} p"
    if not truncated:
        said = rf"rows {count + 1} and {count + 2}: there is no image {count + 1} in"
    with pytest.raises(BlushError, match=said):
        ImageReader(read_particles(star, root=shared_data / "particles"))
