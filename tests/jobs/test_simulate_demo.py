"""The built-in set: made of what is shipped, quickly, small, and recognised when it is there."""

from __future__ import annotations

import numpy as np
import torch

from blushcore.jobs.simulate import JOB, demo_parameters, is_made
from blushcore.protocol import Finished
from blushcore.runs import run_unrecorded
from blushcore.shipped import shipped_file
from blushcore.volumes import fourier_resample, lowpass, read_map


def test_the_set_is_made_once_and_small(tmp_path):
    params = demo_parameters(tmp_path / "set")
    assert not is_made(params)
    last = list(run_unrecorded(JOB, params, params.output))[-1]
    assert isinstance(last, Finished)
    assert is_made(params)
    assert sum(path.stat().st_size for path in params.output.iterdir()) < 20e6
    assert not is_made(params.replace(seed=params.seed + 1))
    assert not is_made(params.replace(output=tmp_path))
    (params.output / "simulation.json").write_text("torn")
    assert not is_made(params)
    (params.output / "particles.mrcs").unlink()
    assert not is_made(params)


def test_the_shipped_truth_is_that_of_the_shipped_half_maps():
    path = shipped_file("demo/truth.mrc.gz")
    assert path.stat().st_size < 1e6
    truth, half = read_map(path), read_map(shipped_file("demo/half1.mrc.gz"))
    fine = fourier_resample(torch.from_numpy(truth.data), half.shape)
    a, b = (
        lowpass(volume, 15.0, half.isotropic_voxel_size).flatten()
        for volume in (fine, torch.from_numpy(half.data))
    )
    assert float(np.corrcoef(a, b)[0, 1]) > 0.95
