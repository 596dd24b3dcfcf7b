"""What the worker finds out about a refinement before it begins, and the particles to try one with."""

from __future__ import annotations

from pathlib import Path

import pytest

from blushcore.interactive.messages import CheckRefinement, MakeDemoParticles, ParticlesMade
from blushcore.interactive.refinements import check_refinement, make_demo_particles
from blushcore.protocol import BlushError
from tiny_refinement import BOX, PIXEL_SIZE, TinySet, write_tiny_set


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinySet:
    return write_tiny_set(tmp_path_factory.mktemp("tiny"), count=20)


def asked(tiny: TinySet, output: Path, **changes: object) -> CheckRefinement:
    parameters = {**tiny.parameters().model_dump(mode="json"), **changes}
    return CheckRefinement(id="1", parameters=parameters, output=output)


def test_what_fits_is_described_beside_what_is_there(tiny, tmp_path):
    found = check_refinement(asked(tiny, tmp_path / "run"))
    assert (found.particles, sum(found.half_sizes), found.box, found.pixel_size) == (20, 20, BOX, PIXEL_SIZE)
    assert 0 < found.host_peak < found.host_free
    assert 0 < found.disk < found.disk_free
    assert (found.device, found.device_peak) == ("cpu", 0)
    low, high = found.seconds
    assert 0 < low < high < 3600
    longer = check_refinement(asked(tiny, tmp_path / "run", healpix_order=3, local_from_order=4)).seconds
    assert longer[1] > high
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("particles", "none.star"),
        ("reference", "none.mrc"),
        ("mask", "none.mrc"),
        ("diameter", 500.0),
        ("initial_lowpass", 5.0),
        ("device", "cuda:77"),
    ],
)
def test_a_fault_names_its_field(tiny, tmp_path, field, value):
    with pytest.raises(BlushError) as caught:
        check_refinement(asked(tiny, tmp_path / "run", **{field: value}))
    assert caught.value.field == field


def test_the_built_in_particles_are_made_once(tmp_path):
    *_, made = make_demo_particles(MakeDemoParticles(id="demo", folder=tmp_path / "demo"))
    assert isinstance(made, ParticlesMade)
    assert made.truth.is_file()
    found = check_refinement(CheckRefinement(id="1", parameters=made.parameters, output=tmp_path / "run"))
    assert (found.particles, found.box) == (400, 64)
    written = (tmp_path / "demo" / "particles.mrcs").stat().st_mtime_ns
    events = list(make_demo_particles(MakeDemoParticles(id="demo", folder=tmp_path / "demo")))
    assert events == [made]
    assert (tmp_path / "demo" / "particles.mrcs").stat().st_mtime_ns == written
