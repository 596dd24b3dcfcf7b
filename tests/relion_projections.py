"""Projections made by RELION's programs, and reconstructions of them: what ours are held against."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import mrcfile
import numpy as np
import pandas as pd
import starfile

VOXEL_SIZE = 2.5
VOLTAGE_KILOVOLTS, SPHERICAL_ABERRATION_MM, AMPLITUDE_CONTRAST = 300.0, 2.7, 0.1


def blobs(n: int, rng: np.random.Generator, *, count: int = 60, reach: float = 0.28) -> np.ndarray:
    """A particle of a few dozen Gaussians, float32 ``(n, n, n)``, within `reach`·n of the centre."""
    axis = np.arange(n) - n // 2
    volume = np.zeros((n, n, n))
    for _ in range(count):
        direction = rng.normal(size=3)
        centre = direction / np.linalg.norm(direction) * reach * n * rng.random() ** (1 / 3)
        width = rng.uniform(0.7, 1.6)
        z, y, x = (np.exp(-((axis - c) ** 2) / (2 * width**2)) for c in centre)
        volume += rng.uniform(0.5, 1.5) * z[:, None, None] * y[:, None] * x
    return volume.astype(np.float32)


@dataclass(frozen=True)
class Views:
    """Poses and CTF parameters of a set: angles (N, 3) in degrees, defocus (N, 3) in Å, Å and degrees."""

    angles_deg: np.ndarray
    defocus: np.ndarray

    @classmethod
    def random(cls, count: int, rng: np.random.Generator) -> Views:
        angles = np.degrees(
            [
                rng.uniform(-np.pi, np.pi, count),
                np.arccos(rng.uniform(-1, 1, count)),
                rng.uniform(-np.pi, np.pi, count),
            ]
        ).T
        u = rng.uniform(8000, 20000, count)
        return cls(angles, np.stack([u, u - rng.uniform(0, 600, count), rng.uniform(0, 180, count)], 1))

    def rotations(self) -> np.ndarray:
        """Object to image frame, (N, 3, 3): the matrix of the Euler angles as RELION defines it."""
        (cr, sr), (ct, st), (cp, sp) = (
            (np.cos(a), np.sin(a)) for a in np.radians(self.angles_deg, dtype=np.float64).T
        )
        rows = [
            [cp * ct * cr - sp * sr, cp * ct * sr + sp * cr, -cp * st],
            [-sp * ct * cr - cp * sr, -sp * ct * sr + cp * cr, sp * st],
            [st * cr, st * sr, ct],
        ]
        return np.moveaxis(np.array(rows), 2, 0)

    def ctf(self, kx: np.ndarray, ky: np.ndarray, n: int) -> np.ndarray:
        """The contrast transfer function at frequencies in 1/n per pixel, float64 (N, P)."""
        u, v, angle = self.defocus.T[:, :, None]
        fx, fy = kx / (n * VOXEL_SIZE), ky / (n * VOXEL_SIZE)
        squared = fx**2 + fy**2
        wavelength = 12.2643247 / np.sqrt(VOLTAGE_KILOVOLTS * 1e3 * (1 + 0.978466e-6 * VOLTAGE_KILOVOLTS * 1e3))
        defocus = ((u + v) + (u - v) * np.cos(2 * (np.arctan2(fy, fx) - np.radians(angle)))) / 2
        phase = np.pi * wavelength * defocus * squared
        phase = phase - np.pi / 2 * SPHERICAL_ABERRATION_MM * 1e7 * wavelength**3 * squared**2
        return np.sin(phase + np.arcsin(AMPLITUDE_CONTRAST))

    def write(self, path: Path, n: int) -> None:
        """Write a STAR file that names ``particles.mrcs`` beside it."""
        count = len(self.angles_deg)
        particles = pd.DataFrame(
            {
                "rlnAngleRot": self.angles_deg[:, 0],
                "rlnAngleTilt": self.angles_deg[:, 1],
                "rlnAnglePsi": self.angles_deg[:, 2],
                "rlnDefocusU": self.defocus[:, 0],
                "rlnDefocusV": self.defocus[:, 1],
                "rlnDefocusAngle": self.defocus[:, 2],
                "rlnOpticsGroup": 1,
                "rlnImageName": [f"{i + 1:06d}@particles.mrcs" for i in range(count)],
            }
        )
        optics = pd.DataFrame(
            {
                "rlnOpticsGroupName": ["opticsGroup1"],
                "rlnOpticsGroup": [1],
                "rlnVoltage": [VOLTAGE_KILOVOLTS],
                "rlnSphericalAberration": [SPHERICAL_ABERRATION_MM],
                "rlnAmplitudeContrast": [AMPLITUDE_CONTRAST],
                "rlnImagePixelSize": [VOXEL_SIZE],
                "rlnImageSize": [n],
                "rlnImageDimensionality": [2],
            }
        )
        starfile.write({"optics": optics, "particles": particles}, path)


def write_mrc(path: Path, data: np.ndarray, *, stack: bool = False) -> None:
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(np.asarray(data, np.float32))
        file.voxel_size = VOXEL_SIZE
        if stack:
            file.set_image_stack()


def relion(folder: Path, command: str) -> None:
    done = subprocess.run(command.split(), cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def relion_project(folder: Path, volume: np.ndarray, views: Views, options: str = "") -> np.ndarray:
    """Return RELION's projections of a map, float32 (N, n, n)."""
    write_mrc(folder / "particle.mrc", volume)
    views.write(folder / "views.star", volume.shape[0])
    relion(
        folder, f"relion_project --i particle.mrc --o clean --ang views.star --angpix {VOXEL_SIZE} {options}"
    )
    return mrcfile.read(folder / "clean.mrcs").copy()


def relion_reconstruct(folder: Path, images: np.ndarray, views: Views, options: str = "") -> np.ndarray:
    """Return RELION's reconstruction of images (N, n, n) from their views, float32 (n, n, n)."""
    write_mrc(folder / "particles.mrcs", images, stack=True)
    views.write(folder / "views.star", images.shape[-1])
    relion(folder, f"relion_reconstruct --i views.star --o map.mrc --skip_gridding {options}")
    return mrcfile.read(folder / "map.mrc").copy()
