"""RELION's programs read what is written, and group particles as is done here."""

from __future__ import annotations

import subprocess
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import star_zoo as zoo

from blushcore.particles import ParticleTable, read_particles
from blushcore.particles.star_text import read_star
from particle_files import stack_bytes

pytestmark = pytest.mark.relion


def _relion(folder: Path, *words: str) -> str:
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _project(folder: Path) -> ParticleTable:
    """Two of three optics groups in use, with other pixel sizes and boxes."""
    optics = zoo.optics_columns(3) | {"rlnImagePixelSize": [3.0, 2.0, 2.4], "rlnImageSize": [16, 24, 20]}
    particles = zoo.particle_columns() | {"rlnOpticsGroup": [1, 3] * 6, "rlnRandomSubset": [1, 1, 2, 2] * 3}
    star = zoo.write_project(folder, zoo.loop("optics", optics) + zoo.loop("particles", particles))
    rng = np.random.default_rng(1)
    for name, box in (("even", 16), ("odd", 20)):
        images = rng.normal(size=(6, box, box))
        (folder / "Extract" / f"{name}.mrcs").write_bytes(stack_bytes(images))
    return read_particles(star)


@pytest.mark.parametrize("flavour", zoo.FLAVOURS)
def test_star_handler_reads_every_flavour(tmp_path: Path, flavour: str) -> None:
    table = read_particles(zoo.write_project(tmp_path, zoo.FLAVOURS[flavour]()))
    table.write(tmp_path / "ours.star")
    chosen = ["--select", "rlnDefocusU", "--minval", "12450"]
    _relion(tmp_path, "relion_star_handler", "--i", "ours.star", "--o", "theirs.star", *chosen)
    theirs = read_particles(tmp_path / "theirs.star")
    kept = np.flatnonzero(zoo.DEFOCUS > 12450)
    assert theirs.particles["rlnImageName"].tolist() == [zoo.NAMES[row] for row in kept]
    np.testing.assert_allclose(theirs.angles_deg, zoo.ANGLES[kept], atol=1e-6)
    np.testing.assert_allclose(theirs.offsets_angstrom, zoo.OFFSETS_ANGSTROM[kept], atol=1e-6)
    assert theirs.pixel_size_angstrom.tolist() == [zoo.PIXEL_SIZE]


def test_old_files_become_what_relion_makes_of_them(tmp_path: Path) -> None:
    voltage = [300.0] * 12
    star = zoo.write_project(tmp_path, zoo.relion30(rlnVoltage=voltage, rlnOriginXPrior=[2.0] * 12))
    (tmp_path / "old.star").write_text(star.read_text())
    _relion(tmp_path, "relion_convert_star", "--i", "old.star", "--o", "theirs.star")
    ours, theirs = read_particles(star), read_particles(tmp_path / "theirs.star")
    for label in (
        "rlnVoltage",
        "rlnImagePixelSize",
        "rlnSphericalAberration",
        "rlnAmplitudeContrast",
        "rlnImageSize",
    ):
        assert ours.optics[label].tolist() == theirs.optics[label].tolist()
    np.testing.assert_allclose(ours.offsets_angstrom, theirs.offsets_angstrom, atol=1e-6)
    np.testing.assert_allclose(
        ours.offset_priors_angstrom[:, 0], theirs.offset_priors_angstrom[:, 0], atol=1e-6
    )
    np.testing.assert_allclose(ours.norm_correction, theirs.norm_correction, atol=1e-6)


def test_reconstruct_reads_what_is_written(tmp_path: Path) -> None:
    table = _project(tmp_path)
    table.write(tmp_path / "ours.star")
    given = (tmp_path / "Refine3D" / "job012" / "run_data.star").read_text()
    (tmp_path / "given.star").write_text(given)
    maps = []
    for name in ("given", "ours"):
        how = ["--ctf", "--skip_gridding", "--maxres", "8"]
        _relion(tmp_path, "relion_reconstruct", "--i", f"{name}.star", "--o", f"{name}.mrc", *how)
        maps.append(mrcfile.read(tmp_path / f"{name}.mrc"))
    assert np.abs(maps[0]).max() > 0
    assert np.array_equal(maps[0], maps[1])


@pytest.mark.parametrize("grouped_by", ["rlnGroupName", "rlnMicrographName"])
def test_groups_of_one_scale_are_those_of_relion_refine(tmp_path: Path, grouped_by: str) -> None:
    table = _project(tmp_path).with_columns({"rlnGroupNumber": np.arange(12) % 6 + 1})
    if grouped_by == "rlnGroupName":
        table = table.with_columns({"rlnGroupName": np.array([f"g{row // 6}" for row in range(12)])})
    table.write(tmp_path / "ours.star")
    with mrcfile.new(tmp_path / "ref.mrc") as file:
        file.set_data(np.random.default_rng(2).normal(size=(16, 16, 16)).astype(np.float32))
        file.voxel_size = 3.0
    how = "--iter 1 --K 1 --ctf --particle_diameter 40 --oversampling 0 --healpix_order 0 --offset_range 1"
    how += " --offset_step 1 --firstiter_cc --ini_high 20 --dont_check_norm --scale --random_seed 1 --sym C1"
    names = ["--i", "ours.star", "--ref", "ref.mrc", "--o", "./run"]
    _relion(tmp_path, "relion_refine", *names, *how.split())
    groups = read_star(tmp_path / "run_it001_model.star")["model_groups"]
    counts = dict(zip(groups["rlnGroupName"], groups["rlnGroupNrParticles"], strict=True))
    assert counts == dict(zip(table.group_names, np.bincount(table.group_index).tolist(), strict=True))
    assert len(counts) == (2 if grouped_by == "rlnGroupName" else 3)
    data = read_particles(tmp_path / "run_it001_data.star")
    assert data.has_poses
    assert data.half.tolist() == [1, 1, 2, 2] * 3 or sorted(data.half) == [1] * 6 + [2] * 6
