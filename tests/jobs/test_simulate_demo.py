"""The built-in set: made of what is shipped, quickly, small, and recognised when it is there."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from blushcore.jobs.simulate import DEMO_SYMMETRY, JOB, demo_parameters, is_made
from blushcore.protocol import Finished
from blushcore.runs import run_unrecorded
from blushcore.shipped import shipped_file
from blushcore.volumes import read_map


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


def test_the_shipped_truth_is_small_and_has_the_symmetry_it_is_said_to_have():
    path = shipped_file("demo/truth.mrc.gz")
    assert path.stat().st_size < 1e6
    assert DEMO_SYMMETRY == "D3"
    # Without the first plane of each axis the centre is the middle of the array.
    truth = read_map(path).data[1:, 1:, 1:]
    about_x = truth[::-1, ::-1, :]
    assert np.corrcoef(truth.ravel(), about_x.ravel())[0, 1] > 0.999
    smooth = ndimage.gaussian_filter(truth, 1.5)  # which interpolation does not change much
    about_z = ndimage.rotate(smooth, 120, axes=(1, 2), reshape=False, order=3)
    assert np.corrcoef(smooth.ravel(), about_z.ravel())[0, 1] > 0.995
    about_y = truth[::-1, :, ::-1]
    assert np.corrcoef(truth.ravel(), about_y.ravel())[0, 1] < 0.9
