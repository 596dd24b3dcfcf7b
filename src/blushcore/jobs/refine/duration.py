"""How long a refinement will take: roughly, before it is begun.

An iteration compares images with the references in so many poses over so many Fourier components, which are
multiplications; how many this machine does in a second is measured. How long the whole takes depends on how
sure the images are of their poses, which nobody knows before. So it is told as from … to ….
"""

from __future__ import annotations

import math
import time

import torch

from blushcore.jobs.refine.parameters import RefineParameters
from blushcore.jobs.refine.planning import first_search
from blushcore.jobs.refine.preflight import Inputs
from blushcore.jobs.refine.schedule import FIRST_INCREMENT_SHELLS, coarse_size, shell_at
from blushcore.poses import OffsetGrid, OrientationGrid

OPERATIONS = 6.0
"""A component and pose: real and imaginary part and the CTF's square, a product and a sum each."""
GLOBAL_SHARE = 0.25
"""Of the plain matrix product's speed that global searches reached, where images are sure of their poses."""
LOCAL_SHARE = 0.03
"""The same of local searches, whose work is making slices."""
_GLOBAL_ITERATIONS = 6
_LOCAL_ITERATIONS = 10
LOCAL_POSES = 2000.0
_UNSURE_ITERATION = 80.0
"""How much longer an iteration takes in which most poses stay possible; there are one or two at most."""
_BLOCK_OPERATIONS = 28.6e9
_BLOCK_PITCH_ANGSTROM = 60.0
"""How far apart the denoiser's blocks are taken to be, along each axis of the particle's box."""
DENOISING_SHARE = 0.5
SPREAD = 2.5
START_SECONDS = 8.0
_MEASURE_SECONDS = 0.05


def predicted_seconds(params: RefineParameters, inputs: Inputs) -> tuple[float, float]:
    """Return within which times the refinement will most likely be done, on a machine that does nothing else.

    Some 16 iterations are reckoned with, fewer where `params` allow no more.
    """
    search = first_search(params, inputs.voxel_size)
    box, voxel_size, images = inputs.box, inputs.voxel_size, len(inputs.table)
    current = min(box, 2 * (shell_at(params.initial_lowpass, box, voxel_size) + FIRST_INCREMENT_SHELLS))
    coarse = coarse_size(search, current, box, voxel_size, params.diameter)
    orientations = OrientationGrid(search.healpix_order, inputs.symmetry).count
    reach, step = search.offset_range_angstrom / voxel_size, search.offset_step_angstrom / voxel_size
    poses = orientations * len(OffsetGrid(reach, step).coarse())
    rate = products_per_second(inputs.device)
    one_global = images * poses * components(coarse) * OPERATIONS / (rate * GLOBAL_SHARE)
    one_local = images * LOCAL_POSES * components(box) * OPERATIONS / (rate * LOCAL_SHARE)
    last = params.max_iterations
    globally = 0 if search.is_local else min(_GLOBAL_ITERATIONS, last)
    locally = min(_LOCAL_ITERATIONS, max(0, last - globally))
    least = START_SECONDS + globally * one_global + locally * one_local
    if params.prior == "blush":
        least += (globally + locally) * 2 * denoiser_operations(box, voxel_size) / (rate * DENOISING_SHARE)
    unsure = _UNSURE_ITERATION * one_global if globally else 0.0
    return least, SPREAD * least + unsure


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


def denoiser_operations(box: int, voxel_size: float) -> float:
    """Return how many multiplications and additions denoising a map takes, about."""
    blocks = max(1.0, box * voxel_size / _BLOCK_PITCH_ANGSTROM) ** 3
    return float(blocks * _BLOCK_OPERATIONS)


def components(size: int) -> float:
    """Return how many independent Fourier components an image has up to shell ``size / 2``."""
    return math.pi * (size / 2) ** 2 / 2
