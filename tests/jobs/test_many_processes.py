"""Two processes that share the particles find what one finds."""

from __future__ import annotations

import os
import subprocess
import sys

import mrcfile
import numpy as np
import pytest

from blushcore.devices.processes import is_follower, started_by_torchrun
from blushcore.jobs.communicator import SingleProcess, communicator
from blushcore.jobs.refine.job import JOB
from blushcore.particles import read_particles
from blushcore.runs import read_run, run_job
from tiny_refinement import write_tiny_set


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, (False, False)),
        ({"RANK": "0", "WORLD_SIZE": "1"}, (False, False)),
        ({"RANK": "0", "WORLD_SIZE": "2"}, (True, False)),
        ({"RANK": "1", "WORLD_SIZE": "2"}, (True, True)),
    ],
)
def test_which_process_this_is(monkeypatch, environment, expected):
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert (started_by_torchrun(), is_follower()) == expected


def test_one_process_has_everything():
    one = communicator()
    assert isinstance(one, SingleProcess)
    assert (one.rank, one.size, one.share("x"), one.device_name("cuda")) == (0, 1, "x", "cuda")


def test_two_processes_find_what_one_finds(tmp_path):
    tiny = write_tiny_set(tmp_path / "set", count=41)
    params = tiny.parameters(max_iterations=3, first_iteration_cc=True)
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    list(run_job(JOB, params, alone))
    options = [str(tiny.star)]
    for name, value in params.non_defaults().items():
        if name != "particles":
            options += [f"--{name.replace('_', '-')}"] + ([] if value is True else [str(value)])
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    subprocess.run(
        [*torchrun, "-m", "blushcore.cli", "refine", *options, "-o", str(shared)],
        check=True,
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=300,
    )
    assert read_run(shared).summary.is_done
    for name in ("run_class001.mrc", "run_half1_class001_unfil.mrc", "run_half2_class001_unfil.mrc"):
        one, two = mrcfile.read(alone / name), mrcfile.read(shared / name)
        assert np.abs(one - two).max() < 1e-3 * np.abs(one).max()
    tables = [read_particles(run / "run_data.star", root=tiny.folder) for run in (alone, shared)]
    np.testing.assert_allclose(tables[0].angles_deg, tables[1].angles_deg, atol=1e-4)
    np.testing.assert_allclose(tables[0].norm_correction, tables[1].norm_correction, rtol=1e-4)
