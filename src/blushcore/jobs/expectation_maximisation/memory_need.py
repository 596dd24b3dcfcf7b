"""How much memory the largest iteration takes: told, and held against what there is, before anything is begun.

An iteration is at its largest where it looks at everything up to Nyquist. What is counted is what is large: the
padded sums and references, the transforms of a reconstruction, the denoiser's volumes, and the intermediate
results of the search, which `MemoryPlan` limits and small sets do not fill.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from blushcore.denoiser.denoiser import BYTES_PER_BLOCK
from blushcore.denoiser.network import VOXEL_SIZE_ANGSTROM
from blushcore.denoiser.placement import volumes_peak_bytes
from blushcore.devices import describe_device, host_memory
from blushcore.inference import MemoryPlan
from blushcore.jobs.expectation_maximisation.parameters import SearchParameters
from blushcore.jobs.expectation_maximisation.search import Search, angular_step_deg, coarse_size
from blushcore.poses import SymmetryGroup
from blushcore.projection import slices_bytes, sums_bytes
from blushcore.protocol import BlushError
from blushcore.volumes import grid_of_voxel_size

_MIB, _GIB = 2**20, 2**30
_PROGRAM = 600 * _MIB
"""The interpreter, PyTorch and compiled kernels, before there is any data."""
_DRIVER = 512 * _MIB
"""What a device's libraries take on either side."""
_TRANSFORM_BLOCK = 64 * _MIB
_BLOCKS_AT_ONCE = 4
_LARGEST_TILE = 256
_READ_AT_ONCE = 128 * _MIB
_BATCHES_HELD = 4
"""Two ahead, one being read, one in use."""
_BYTES_A_PIXEL = 60
"""Of an image in work: it and its transforms, masked and not, its CTF and weights."""
_TABLE_BYTES_AN_IMAGE = {"global": 2 * _MIB, "local": _MIB // 4}
"""Products with all views at the finest step that is searched globally; weights of many or of few poses."""
_VIEWS_AN_IMAGE = {"global": 110, "local": 25}
"""Different views at the fine step that an image brings along, where images of a tile share them."""
_ON_DEVICE = 11
"""Tables as large as the products that telling what counts takes without compiled kernels."""


@dataclass(frozen=True)
class Need:
    """Bytes at the largest iteration: on the host, and on the device where that is another.

    Attributes
    ----------
    host, device
        At the peak.
    images
        Of the host's, what keeping all images in memory takes; they are read again each time if it is 0.
    """

    host: int
    device: int
    images: int = 0


def need_of(
    params: SearchParameters,
    box: int,
    voxel_size: float,
    device: torch.device,
    *,
    global_order: int | None,
    sums: int,
    references: int,
    maps: int,
    images: int,
    kept_images: int = 0,
) -> Need:
    """Return the memory of the largest iteration.

    Parameters
    ----------
    params
        Padding and prior.
    box, voxel_size
        Of the maps.
    device
        Where it is computed.
    global_order
        HEALPix order of the finest search everywhere; None if there is none.
    sums, references, maps
        How many sets of sums, padded references and maps there are at a time.
    images
        How many are compared with the same reference.
    kept_images
        Bytes of all images, if they are kept.
    """
    accumulators = sums * sums_bytes(box, box, params.padding)
    reading = min(_BATCHES_HELD * max(_READ_AT_ONCE, _LARGEST_TILE * 4 * box**2), images * 4 * box**2)
    searching = references * slices_bytes(box, box, params.padding)
    searching += search_bytes(box, images, device, is_global=global_order is not None)
    if global_order is not None:
        searching += dense_bytes(params, box, voxel_size, global_order, references)
    work = (
        accumulators
        + max(searching, reconstruction_bytes(box, params.padding), denoising_bytes(params, box, voxel_size))
        + maps * 4 * box**3
    )
    if device.type == "cpu":
        return Need(host=_PROGRAM + work + reading + kept_images, device=0, images=kept_images)
    host = _PROGRAM + _DRIVER + maps * 4 * box**3 + reading + kept_images
    return Need(host=host, device=work + _DRIVER, images=kept_images)


def search_bytes(box: int, images: int, device: torch.device, *, is_global: bool) -> int:
    """Return what a tile of images takes, with its slices, its products and its tables of poses."""
    plan, tile = MemoryPlan(), min(images, _LARGEST_TILE)
    kind = "global" if is_global else "local"
    view = round(math.pi * box**2)  # bytes of the components of a slice up to Nyquist
    slices = min(plan.slices // 2, tile * _VIEWS_AN_IMAGE[kind] * view)
    tables = tile * _TABLE_BYTES_AN_IMAGE[kind]
    products = (1 if device.type == "cpu" else _ON_DEVICE) * min(plan.products, tables)
    return tile * _BYTES_A_PIXEL * box**2 + slices + products + min(plan.tables, tables)


def dense_bytes(params: SearchParameters, box: int, voxel_size: float, order: int, references: int) -> int:
    """Return what the slices take that a global search makes once and keeps."""
    step = angular_step_deg(order)
    search = Search(order, 1.0, 1.0, is_local=False)
    shell = coarse_size(search, box, box, voxel_size, params.diameter) // 2
    directions = 12 * 4**order / SymmetryGroup.of(params.symmetry).order
    slices: float = references * directions * (360 / step) / 2
    return min(MemoryPlan().slices, int(slices * 12 * math.pi / 2 * shell**2))


def reconstruction_bytes(box: int, padding: int) -> int:
    """Return what a reconstruction takes beside the sums: as much as another set, and blocks of lines."""
    block = min(_TRANSFORM_BLOCK, 8 * padding**3 * box**3 // 2)
    return sums_bytes(box, box, padding) + _BLOCKS_AT_ONCE * block


def denoising_bytes(params: SearchParameters, box: int, voxel_size: float) -> int:
    """Return what the denoiser takes, volumes and network; nothing where the prior is none."""
    if params.prior != "blush":
        return 0
    grid, _ = grid_of_voxel_size((box,) * 3, (voxel_size,) * 3, VOXEL_SIZE_ANGSTROM)
    return volumes_peak_bytes((box,) * 3, grid) + int(BYTES_PER_BLOCK)


def check_memory(need: Need, device: torch.device) -> None:
    """Refuse a run whose largest iteration will not fit.

    Raises
    ------
    BlushError
        With what it takes and what there is.
    """
    memory = host_memory()
    remedies = "Use --padding 1 or images of a smaller box, or a machine with more memory."
    if need.host > memory.available:
        raise BlushError(
            f"The largest iteration will take about {need.host / _GIB:.1f} GiB of memory, and "
            f"{memory.available / _GIB:.1f} GiB are free.",
            remedies,
        )
    if need.device:
        free = describe_device(device).memory.available
        if need.device > free:
            raise BlushError(
                f"The largest iteration will take about {need.device / _GIB:.1f} GiB on {device}, and "
                f"{free / _GIB:.1f} GiB are free there.",
                remedies,
            )
