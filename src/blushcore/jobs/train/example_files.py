"""Slices of what a network in training makes of a few blocks, as files. Needs no torch: viewers read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from blushcore.protocol import BlushError

PARTS = ("input", "output", "target", "mask", "mask_output")
"""Of each example: what the network saw, made of it and should have made; the mask and what it took for it."""


@dataclass(frozen=True)
class ExamplesFile:
    """Middle slices of a few blocks as an artefact: a NumPy archive (.npz) of `PARTS`.

    Attributes
    ----------
    slices
        Float16 ``(blocks, y, x)`` each; densities in the units of the standardised map, masks 0 to 1.
    name
        Of the file.
    """

    slices: Mapping[str, NDArray[np.float16]]
    name: str
    role: str = "examples"

    def write(self, path: Path) -> None:
        """Write the slices to `path`."""
        with path.open("wb") as stream:
            arrays: dict[str, Any] = dict(self.slices)
            np.savez_compressed(stream, **arrays)


def read_examples(path: Path) -> dict[str, NDArray[np.float32]]:
    """Read what `ExamplesFile` wrote, as float32 ``(blocks, y, x)``.

    Raises
    ------
    BlushError
        When it cannot be read.
    """
    try:
        # Opened here: of a file that is cut short, numpy leaves its own open.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return {name: archive[name].astype(np.float32) for name in PARTS}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise BlushError(f"{path} cannot be read as slices of a training ({error}).") from error
