"""The maps in the worker's memory, and how far each has come on its way through the denoiser."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from blushcore.denoiser import Denoiser, MapDenoising, Slice
from blushcore.devices import host_memory
from blushcore.interactive.messages import Load
from blushcore.interactive.networks import NetworkKey
from blushcore.protocol import BlushError
from blushcore.volumes import MapHeader, Volume, read_map

_MOST_UNFINISHED = 4
_SHARE_OF_MEMORY = 0.25
"""Of the free memory, that unfinished and finished denoisings may keep beside the one in hand."""
_VOLUMES_KEPT = 6


class DenoisingKey(NamedTuple):
    """What a denoised map depends on."""

    map: str
    mask: str | None
    diameter: float | None
    network: NetworkKey


class Maps:
    """Maps by key, and their denoisings, which are taken up again where they were left."""

    def __init__(self) -> None:
        self._maps: dict[str, Volume] = {}
        self._denoisings: OrderedDict[DenoisingKey, MapDenoising] = OrderedDict()

    def load(self, request: Load) -> Volume:
        """Read a map; what was computed of the one that had its key is forgotten.

        Raises
        ------
        BlushError
            When it cannot be read, or is a mask whose values are not from 0 to 1.
        """
        volume = _read(request)
        if request.role == "mask":
            low, high = float(volume.data.min()), float(volume.data.max())
            if low < -1e-3 or high > 1 + 1e-3:
                raise BlushError(
                    f"The mask holds values from {low:g} to {high:g}.",
                    "A mask lies between 0 (solvent) and 1 (particle).",
                )
        self.release(request.key)
        self._maps[request.key] = volume
        return volume

    def release(self, key: str) -> None:
        """Forget a map and what was computed of it."""
        self._maps.pop(key, None)
        for known in [known for known in self._denoisings if key in (known.map, known.mask)]:
            del self._denoisings[known]

    def get(self, key: str) -> Volume:
        """Return a map; raises `BlushError` if there is none under `key`."""
        if key not in self._maps:
            raise BlushError(f"There is no map {key!r} in the worker's memory.", "Load it first.")
        return self._maps[key]

    def denoising(
        self, key: DenoisingKey, denoiser: Denoiser, focus: Callable[[], Slice | None]
    ) -> MapDenoising:
        """Return the denoising for `key`, as far as it has come.

        Parameters
        ----------
        key
            What to denoise, and with what.
        denoiser
            The network that the key names.
        focus
            Passed on to a new `MapDenoising`.
        """
        if key not in self._denoisings:
            volume = self.get(key.map)
            mask = None if key.mask is None else torch.from_numpy(self.get(key.mask).data)
            self._make_room(volume)
            self._denoisings[key] = MapDenoising(
                denoiser,
                torch.from_numpy(volume.data),
                volume.voxel_size,
                diameter=key.diameter,
                mask=mask,
                focus=focus,
            )
        self._denoisings.move_to_end(key)
        return self._denoisings[key]

    def _make_room(self, coming: Volume) -> None:
        bytes_each = 4 * _VOLUMES_KEPT * coming.data.size
        budget = _SHARE_OF_MEMORY * host_memory().available
        most = max(1, min(_MOST_UNFINISHED, int(budget // bytes_each)))
        while len(self._denoisings) >= most:
            self._denoisings.popitem(last=False)


def _read(request: Load) -> Volume:
    if request.path.suffix != ".npy":
        size = request.voxel_size
        if size is not None and len(set(size)) > 1:
            raise BlushError("A voxel size given by hand holds for all axes.", "Give one number.")
        return read_map(request.path, voxel_size=None if size is None else size[0])
    if request.voxel_size is None:
        raise BlushError("An array has no voxel size of its own.", "Give it in Å.")
    try:
        array = np.load(request.path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise BlushError(f"{request.path} cannot be read as an array ({error}).") from error
    if array.ndim != 3:
        raise BlushError(f"A map has three axes; this array has {array.ndim}.", "Choose a single map.")
    values = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(values).all():
        z, y, x = np.argwhere(~np.isfinite(values))[0]
        raise BlushError(
            f"The map holds values that are not finite numbers; the first is {values[z, y, x]} "
            f"at voxel x, y, z = {x}, {y}, {z}.",
            "Find out where they come from; a map with such values cannot be used.",
        )
    header = MapHeader() if request.position is None else MapHeader(origin=request.position)
    return Volume(values, request.voxel_size, header)
