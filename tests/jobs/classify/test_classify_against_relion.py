"""A classification held against RELION's Class3D: the same start, the same images, the same iterations."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import starfile

from blushcore.jobs.classify.job import JOB
from blushcore.jobs.expectation_maximisation.star_files import UNKNOWN
from blushcore.runs import run_job
from blushcore.shells import fsc
from blushcore.volumes import read_map
from tiny_mixture import write_tiny_mixture
from tiny_refinement import DIAMETER

ITERATIONS = 2
LOWPASS = 15.0
"""Å: shell 6.4, so no whole one, and well beyond shell 5, from which on there is a prior."""


@pytest.mark.relion
def test_two_classes_without_alignment_are_those_of_class3d(tmp_path):
    mixture = write_tiny_mixture(tmp_path / "mixture", counts=(60, 40), noise=12.0)
    folder = mixture.folder
    table = folder / "one_group.star"  # 3.1.3 keeps noise per micrograph otherwise
    table.write_text(mixture.posed.read_text().replace("mic1.mrc", "mic0.mrc").replace("mic2.mrc", "mic0.mrc"))
    names = "\n".join(str(part.reference) for part in mixture.parts)
    (folder / "references.star").write_text(f"\ndata_\n\nloop_\n_rlnReferenceImage #1\n{names}\n")
    words = (
        f"--i {table.name} --ref references.star --o theirs/run --iter {ITERATIONS} --tau2_fudge 4 --ctf "
        f"--ctf_corrected_ref --particle_diameter {DIAMETER:g} --ini_high {LOWPASS:g} --skip_align --zero_mask "
        "--flatten_solvent --skip_gridding --norm --scale --pad 2 --sym C1"
    )
    (folder / "theirs").mkdir()
    subprocess.run(["relion_refine", *words.split()], cwd=folder, check=True, capture_output=True)
    params = mixture.parameters(
        particles=table, alignment="none", initial_lowpass=LOWPASS, iterations=ITERATIONS, keep="full"
    )
    list(run_job(JOB, params, folder / "ours"))
    ours, theirs = (_found(folder / name, 1) for name in ("ours", "theirs"))
    np.testing.assert_array_equal(ours.classes, theirs.classes)
    np.testing.assert_allclose(ours.p_max, theirs.p_max, atol=0.01)
    np.testing.assert_allclose(ours.shares, theirs.shares, atol=0.002)
    for one, other in zip(ours.curves, theirs.curves, strict=True):
        for label in ("rlnReferenceTau2", "rlnReferenceSigma2", "rlnSsnrMap"):
            np.testing.assert_allclose(one[label][1:8], other[label][1:8], rtol=0.08, err_msg=label)
    for one, other in zip(ours.maps, theirs.maps, strict=True):
        assert fsc(one, other)[1:8].min() > 0.999
    # No shell of either map has as much signal as noise: neither has a resolution, in whichever word for that.
    assert not np.isfinite(theirs.resolutions).any()
    assert (ours.resolutions == UNKNOWN).all()
    ours, theirs = (_found(folder / name, 2) for name in ("ours", "theirs"))
    assert (ours.classes == theirs.classes).mean() > 0.9
    np.testing.assert_allclose(ours.shares, theirs.shares, atol=0.02)


@dataclass(frozen=True, eq=False)
class _Found:
    classes: np.ndarray
    p_max: np.ndarray
    shares: np.ndarray
    resolutions: np.ndarray
    curves: list[pd.DataFrame]
    maps: list[np.ndarray]


def _found(folder: Path, iteration: int) -> _Found:
    prefix = f"run_it{iteration:03d}"
    model = starfile.read(folder / f"{prefix}_model.star")
    particles = starfile.read(folder / f"{prefix}_data.star")["particles"].sort_values("rlnImageName")
    classes = model["model_classes"]
    return _Found(
        particles["rlnClassNumber"].to_numpy(),
        particles["rlnMaxValueProbDistribution"].to_numpy(),
        classes["rlnClassDistribution"].to_numpy(),
        classes["rlnEstimatedResolution"].to_numpy(),
        [model[f"model_class_{number}"] for number in (1, 2)],
        [read_map(folder / f"{prefix}_class{number:03d}.mrc").data for number in (1, 2)],
    )
