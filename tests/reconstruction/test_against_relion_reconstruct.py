"""Reconstructions from known poses against relion_reconstruct."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from blushcore.poses import SymmetryGroup
from blushcore.projection import SliceSums
from blushcore.reconstruction import HalfSums, symmetrise, unfiltered_map
from blushcore.shells import fsc, power_spectrum
from blushcore.shells.plane import PlaneComponents, transform_images
from relion_projections import AMPLITUDE_CONTRAST, Views, blobs, relion_project, relion_reconstruct

N = 48


@dataclass(frozen=True)
class NoisySet:
    folder: Path
    views: Views
    images: np.ndarray


@pytest.fixture(scope="module")
def noisy_set(tmp_path_factory: pytest.TempPathFactory) -> NoisySet:
    folder = tmp_path_factory.mktemp("known_poses")
    rng = np.random.default_rng(11)
    views = Views.random(600, rng)
    images = relion_project(folder, blobs(N, rng), views, "--ctf")
    images += rng.normal(0, images.std(), images.shape).astype(np.float32)
    # Images' own means are no part of our sums.
    return NoisySet(folder, views, images - images.mean((1, 2), keepdims=True))


def sums_of(images: NoisySet) -> HalfSums:
    plane = PlaneComponents.of(N)
    views = images.views
    ctf = torch.from_numpy(views.ctf(plane.kx.numpy(), plane.ky.numpy(), N)).float()
    ctf[:, torch.hypot(plane.kx.float(), plane.ky.float()) > N // 2] = 0  # RELION ends at a radius of n/2
    sums = SliceSums(N)
    rotations = torch.from_numpy(views.rotations())
    sums.insert(rotations, transform_images(torch.from_numpy(images.images), plane) * ctf, ctf.square(), plane)
    half = HalfSums.of(sums)
    # RELION has the images' origin too, which is 0 here but has a weight; in ours there is none.
    reach = half.grid.reach
    half.weight[reach, reach, 0] += len(images.images) * AMPLITUDE_CONTRAST**2
    return half


@pytest.mark.relion
@pytest.mark.parametrize("group", ["C1", "C4", "D2", "O", "I"])
def test_reconstructions_are_relions(noisy_set: NoisySet, group: str) -> None:
    theirs = relion_reconstruct(noisy_set.folder, noisy_set.images, noisy_set.views, f"--ctf --sym {group}")
    ours = unfiltered_map(symmetrise(sums_of(noisy_set), SymmetryGroup.of(group)))
    known = slice(1, int(0.9 * N / 2) + 1)
    assert fsc(ours, theirs)[known].min() > 0.999
    power = power_spectrum(ours)[known] / power_spectrum(theirs)[known]
    assert power == pytest.approx(1, abs=0.01)  # one scale
