"""What a denoising came to, and what can be made of it cheaply."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blushcore.interactive.messages import DenoiseSettings
from blushcore.volumes import Volume


@dataclass(frozen=True)
class Fsc:
    """FSC of two halves before and after denoising, by shell, shell 0 first.

    Attributes
    ----------
    number
        Of the result.
    box_size_angstrom
        The box's edge in Å: shell ``i`` lies at ``i / box_size_angstrom``.
    before, after
        Of the halves as given, and denoised.
    """

    number: int
    box_size_angstrom: float
    before: tuple[float, ...]
    after: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Result:
    """One map, or two half-maps, denoised with one set of parameters.

    Attributes
    ----------
    number
        Counts the results of a session, from 1.
    names
        Of the map, or of both halves.
    sources
        The maps as they were given.
    maps
        The denoised maps, float32 ``(z, y, x)``, in the same order; mapped from files, to be read only.
    mask
        The network's idea of the solvent mask, 0 to 1, mapped like them; of two halves the mean.
    settings
        What was asked for.
    figures
        What was used: weights with their sha256, device, precision, blocks, seconds.
    finished
        When.
    """

    number: int
    names: tuple[str, ...]
    sources: tuple[Volume, ...]
    maps: tuple[NDArray[np.float32], ...]
    mask: NDArray[np.float32]
    settings: DenoiseSettings
    figures: Mapping[str, Any]
    finished: datetime = field(default_factory=datetime.now)

    def blended(self, index: int, strength: float) -> NDArray[np.float32]:
        """Return ``input + strength · (denoised − input)`` of map `index`, a new array.

        Parameters
        ----------
        index
            0, or 1 for the second half.
        strength
            0 (the input) to 1 (the denoised map).
        """
        if strength == 1:
            return np.array(self.maps[index])
        source = self.sources[index].data
        change: NDArray[np.float32] = self.maps[index] - source
        change *= np.float32(strength)
        change += source
        return change

    def change(self, index: int, strength: float) -> NDArray[np.float32]:
        """Return what denoising changed in map `index`: ``strength · (denoised − input)``."""
        change: NDArray[np.float32] = self.maps[index] - self.sources[index].data
        change *= np.float32(strength)
        return change

    def record(self, strength: float) -> dict[str, Any]:
        """Return all parameters behind the result, as plain values: what a layer's metadata keeps."""
        return {
            "settings": self.settings.model_dump(mode="json"),
            "strength": strength,
            "voxel_size_angstrom": list(self.sources[0].voxel_size),
            "inputs": list(self.names),
            "figures": dict(self.figures),
            "finished": self.finished.isoformat(timespec="seconds"),
        }

    @property
    def summary(self) -> str:
        """The result in a line: weights, diameter, precision."""
        diameter = self.settings.diameter
        where = "whole box" if diameter is None else f"{diameter:g} Å"
        return f"{self.figures.get('weights', '?')} · {where} · {self.figures.get('precision', '')}"
