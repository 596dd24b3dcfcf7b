"""Networks that stay in memory."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import torch

from blushcore.denoiser import Denoiser, find_weights
from blushcore.devices import resolve_device
from blushcore.interactive.messages import DenoiseSettings

_KEPT = 2
GPU_BATCH = 8
"""Blocks at a time on a GPU: cancelling and another slice wait for no more."""
_WARM_UP_BLOCK = (32, 64, 64)
"""The smallest tile of a slab."""


class NetworkKey(NamedTuple):
    """What tells one network in memory from another."""

    path: str
    modified_ns: int
    device: str
    precision: str


class Networks:
    """The networks asked for last, each on its device."""

    def __init__(self) -> None:
        self._kept: OrderedDict[NetworkKey, Denoiser] = OrderedDict()

    def get(self, settings: DenoiseSettings) -> tuple[NetworkKey, Denoiser]:
        """Return the network for `settings`, loaded if it is not in memory.

        Raises
        ------
        BlushError
            When there are no such weights or no such device.
        """
        path = find_weights(settings.weights)
        device = resolve_device(settings.device)
        key = NetworkKey(str(path.absolute()), path.stat().st_mtime_ns, str(device), settings.precision)
        if key not in self._kept:
            denoiser = Denoiser.load(path, device, settings.precision)
            # One block at a time on a CPU, which loses no more than a tenth by it.
            denoiser.batch_size = 1 if device.type == "cpu" else min(denoiser.batch_size, GPU_BATCH)
            self._kept[key] = denoiser
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return key, self._kept[key]

    def warm_up(self, settings: DenoiseSettings) -> Denoiser:
        """Load the network and run it once: libraries choose and compile their kernels on the first call."""
        _, denoiser = self.get(settings)
        block = torch.zeros((1, *_WARM_UP_BLOCK))
        denoiser(block, block)
        return denoiser
