"""A search of RELION's own: its poses lie on our grids, and changes of poses are counted as it counts them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import starfile
import torch

from blushcore.poses import (
    OffsetGrid,
    OrientationGrid,
    SymmetryGroup,
    angular_distance_deg,
    euler_to_matrix,
    mean_axis_distance_deg,
)

PIXEL_SIZE, BOX, IMAGES = 4.0, 24, 12
OPTICS = f"""
data_optics

loop_
_rlnOpticsGroup
_rlnOpticsGroupName
_rlnVoltage
_rlnSphericalAberration
_rlnAmplitudeContrast
_rlnImagePixelSize
_rlnImageSize
_rlnImageDimensionality
1 one 300 2.7 0.1 {PIXEL_SIZE} {BOX} 2

data_particles

loop_
_rlnImageName
_rlnMicrographName
_rlnOpticsGroup
"""
ANGLES = ["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]


def write(path: Path, data: np.ndarray, *, stack: bool = False) -> None:
    with mrcfile.new(path) as file:
        file.set_data(data.astype(np.float32))
        file.voxel_size = PIXEL_SIZE
        if stack:
            file.set_image_stack()


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search")
    rng = np.random.default_rng(0)
    z, y, x = np.mgrid[-12:12, -12:12, -12:12]
    blobs = [((4, 0, 0), 1.0), ((-3, 5, 1), 0.8), ((0, -4, 5), 1.2)]
    squared = [(x - at[0]) ** 2 + (y - at[1]) ** 2 + (z - at[2]) ** 2 for at, _ in blobs]
    density = sum(weight * np.exp(-r2 / 6) for (_, weight), r2 in zip(blobs, squared, strict=True))
    write(folder / "blobs.mrc", np.asarray(density))
    write(folder / "images.mrcs", rng.normal(size=(IMAGES, BOX, BOX)), stack=True)
    (folder / "particles.star").write_text(
        OPTICS + "".join(f"{i + 1}@images.mrcs m.mrc 1\n" for i in range(IMAGES))
    )
    (folder / "out").mkdir()
    command = (
        "relion_refine --i particles.star --o out/run --ref blobs.mrc --firstiter_cc --ini_high 20 --iter 2 "
        "--particle_diameter 80 --zero_mask --healpix_order 1 --oversampling 1 --offset_range 6 "
        "--offset_step 2 --skip_gridding --random_seed 1 --dont_check_norm"
    )
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    return folder


def particles_of(folder: Path, iteration: int) -> tuple[torch.Tensor, torch.Tensor]:
    table = starfile.read(folder / f"out/run_it{iteration:03d}_data.star")["particles"]
    offsets = torch.tensor(table[["rlnOriginXAngst", "rlnOriginYAngst"]].to_numpy())
    return euler_to_matrix(torch.tensor(table[ANGLES].to_numpy())), offsets


@pytest.mark.relion
def test_its_directions_are_the_grids(search: Path) -> None:
    sampling = starfile.read(search / "out/run_it002_sampling.star")
    directions = torch.tensor(sampling["sampling_directions"].to_numpy())
    ours = OrientationGrid(1, SymmetryGroup.of("C1")).directions_deg
    apart = (directions - ours + 180) % 360 - 180
    assert apart.abs().max() < 1e-4  # same order, written with five or six decimals


@pytest.mark.relion
def test_its_poses_are_children_of_the_perturbed_grids(search: Path) -> None:
    sampling = starfile.read(search / "out/run_it002_sampling.star")["sampling_general"]
    perturbation = float(sampling["rlnSamplingPerturbInstance"])
    assert 0.01 < abs(perturbation) <= 0.5
    grid = OrientationGrid(1, SymmetryGroup.of("C1"), perturbation)
    every = grid.rotations(torch.arange(grid.count * 8), 1, dtype=torch.float64)
    views, offsets = particles_of(search, 2)
    nearest = every[torch.einsum("oij,nij->no", every, views).argmax(-1)]
    assert angular_distance_deg(nearest, views).max() < 2e-3  # the perturbation is written with five decimals

    children = OffsetGrid(6, 2, perturbation).children() * PIXEL_SIZE
    _, before = particles_of(search, 1)
    moved = offsets - torch.round(before / PIXEL_SIZE) * PIXEL_SIZE  # images are shifted by whole pixels first
    assert torch.cdist(moved, children).amin(-1).max() < 1e-3


@pytest.mark.relion
def test_changes_of_angles_are_of_the_axes_on_average(search: Path) -> None:
    (before, _), (after, _) = particles_of(search, 1), particles_of(search, 2)
    optimiser = (search / "out/run_it002_optimiser.star").read_text().split()
    printed = float(optimiser[optimiser.index("_rlnChangesOptimalOrientations") + 1])
    assert mean_axis_distance_deg(after, before).mean().item() == pytest.approx(printed, abs=1e-4)
