"""τ² from a reference: of white noise and of a Gaussian in closed form, and what RELION takes it to be."""

from __future__ import annotations

import os
import subprocess

import mrcfile
import numpy as np
import pytest
import starfile
import torch

from blushcore.projection import FourierVolume
from blushcore.reconstruction import tau2_from_reference
from tiny_refinement import DIAMETER, write_tiny_set


def test_a_gaussian_blob_has_its_own_spectrum():
    n, sigma = 32, 1.6
    axis = torch.arange(n) - n // 2
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    blob = torch.exp(-(x**2 + y**2 + z**2) / (2 * sigma**2)).float()
    volume = FourierVolume.of(blob, 20, correct_gridding=False)
    found = tau2_from_reference(volume)
    # F = (2πσ²)^{3/2} exp(−2π²σ²k²/n²) at the components of the box padded to twice its size: k in steps of ½.
    half = np.arange(-20, 21) / 2
    k = np.sqrt(half[:, None, None] ** 2 + half[:, None] ** 2 + half**2)
    power = 0.5 * ((2 * np.pi * sigma**2) ** 1.5 / n**2) ** 2 * np.exp(-((2 * np.pi * sigma * k / n) ** 2))
    for s in (0, 2, 5, 8):
        assert found[s] == pytest.approx(power[np.floor(k + 0.5) == s].mean(), rel=2e-3)
    assert (found[11:] == 0).all()
    assert len(found) == n // 2 + 1


_RECORD = """#!/bin/sh
cp "$1" "$KEPT/$(basename "$1")"
relion_external_reconstruct "$1"
"""


@pytest.mark.relion
def test_relion_takes_the_same_power(tmp_path):
    """Its own prior, as it hands it to an external reconstruction, within 6 % in all shells that matter."""
    tiny = write_tiny_set(tmp_path / "set", count=30)
    script = tmp_path / "record.sh"
    script.write_text(_RECORD)
    script.chmod(0o755)
    (tmp_path / "set" / "run").mkdir()
    command = f"""relion_refine --o run/run --i particles.star --ref reference.mrc --ini_high 20 --iter 2 --K 2
        --tau2_fudge 4 --particle_diameter {DIAMETER:g} --dont_combine_weights_via_disc --pad 2 --skip_gridding
        --ctf --flatten_solvent --zero_mask --oversampling 0 --healpix_order 0 --offset_range 1 --offset_step 1
        --norm --scale --j 1 --random_seed 1 --sym C1 --external_reconstruct"""
    environment = {**os.environ, "RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE": str(script), "KEPT": str(tmp_path)}
    subprocess.run(command.split(), cwd=tiny.folder, env=environment, check=True, capture_output=True)
    for iteration in (1, 2):
        name = f"run_it{iteration:03d}_class001_external_reconstruct.star"
        used = starfile.read(tmp_path / name)["external_reconstruct_tau2"]["rlnReferenceTau2"].to_numpy()
        reference = mrcfile.read(tiny.folder / f"run/run_it{iteration - 1:03d}_class001.mrc").copy()
        found = tau2_from_reference(FourierVolume.of(torch.from_numpy(reference), len(reference)))
        np.testing.assert_allclose(found[:11], used[:11], rtol=0.06)
