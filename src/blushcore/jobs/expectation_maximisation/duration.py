"""What an iteration's time is made of, and how fast this machine is: to tell beforehand how long a run takes.

Images are compared with references in so many poses over so many Fourier components, which are
multiplications; how many this machine does in a second is measured.
"""

from __future__ import annotations

import math
import time

import torch

from blushcore.jobs.expectation_maximisation.inputs import Inputs
from blushcore.jobs.expectation_maximisation.parameters import SearchParameters
from blushcore.jobs.expectation_maximisation.search import (
    FIRST_INCREMENT_SHELLS,
    Search,
    coarse_size,
    shell_at,
)
from blushcore.poses import OffsetGrid, OrientationGrid

SPREAD = 2.5
START_SECONDS = 8.0
_OPERATIONS = 6.0
"""A component and pose: real and imaginary part and the CTF's square, a product and a sum each."""
_GLOBAL_SHARE = 0.25
"""Of the plain matrix product's speed that global searches reached, where images are sure of their poses."""
_LOCAL_SHARE = 0.03
"""The same of local searches, whose work is making slices."""
_LOCAL_POSES = 2000.0
_BLOCK_OPERATIONS = 28.6e9
_BLOCK_PITCH_ANGSTROM = 60.0
"""How far apart the denoiser's blocks are taken to be, along each axis of the particle's box."""
_DENOISING_SHARE = 0.5
_MEASURE_SECONDS = 0.05


def products_per_second(device: torch.device) -> float:
    """Return how many multiplications and additions in float32 matrix products `device` does in a second."""
    n = 512 if device.type == "cpu" else 4096
    one = torch.ones(n, n, device=device)
    float((one @ one)[0, 0])
    fastest, until = math.inf, time.perf_counter() + _MEASURE_SECONDS
    while math.isinf(fastest) or time.perf_counter() < until:
        began = time.perf_counter()
        float((one @ one)[0, 0])  # waits for the device
        fastest = min(fastest, time.perf_counter() - began)  # one that no other program came between
    return 2.0 * n**3 / fastest


def first_size(params: SearchParameters, inputs: Inputs) -> int:
    """Return the image size in pixels of the first iteration."""
    shell = shell_at(params.initial_lowpass, inputs.box, inputs.voxel_size) + FIRST_INCREMENT_SHELLS
    return min(inputs.box, 2 * shell)


def offsets_searched(search: Search, inputs: Inputs) -> int:
    """Return how many coarse offsets each image is compared at."""
    reach, step = search.offset_range_angstrom, search.offset_step_angstrom
    return len(OffsetGrid(reach / inputs.voxel_size, step / inputs.voxel_size).coarse())


def global_seconds(
    params: SearchParameters, inputs: Inputs, search: Search, current_size: int, rate: float
) -> float:
    """Return how long all images are compared with one reference in all poses, at `rate` products a second."""
    size = coarse_size(search, current_size, inputs.box, inputs.voxel_size, params.diameter)
    orientations = OrientationGrid(search.healpix_order, inputs.symmetry).count
    poses = orientations * offsets_searched(search, inputs)
    return len(inputs.table) * poses * _components(size) * _OPERATIONS / (rate * _GLOBAL_SHARE)


def local_seconds(inputs: Inputs, size: int, rate: float, *, poses: float = _LOCAL_POSES) -> float:
    """Return how long all images are compared with one reference in some poses of their own."""
    return len(inputs.table) * poses * _components(size) * _OPERATIONS / (rate * _LOCAL_SHARE)


def denoising_seconds(inputs: Inputs, rate: float) -> float:
    """Return how long denoising a map takes, about."""
    blocks = max(1.0, inputs.size_angstrom / _BLOCK_PITCH_ANGSTROM) ** 3
    return float(blocks * _BLOCK_OPERATIONS) / (rate * _DENOISING_SHARE)


def _components(size: int) -> float:
    """Return how many independent Fourier components an image has up to shell ``size / 2``."""
    return math.pi * (size / 2) ** 2 / 2
