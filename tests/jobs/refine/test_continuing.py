"""Going on from an iteration of another refinement."""

from __future__ import annotations

import shutil
import subprocess

import mrcfile
import numpy as np
import pytest

from blushcore.jobs.refine.continuing import state_of
from blushcore.jobs.refine.job import JOB
from blushcore.jobs.refine.preflight import check_inputs
from blushcore.protocol import BlushError, IterationDone
from blushcore.runs import resume, run_job
from blushcore.shells import fsc
from tiny_refinement import BOX, DIAMETER, write_tiny_set


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_tiny_set(tmp_path_factory.mktemp("project"), count=60)


@pytest.fixture(scope="module")
def finished(tiny):
    """A run of ours of which everything was kept."""
    run = tiny.folder / "first in ä folder"
    list(run_job(JOB, tiny.parameters(max_iterations=4, keep="full", seed=3), run))
    return run


def test_it_goes_on_where_the_other_stood(tiny, finished):
    run = tiny.folder / "second"
    params = tiny.parameters(
        max_iterations=4, seed=3, keep="full", continue_from=finished / "run_it002_optimiser.star"
    )
    events = list(run_job(JOB, params, run))
    assert [event.iteration for event in events if isinstance(event, IterationDone)] == [2, 3, 4]
    maps = [mrcfile.read(folder / "run_class001.mrc") for folder in (finished, run)]
    assert fsc(*maps)[1:9].min() > 0.98  # poses in STAR files are rounded


def test_a_run_that_went_on_is_resumed_without_the_other(tiny, finished, tmp_path):
    other = shutil.copytree(finished, tmp_path / "other")
    run = tmp_path / "run"
    params = tiny.parameters(max_iterations=4, seed=99, continue_from=other / "run_it002_optimiser.star")
    stream = run_job(JOB, params, run)
    while not (isinstance(event := next(stream), IterationDone) and event.iteration == 2):
        pass
    stream.close()
    shutil.rmtree(other)
    events = list(resume(run))
    assert [event.iteration for event in events if isinstance(event, IterationDone)] == [3, 4]


def test_the_state_is_that_of_the_files(tiny, finished):
    optimiser = finished / "run_it002_optimiser.star"
    inputs = check_inputs(tiny.parameters(seed=99, continue_from=optimiser))
    state = state_of(optimiser, inputs)
    assert state.iteration == 2
    assert -0.5 <= state.perturbation <= 0.5
    np.testing.assert_array_equal(
        state.halves[1].reference, mrcfile.read(finished / "run_it002_half2_class001.mrc")
    )
    assert state.halves[0].noise_variance[0].shape == (BOX // 2 + 1,)
    assert state.halves[0].direction_prior.sum() == pytest.approx(1.0)
    assert state.poses.p_max.max() == 0.0  # of the iteration to come
    assert np.ptp(state.poses.angles_deg, axis=0).min() > 90


def test_other_particles_light_maps_and_other_files_are_refused(tiny, finished, tmp_path):
    optimiser = finished / "run_it002_optimiser.star"
    other = write_tiny_set(tmp_path / "other", count=40)
    with pytest.raises(BlushError, match="has 60 particles"):
        check_inputs(other.parameters(continue_from=optimiser))
    with pytest.raises(BlushError, match="data_optimiser_general"):
        check_inputs(tiny.parameters(continue_from=finished / "run_it002_data.star"))
    with pytest.raises(BlushError, match="does not exist"):
        check_inputs(tiny.parameters(continue_from=finished / "run_it077_optimiser.star"))
    inputs = check_inputs(tiny.parameters())
    moved = tmp_path / "moved"
    shutil.copytree(finished, moved)
    (moved / "run_it002_half1_model.star").unlink()
    for name in ("run_it002_optimiser.star", "run_it002_sampling.star"):
        text = (moved / name).read_text()
        (moved / name).write_text(text.replace("first in ä folder/", ""))
    with pytest.raises(BlushError, match=r"run_it002_half1_model\.star, which is not there"):
        state_of(moved / "run_it002_optimiser.star", inputs)


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("optimiser", "_rlnIncrementImageSize", "_rlnNothing", "has no rlnIncrementImageSize"),
        ("half1_model", "_rlnSsnrMap", "_rlnNothing", "has no rlnSsnrMap"),
        ("sampling", "_rlnHealpixOrder  ", "_rlnHealpixOrder x", "cannot be"),
    ],
)
def test_what_the_files_lack_is_said_in_a_sentence(tiny, finished, tmp_path, file, old, new, said):
    copy = tmp_path / "first"
    shutil.copytree(finished, copy)
    spoilt = copy / f"run_it002_{file}.star"
    assert old in spoilt.read_text()
    spoilt.write_text(spoilt.read_text().replace(old, new))
    with pytest.raises(BlushError, match=said):
        state_of(copy / "run_it002_optimiser.star", check_inputs(tiny.parameters()))


@pytest.mark.relion
def test_it_goes_on_where_relion_stood(tiny):
    (tiny.folder / "relion").mkdir()
    options = (
        "--auto_refine --split_random_halves --i particles.star --ref reference.mrc --o relion/run "
        f"--ini_high 20 --particle_diameter {DIAMETER:g} --ctf --flatten_solvent --zero_mask --healpix_order 1 "
        "--auto_local_healpix_order 2 --offset_range 2 --offset_step 1 --low_resol_join_halves 40 "
        "--norm --scale --pad 2 --skip_gridding --dont_combine_weights_via_disc --preread_images "
        "--auto_iter_max 2 --random_seed 1 --dont_check_norm"
    )
    mpi = ["mpirun", "--oversubscribe", "--allow-run-as-root", "-n", "3"]
    subprocess.run(
        [*mpi, "relion_refine_mpi", *options.split()],
        cwd=tiny.folder,
        check=True,
        capture_output=True,
        timeout=240,
    )
    optimiser = tiny.folder / "relion" / "run_it002_optimiser.star"
    run = tiny.folder / "third"
    events = list(run_job(JOB, tiny.parameters(max_iterations=4, continue_from=optimiser), run))
    done = [event for event in events if isinstance(event, IterationDone)]
    assert [event.iteration for event in done] == [2, 3, 4]
    assert fsc(mrcfile.read(run / "run_class001.mrc"), tiny.truth)[1:6].min() > 0.7
