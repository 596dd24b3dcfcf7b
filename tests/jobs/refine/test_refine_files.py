"""RELION's files of a refinement: their columns, their paths, and that RELION's programs take them."""

from __future__ import annotations

import dataclasses
import re
import subprocess
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import starfile
import torch

from blushcore.jobs.expectation_maximisation.explain import why_changed
from blushcore.jobs.expectation_maximisation.model import ParticleModel
from blushcore.jobs.expectation_maximisation.model_star import on_other_shells
from blushcore.jobs.expectation_maximisation.outputs import history_map, iteration_prefix
from blushcore.jobs.expectation_maximisation.poses import Changes, Poses
from blushcore.jobs.expectation_maximisation.resampling import on_other_grid
from blushcore.jobs.expectation_maximisation.search import Search
from blushcore.jobs.expectation_maximisation.star_files import InRun, StarFile
from blushcore.jobs.refine.continuing import state_of
from blushcore.jobs.refine.job import JOB, refine
from blushcore.jobs.refine.preflight import check_inputs
from blushcore.jobs.refine.schedule import Course
from blushcore.jobs.refine.state import RefineState
from blushcore.particles import read_particles
from blushcore.protocol import Control, IterationDone
from blushcore.runs import run_job
from blushcore.runs.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from blushcore.runs.layout import RunDirectory
from blushcore.shells import PlaneComponents, images_from, transform_images
from blushcore.volumes import Volume, write_map
from particle_files import stack_bytes
from tiny_refinement import BOX, PIXEL_SIZE, write_tiny_set


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A RELION project with a finished run in ``Refine3D/job001``."""
    folder = tmp_path_factory.mktemp("project")
    tiny = write_tiny_set(folder, count=40)
    list(run_job(JOB, tiny.parameters(max_iterations=2, keep="full"), folder / "Refine3D" / "job001"))
    return folder


def run_of(project: Path) -> Path:
    return project / "Refine3D" / "job001"


def test_the_model_has_relions_blocks_and_columns(project):
    model = starfile.read(run_of(project) / "run_it001_half1_model.star")
    general = model["model_general"]
    assert (general["rlnOriginalImageSize"], general["rlnPixelSize"]) == (BOX, PIXEL_SIZE)
    assert general["rlnReferenceDimensionality"] == 3
    curves = model["model_class_1"]
    assert len(curves) == BOX // 2 + 1
    np.testing.assert_allclose(curves["rlnAngstromResolution"][1:], BOX * PIXEL_SIZE / np.arange(1, 13))
    assert curves["rlnGoldStandardFsc"][0] == pytest.approx(1.0)
    assert (curves["rlnFourierCompleteness"].between(0, 1)).all()
    strong = curves[(curves.index > 0) & (curves["rlnSsnrMap"] > 1)]
    assert (strong["rlnReferenceTau2"] > strong["rlnReferenceSigma2"]).all()
    groups = model["model_groups"]
    assert list(groups["rlnGroupName"]) == ["mic0.mrc", "mic1.mrc", "mic2.mrc"]
    assert groups["rlnGroupNrParticles"].sum() == 20
    assert len(model["model_optics_group_1"]) == BOX // 2 + 1
    assert model["model_pdf_orient_class_1"]["rlnOrientationDistribution"].sum() == pytest.approx(1.0)


def test_names_in_the_files_are_relative_to_the_project(project):
    optimiser = starfile.read(run_of(project) / "run_it001_optimiser.star")
    assert optimiser["rlnExperimentalDataStarFile"] == "Refine3D/job001/run_it001_data.star"
    assert optimiser["rlnCurrentIteration"] == 1
    model = starfile.read(run_of(project) / "run_model.star")
    assert model["model_classes"]["rlnReferenceImage"][0] == "Refine3D/job001/run_class001.mrc"
    assert model["model_general"]["rlnCurrentImageSize"] == BOX
    assert model["model_groups"]["rlnGroupNrParticles"].sum() == 40


def test_the_sampling_lists_the_directions_searched(project):
    sampling = starfile.read(run_of(project) / "run_it001_sampling.star")
    assert len(sampling["sampling_directions"]) == 48
    assert sampling["sampling_general"]["rlnHealpixOrder"] == 1
    assert sampling["sampling_general"]["rlnPsiStep"] == 30
    assert -0.5 <= sampling["sampling_general"]["rlnSamplingPerturbInstance"] <= 0.5


def test_a_run_outside_of_the_project_is_named_in_full(tmp_path):
    file = StarFile(
        "model", "run_model.star", {"x": {"rlnReferenceImage": InRun("run.mrc")}}, Path("/elsewhere")
    )
    file.write(tmp_path / "run_model.star")
    assert starfile.read(tmp_path / "run_model.star")["rlnReferenceImage"] == f"{tmp_path}/run.mrc"


@pytest.mark.relion
def test_relions_postprocess_takes_the_half_maps(project):
    run = run_of(project)
    with mrcfile.new(run / "mask.mrc", overwrite=True) as file:
        axis = np.arange(BOX) - BOX // 2
        radius = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
        file.set_data(np.clip((10.0 - radius) / 3, 0, 1).astype(np.float32))
        file.voxel_size = PIXEL_SIZE
    (run / "post").mkdir()
    subprocess.run(
        ["relion_postprocess", "--i", "run_half1_class001_unfil.mrc", "--mask", "mask.mrc", "--o", "post/out"],
        cwd=run,
        check=True,
        capture_output=True,
    )
    curve = starfile.read(run / "post" / "out.star", always_dict=True)["fsc"][
        "rlnFourierShellCorrelationUnmaskedMaps"
    ]
    ours = starfile.read(run / "run_model.star")["model_class_1"]["rlnGoldStandardFsc"]
    np.testing.assert_allclose(curve[1:], ours[1:], atol=0.02)  # it counts the plane x = 0 twice


@pytest.mark.relion
def test_relion_refines_from_the_particles_and_the_map(project):
    run = "Refine3D/job001"
    options = "--o ./cont --iter 1 --K 1 --tau2_fudge 1 --particle_diameter 64 --ctf --skip_align --ini_high 20"
    subprocess.run(
        ["relion_refine", "--i", f"{run}/run_data.star", "--ref", f"{run}/run_class001.mrc", *options.split()],
        cwd=project,
        check=True,
        capture_output=True,
    )
    theirs = starfile.read(project / "cont_it001_data.star")["particles"].sort_values("rlnImageName")
    ours = read_particles(project / run / "run_data.star", root=project)
    angles = theirs[["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]].to_numpy()
    assert np.abs(angles - ours.angles_deg).max() < 1e-4
    assert (theirs["rlnRandomSubset"].to_numpy() == ours.half).all()


def test_a_light_map_keeps_what_is_within_the_current_size():
    rng = np.random.default_rng(0)
    small = rng.normal(size=(16, 16, 16)).astype(np.float32)
    import torch

    from blushcore.volumes import fourier_resample, lowpass_at_shell

    whole = fourier_resample(lowpass_at_shell(torch.from_numpy(small), 6), (32, 32, 32)).numpy()
    light = history_map("half1", "m.mrc", whole, 2.0, 16, "light")
    assert light.dtype == "float16"
    assert light.volume.voxel_size == (4.0,) * 3
    again = fourier_resample(torch.from_numpy(light.volume.data), (32, 32, 32)).numpy()
    np.testing.assert_allclose(again, whole, atol=1e-5)
    assert history_map("half1", "m.mrc", whole, 2.0, 16, "full").volume.shape == (32, 32, 32)
    assert history_map("half1", "m.mrc", whole * 1e-6, 2.0, 16, "light").dtype == "float32"
    assert iteration_prefix(7) == "run_it007"


def test_a_checkpoint_gives_back_every_number(tmp_path):
    tiny = write_tiny_set(tmp_path / "set", count=10)
    table = read_particles(tiny.star).assign_halves(0)
    rng = np.random.default_rng(1)
    model = ParticleModel(
        rng.normal(size=(4, 4, 4)).astype(np.float32), (rng.random(13),), rng.random(3), 7.1, 0.9, rng.random(5)
    )
    course = Course(Search(3, 4.2, 1.1, is_local=True), 9, 12, True, 0.3, Changes(1 / 3, 0.1))
    poses = dataclasses.replace(Poses.of(table), angles_deg=rng.random((10, 3)))
    state = RefineState(
        5,
        course,
        0.123,
        (model, dataclasses.replace(model, direction_prior=None)),
        poses,
        rng.random(13),
        10.0,
        2.0,
        {"poses": 3.0},
    )
    (tmp_path / "checkpoints").mkdir()
    run = RunDirectory(tmp_path)
    name = write_checkpoint(
        run, Checkpoint(job="refine", iteration=5, parameters={}, state=state.to_job_state(table))
    )
    again = RefineState.from_job_state(read_checkpoint(tmp_path / name).state, table)
    assert again.course == course
    assert (again.iteration, again.perturbation, again.seconds, again.description) == (
        5,
        0.123,
        10.0,
        {"poses": 3.0},
    )
    for one, other in zip(again.halves, state.halves, strict=True):
        np.testing.assert_array_equal(one.reference, other.reference)
        np.testing.assert_array_equal(one.noise_variance[0], other.noise_variance[0])
        assert (one.direction_prior is None) == (other.direction_prior is None)
        assert (one.offset_sigma_angstrom, one.mean_norm) == (7.1, 0.9)
    np.testing.assert_array_equal(again.poses.angles_deg, poses.angles_deg)


BEFORE = {
    "step_deg": 15.0,
    "local": 0.0,
    "poses": 1000.0,
    "significant": 5.0,
    "current_size": 40.0,
    "coarse_size": 20.0,
    "offset_range_px": 5.0,
    "offset_step_px": 2.0,
}


SLOWER = "4× slower than the iteration before, with the same search: other work on this machine, or its disk"
LOCAL = (
    "5× faster than the iteration before: orientations are now searched near the last ones only; "
    "offsets up to 5 px by 2 → up to 3 px by 1"
)


@pytest.mark.parametrize(
    ("changes", "seconds", "expected"),
    [
        ({}, 11.0, ""),
        (
            {},
            40.0,
            SLOWER,
        ),
        (
            {"significant": 600.0},
            80.0,
            "8× slower than the iteration before: poses that stay after the first look 5 → 600",
        ),
        ({"current_size": 80.0}, 60.0, "6× slower than the iteration before: image size 40 → 80 px"),
        ({"step_deg": 7.5, "poses": 8000.0}, 10.0, "angular step 15° → 7.5°; poses an image 1000 → 8000"),
        (
            {"local": 1.0, "offset_range_px": 3.0, "offset_step_px": 1.0},
            2.0,
            LOCAL,
        ),
    ],
)
def test_why_an_iteration_takes_as_long_as_it_does(changes, seconds, expected):
    assert why_changed(BEFORE, {**BEFORE, **changes}, 10.0, seconds) == expected


def test_the_first_iteration_has_nothing_to_be_compared_with():
    assert why_changed({}, BEFORE, 0.0, 10.0) == ""


def test_spectra_of_groups_of_another_box_stand_at_the_references_shells():
    variance = np.linspace(3.0, 1.0, 13)  # 24 pixels of 4 Å
    assert on_other_shells(variance, 4.0, 24, 4.0) is variance
    finer = on_other_shells(variance, 4.0, 32, 3.0)  # of the same extent: the same shells, and some beyond
    np.testing.assert_allclose(finer[:13], variance)
    np.testing.assert_allclose(finer[13:], 1.0)
    np.testing.assert_allclose(on_other_shells(finer, 3.0, 24, 4.0), variance)
    wider = on_other_shells(variance, 4.0, 48, 4.0)  # of twice the extent: every second shell
    np.testing.assert_allclose(wider[::2], variance)


def take_half_as_another_group(tiny):
    """Make the first 20 images those of a second optics group, of 32 pixels of 3 Å instead of 24 of 4 Å."""
    images = mrcfile.read(tiny.stack)
    plane, finer = PlaneComponents.of(BOX, BOX - 2), PlaneComponents.of(32, BOX - 2)
    resampled = images_from(transform_images(torch.from_numpy(images), plane), finer).numpy()
    (tiny.star.parent / "finer.mrcs").write_bytes(stack_bytes(resampled, pixel_size=3.0))
    text = re.sub("(1 opticsGroup1 .*)", r"\1\n2 finer 300 2.7 0.1 3.0 32 2 0", tiny.star.read_text())
    for row in range(1, 21):
        text = re.sub(rf"{row:06d}@particles.mrcs (\S+) 1 ", rf"{row:06d}@finer.mrcs \1 2 ", text)
    tiny.star.write_text(text)


def test_groups_of_other_boxes_are_refined_together(tmp_path):
    tiny = write_tiny_set(tmp_path, count=40)
    whole = list(refine(tiny.parameters(max_iterations=3), Control(), None))[-1]
    take_half_as_another_group(tiny)
    run = tmp_path / "run"
    mixed = list(run_job(JOB, tiny.parameters(max_iterations=3, keep="full"), run))[-1]
    assert mixed.figures["resolution_angstrom"] == pytest.approx(whole.figures["resolution_angstrom"], rel=0.3)
    model = starfile.read(run / "run_it002_half1_model.star")
    assert len(model["model_optics_group_2"]) == BOX // 2 + 1
    params = tiny.parameters(continue_from=run / "run_it002_optimiser.star")
    noise = state_of(params.continue_from, check_inputs(params)).halves[0].noise_variance
    assert [len(variance) for variance in noise] == [BOX // 2 + 1, 17]
    ratio = noise[1][2:10] / noise[0][2:10]
    assert 0.5 < ratio.min() < ratio.max() < 2


def test_maps_are_on_the_grid_of_the_group_that_the_reference_is_on(tmp_path):
    tiny = write_tiny_set(tmp_path, count=40)
    coarse = list(refine(tiny.parameters(max_iterations=2), Control(), None))[-1]
    take_half_as_another_group(tiny)
    reference = on_other_grid(mrcfile.read(tiny.reference), PIXEL_SIZE, 32, 3.0)
    write_map(tiny.reference, Volume(reference, (3.0,) * 3))
    fine = list(refine(tiny.parameters(max_iterations=2), Control(), None))[-1]
    assert (fine.figures["box"], fine.figures["voxel_size_angstrom"]) == (32, 3.0)
    assert fine.figures["resolution_angstrom"] == pytest.approx(coarse.figures["resolution_angstrom"], rel=0.3)


def test_a_group_of_one_image_does_not_outweigh_all_others(tmp_path):
    tiny = write_tiny_set(tmp_path, count=40)
    text = re.sub("(1 opticsGroup1 .*)", r"\1\n2 alone 300 2.7 0.1 4.0 24 2 0", tiny.star.read_text())
    tiny.star.write_text(re.sub(r"(000001@particles.mrcs \S+) 1 ", r"\1 2 ", text))
    events = list(refine(tiny.parameters(max_iterations=2), Control(), None))
    fsc = next(event.figures["fsc"] for event in events if isinstance(event, IterationDone) and event.iteration)
    assert fsc[-3] < 0.9  # noise does not agree
