"""Halves, a mask and postprocess results made by RELION's own programs, once for the session."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import mrcfile
import numpy as np
import pandas as pd
import pytest
import starfile

VOXEL_SIZE = 2.5
RANDOM_SEEDS = range(20)


@dataclass(frozen=True)
class RelionCase:
    """Two halves with a mask, and what ``relion_postprocess`` says of them, per random seed."""

    half1: np.ndarray
    half2: np.ndarray
    mask: np.ndarray
    postprocess: list[dict]
    sharpened: np.ndarray
    """The postprocessed map of seed 0, not masked: the joined halves times the FSC weighting."""

    def curve(self, column: str, seed: int = 0) -> np.ndarray:
        return self.postprocess[seed]["fsc"][column].to_numpy(float)

    def curves(self, column: str) -> np.ndarray:
        return np.stack([self.curve(column, seed) for seed in range(len(self.postprocess))])


def blobs(n: int, rng: np.random.Generator, *, count: int = 60) -> np.ndarray:
    """A particle of a few dozen Gaussians, float32 ``(n, n, n)``, within 0.28 n of the centre."""
    axis = np.arange(n) - n // 2
    volume = np.zeros((n, n, n))
    for _ in range(count):
        direction = rng.normal(size=3)
        centre = direction / np.linalg.norm(direction) * 0.28 * n * rng.random() ** (1 / 3)
        width = rng.uniform(0.7, 1.6)
        z, y, x = (np.exp(-((axis - c) ** 2) / (2 * width**2)) for c in centre)
        volume += rng.uniform(0.5, 1.5) * z[:, None, None] * y[:, None] * x
    return volume.astype(np.float32)


def write_mrc(path: Path, data: np.ndarray, *, stack: bool = False) -> None:
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(np.asarray(data, np.float32))
        file.voxel_size = VOXEL_SIZE
        if stack:
            file.set_image_stack()


def relion(folder: Path, command: str) -> None:
    done = subprocess.run(command.split(), cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def postprocessed(folder: Path, half1: np.ndarray, half2: np.ndarray, seeds: range) -> RelionCase:
    """Run postprocess on halves in `folder`, inside ``mask.mrc``, once a seed."""
    write_mrc(folder / "half1_class001_unfil.mrc", half1)
    write_mrc(folder / "half2_class001_unfil.mrc", half2)
    for seed in seeds:
        relion(
            folder,
            f"relion_postprocess --i half1_class001_unfil.mrc --o ./post{seed} --mask mask.mrc"
            f" --angpix {VOXEL_SIZE} --random_seed {seed}",
        )
    return RelionCase(
        half1=half1,
        half2=half2,
        mask=mrcfile.read(folder / "mask.mrc"),
        postprocess=[starfile.read(folder / f"post{seed}.star") for seed in seeds],
        sharpened=mrcfile.read(folder / "post0.mrc"),
    )


def make_mask(folder: Path, particle: np.ndarray) -> None:
    write_mrc(folder / "particle.mrc", particle)
    relion(folder, "relion_image_handler --i particle.mrc --o smooth.mrc --lowpass 15")
    threshold = 0.1 * mrcfile.read(folder / "smooth.mrc").max()
    relion(
        folder,
        f"relion_mask_create --i smooth.mrc --o mask.mrc --ini_threshold {threshold:.6f}"
        " --extend_inimask 2 --width_soft_edge 5",
    )


def reconstructed_halves(folder: Path, particle: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Project the particle, add noise, and reconstruct each half from its true poses."""
    n, images = particle.shape[0], 300
    write_mrc(folder / "particle.mrc", particle)
    particles = pd.DataFrame(
        {
            "rlnAngleRot": rng.uniform(-180, 180, images),
            "rlnAngleTilt": np.degrees(np.arccos(rng.uniform(-1, 1, images))),
            "rlnAnglePsi": rng.uniform(-180, 180, images),
            "rlnOpticsGroup": 1,
            "rlnRandomSubset": 1 + np.arange(images) % 2,
            "rlnImageName": [f"{i + 1:06d}@particles.mrcs" for i in range(images)],
        }
    )
    optics = pd.DataFrame(
        {
            "rlnOpticsGroupName": ["opticsGroup1"],
            "rlnOpticsGroup": [1],
            "rlnVoltage": [300.0],
            "rlnSphericalAberration": [2.7],
            "rlnAmplitudeContrast": [0.1],
            "rlnImagePixelSize": [VOXEL_SIZE],
            "rlnImageSize": [n],
            "rlnImageDimensionality": [2],
        }
    )
    starfile.write({"optics": optics, "particles": particles}, folder / "true.star")
    relion(folder, f"relion_project --i particle.mrc --o clean --ang true.star --angpix {VOXEL_SIZE}")
    clean = mrcfile.read(folder / "clean.mrcs")
    y, x = np.indices((n, n)) - n // 2
    noise = np.sqrt(clean[:, np.hypot(y, x) < 0.31 * n].var() / 0.3)
    write_mrc(folder / "particles.mrcs", clean + rng.normal(0, noise, clean.shape), stack=True)
    for half in (1, 2):
        relion(folder, f"relion_reconstruct --i true.star --o half{half}.mrc --subset {half} --skip_gridding")
    return [mrcfile.read(folder / f"half{half}.mrc") for half in (1, 2)]


@pytest.fixture(scope="session")
def relion_halves(tmp_path_factory: pytest.TempPathFactory) -> RelionCase:
    """Halves of 64³ from relion_reconstruct, postprocessed with 20 random seeds."""
    folder = tmp_path_factory.mktemp("relion_halves")
    rng = np.random.default_rng(1)
    particle = blobs(64, rng)
    make_mask(folder, particle)
    return postprocessed(folder, *reconstructed_halves(folder, particle, rng), RANDOM_SEEDS)


@pytest.fixture(scope="session")
def relion_odd_halves(tmp_path_factory: pytest.TempPathFactory) -> RelionCase:
    """A particle in an odd box, 51³, with white noise, postprocessed once."""
    folder = tmp_path_factory.mktemp("relion_odd_halves")
    rng = np.random.default_rng(2)
    particle = blobs(51, rng)
    make_mask(folder, particle)
    noise = rng.normal(0, 0.25 * particle.std(), (2, 51, 51, 51)).astype(np.float32)
    return postprocessed(folder, particle + noise[0], particle + noise[1], range(1))
