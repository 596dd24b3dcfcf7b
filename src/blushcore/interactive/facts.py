"""What there is to choose from: devices with their memory, and weights."""

from __future__ import annotations

import math

import torch

from blushcore.denoiser import VOXEL_SIZE_ANGSTROM, find_weights, list_weights
from blushcore.denoiser.denoiser import BYTES_PER_BLOCK
from blushcore.denoiser.placement import volumes_peak_bytes
from blushcore.denoiser.weights import DEFAULT_WEIGHTS
from blushcore.devices import describe_device
from blushcore.interactive.messages import DeviceFacts, WeightsFacts
from blushcore.interactive.networks import GPU_BATCH
from blushcore.protocol import BlushError
from blushcore.volumes import Volume, grid_of_voxel_size

_NETWORK_BYTES = 13_000_000 * 4
_LARGEST_SLAB_BLOCKS = 2
"""A slab of 32 × 128 × 128 voxels against a block."""


def device_facts(volume: Volume | None) -> tuple[DeviceFacts, ...]:
    """Describe the devices there are, the one that ``auto`` takes first.

    Parameters
    ----------
    volume
        The map that they are to denoise, if known.
    """
    devices = [torch.device("cuda", index) for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        devices.append(torch.device("mps"))
    devices.append(torch.device("cpu"))
    facts = []
    for device in devices:
        described = describe_device(device)
        facts.append(
            DeviceFacts(
                device=described.device,
                name=described.name,
                free=described.memory.available,
                total=described.memory.total,
                note=described.note,
                predicted_peak=None if volume is None else _peak(volume, device),
            )
        )
    return tuple(facts)


def host_peak(volume: Volume) -> int:
    """Return how much of the host's memory a map takes at most where the network is on a GPU (bytes)."""
    return _volumes_peak(volume) + volume.data.nbytes


def weights_facts() -> tuple[WeightsFacts, ...]:
    """Describe the weights that can be used by name."""
    known, _ = list_weights()
    try:
        default = find_weights(None)
    except BlushError:  # the one message for a missing default comes when it is used
        default = None
    return tuple(
        WeightsFacts(
            name=info.name if info.name == info.path.stem else info.path.stem,
            version=info.version,
            sha256=info.sha256,
            default=info.path == default,
            summary=str(info.training.get("summary", "")),
        )
        for info in known
    )


def default_weights() -> str:
    """Return the name or file of the weights that are used when none are named."""
    try:
        path = find_weights(None)
    except BlushError:
        return DEFAULT_WEIGHTS
    named = {info.path: info.path.stem for info in list_weights()[0]}
    return named.get(path, str(path))


def _peak(volume: Volume, device: torch.device) -> int:
    on_cpu = device.type == "cpu"
    blocks = _LARGEST_SLAB_BLOCKS if on_cpu else max(GPU_BATCH, _LARGEST_SLAB_BLOCKS)
    network = math.ceil(blocks * BYTES_PER_BLOCK) + _NETWORK_BYTES
    return network + _volumes_peak(volume) + (volume.data.nbytes if on_cpu else 0)


def _volumes_peak(volume: Volume) -> int:
    grid, _ = grid_of_voxel_size(volume.shape, volume.voxel_size, VOXEL_SIZE_ANGSTROM)
    return volumes_peak_bytes(volume.shape, grid)
