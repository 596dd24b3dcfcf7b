"""Images and STAR files for RELION's programs, to hold optics against them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import torch
from scipy.spatial.transform import Rotation

from blushcore.optics import OpticsGroup

GROUP = OpticsGroup(
    number=1,
    name="one",
    voltage_kilovolts=300,
    spherical_aberration_mm=2.7,
    amplitude_contrast=0.1,
    pixel_size_angstrom=1.7,
    box=64,
)


def vector(numbers: tuple[float, ...]) -> str:
    return "[" + ",".join(map(repr, numbers)) + "]"


def optics_columns(group: OpticsGroup) -> dict[str, Any]:
    columns: dict[str, Any] = {
        "rlnOpticsGroup": group.number,
        "rlnOpticsGroupName": group.name,
        "rlnVoltage": group.voltage_kilovolts,
        "rlnSphericalAberration": group.spherical_aberration_mm,
        "rlnAmplitudeContrast": group.amplitude_contrast,
        "rlnImagePixelSize": group.pixel_size_angstrom,
        "rlnImageSize": group.box,
        "rlnImageDimensionality": 2,
    }
    if group.magnification is not None:
        for i in (0, 1):
            columns |= {f"rlnMagMat{i}{j}": group.magnification[i][j] for j in (0, 1)}
    if group.even_zernike:
        columns["rlnEvenZernike"] = vector(group.even_zernike)
    if group.odd_zernike:
        columns["rlnOddZernike"] = vector(group.odd_zernike)
    if any(group.beam_tilt_mrad):
        columns |= {"rlnBeamTiltX": group.beam_tilt_mrad[0], "rlnBeamTiltY": group.beam_tilt_mrad[1]}
    return columns


def write_star(path: Path, group: OpticsGroup, particles: list[dict[str, Any]]) -> None:
    lines = []
    for block, rows in (("optics", [optics_columns(group)]), ("particles", particles)):
        lines += ["", f"data_{block}", "", "loop_", *(f"_{column}" for column in rows[0])]
        lines += [" ".join(map(str, row.values())) for row in rows] + [""]
    path.write_text("\n".join(lines) + "\n")


def write_map(path: Path, data: np.ndarray, pixel_size: float, *, stack: bool = False) -> None:
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(data.astype(np.float32))
        if stack:
            file.set_image_stack()
        file.voxel_size = pixel_size


def blobs(box: int) -> np.ndarray:
    """An asymmetric density."""
    z, y, x = np.mgrid[-box // 2 : box // 2, -box // 2 : box // 2, -box // 2 : box // 2]
    where = [((4, 0, 0), 1.0), ((-3, 5, 1), 0.8), ((0, -4, 5), 1.2), ((-2, -3, -6), 0.7)]
    r2 = [(x - at[0]) ** 2 + (y - at[1]) ** 2 + (z - at[2]) ** 2 for at, _ in where]
    return np.asarray(
        sum(weight * np.exp(-squared / 3) for (_, weight), squared in zip(where, r2, strict=True))
    )


def particle_rows(count: int, stack: str) -> list[dict[str, Any]]:
    angles = Rotation.random(count, rng=4).as_euler("ZYZ", degrees=True)
    return [
        {
            "rlnImageName": f"{i + 1:06d}@{stack}",
            "rlnMicrographName": "m.mrc",
            "rlnOpticsGroup": 1,
            "rlnAngleRot": rot,
            "rlnAngleTilt": tilt,
            "rlnAnglePsi": psi,
            "rlnOriginXAngst": 0,
            "rlnOriginYAngst": 0,
            "rlnDefocusU": 12000,
            "rlnDefocusV": 10500,
            "rlnDefocusAngle": 25,
        }
        for i, (rot, tilt, psi) in enumerate(angles)
    ]


def run(command: str, folder: Path) -> None:
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)


def components(box: int) -> tuple[torch.Tensor, torch.Tensor]:
    """kx, ky of a half transform, flat."""
    ky = torch.arange(box)
    ky = torch.where(ky >= box // 2, ky - box, ky)
    return torch.arange(box // 2 + 1).repeat(box), ky.repeat_interleave(box // 2 + 1)
