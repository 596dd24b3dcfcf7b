"""Optics against RELION's programs: its CTF, and how it undoes odd aberrations."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest
import torch
from relion_optics import GROUP, blobs, components, optics_columns, particle_rows, run, write_map, write_star

from blushcore.optics import CtfParameters, OpticsGroup, aberration_phases, ctf, optics_group_from_star

MAGNIFICATION = ((1.04, 0.02), (-0.01, 0.97))
BOX = GROUP.box


def relions_ctf(folder: Path, group: OpticsGroup, particle: dict[str, Any], options: str = "") -> torch.Tensor:
    """The transform of a point's projection with CTF over that without, flat over the half transform."""
    point = np.zeros((BOX, BOX, BOX))
    point[BOX // 2, BOX // 2, BOX // 2] = 1000
    write_map(folder / "point.mrc", point, GROUP.pixel_size_angstrom)
    write_star(folder / "one.star", group, [particle_rows(1, "none.mrcs")[0] | particle])
    command = f"relion_project --i point.mrc --ang one.star --angpix {GROUP.pixel_size_angstrom}"
    run(f"{command} --o without", folder)
    run(f"{command} --o with --ctf {options}", folder)
    images = [mrcfile.read(folder / f"{name}.mrcs").reshape(BOX, BOX) for name in ("without", "with")]
    without, with_ctf = (np.fft.rfft2(np.fft.ifftshift(image.astype(float))) for image in images)
    return torch.from_numpy((with_ctf / without).ravel())


EVEN = (0.2, 3.0, -1.0, 2.0, 5.0, -8.0, 1.0, 6.0, -9.0, 20.0, 30.0, -20.0, 4.0, 25.0, -30.0, 40.0)


@pytest.mark.relion
@pytest.mark.parametrize(
    ("group", "particle", "options"),
    [
        (GROUP, {}, ""),
        (GROUP, {"rlnPhaseShift": 40, "rlnCtfBfactor": 30, "rlnCtfScalefactor": 0.8}, ""),
        (dataclasses.replace(GROUP, magnification=MAGNIFICATION), {}, ""),
        (dataclasses.replace(GROUP, even_zernike=EVEN), {}, ""),
        (dataclasses.replace(GROUP, even_zernike=EVEN, magnification=MAGNIFICATION), {"rlnPhaseShift": 10}, ""),
        (GROUP, {"rlnCtfBfactor": 20, "rlnCtfScalefactor": 0.8}, "--ctf_intact_first_peak"),
        (GROUP, {"rlnDefocusU": -12000, "rlnDefocusV": -10500}, "--ctf_intact_first_peak"),
    ],
    ids=["plain", "particle", "magnification", "even", "even and magnification", "intact", "overfocus intact"],
)
def test_the_ctf_is_relions(tmp_path: Path, group: OpticsGroup, particle: dict[str, Any], options: str) -> None:
    relions = relions_ctf(tmp_path, group, particle, options)
    parameters = CtfParameters.of(
        [float(particle.get("rlnDefocusU", 12000))],
        [float(particle.get("rlnDefocusV", 10500))],
        25.0,
        float(particle.get("rlnPhaseShift", 0)),
        float(particle.get("rlnCtfBfactor", 0)),
        float(particle.get("rlnCtfScalefactor", 1)),
    )
    kx, ky = components(BOX)
    ours = ctf(group, parameters, kx, ky, intact_first_peak="intact" in options)[0]
    inside = (torch.hypot(kx.double(), ky.double()) < BOX // 2 - 2) & (kx + ky.abs() > 0)
    assert (relions - ours)[inside].abs().max() < 1e-5  # it writes float32 images


ODD = (0.5, -0.3, 4.0, 2.0, -3.0, 5.0, 9.0, -6.0, 8.0, 5.0, -7.0, 9.0)


@pytest.mark.relion
@pytest.mark.parametrize(
    "aberration",
    [
        {"odd_zernike": ODD},
        {"beam_tilt_mrad": (1.5, -2.0)},
        {"odd_zernike": ODD, "beam_tilt_mrad": (1.5, -2.0), "magnification": MAGNIFICATION},
    ],
    ids=["odd", "tilt", "all"],
)
def test_odd_aberrations_are_undone_as_relion_undoes_them(tmp_path: Path, aberration: dict[str, Any]) -> None:
    """We put the aberration into images, relion_reconstruct takes it out: the map is as without."""
    box = 32
    plain = dataclasses.replace(GROUP, box=box, magnification=aberration.get("magnification"))
    group = dataclasses.replace(plain, **aberration)
    write_map(tmp_path / "blobs.mrc", blobs(box), GROUP.pixel_size_angstrom)
    write_star(tmp_path / "plain.star", plain, particle_rows(12, "plain.mrcs"))
    pixel = f"--angpix {GROUP.pixel_size_angstrom}"
    run(f"relion_project --i blobs.mrc --o plain --ang plain.star {pixel}", tmp_path)

    # Read back from its row: the beam tilt takes the place of the coma coefficients.
    undo = aberration_phases(optics_group_from_star(optics_columns(group)), *components(box))
    assert undo is not None
    images = np.fft.ifftshift(mrcfile.read(tmp_path / "plain.mrcs"), axes=(1, 2))
    aberrant = np.fft.rfft2(images) * undo.numpy().conj().reshape(box, -1)
    back = np.fft.fftshift(np.fft.irfft2(aberrant, s=(box, box)), axes=(1, 2))
    write_map(tmp_path / "aberrant.mrcs", back, GROUP.pixel_size_angstrom, stack=True)
    write_star(tmp_path / "aberrant.star", group, particle_rows(12, "aberrant.mrcs"))

    for name in ("plain", "aberrant"):
        run(f"relion_reconstruct --i {name}.star --o {name}.mrc --ctf --skip_gridding {pixel}", tmp_path)
    without, undone = (mrcfile.read(tmp_path / f"{name}.mrc") for name in ("plain", "aberrant"))
    assert np.abs(undone - without).max() < 1e-4 * np.abs(without).max()
