"""Pictures of windows as PNGs of a fraction of the size: a palette in which the flat surfaces stay exact."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_SURFACES, _GRAYS, _OTHERS = 64, 22, 64
_GRAY_TOLERANCE = 4


def write_small_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write ``(height, width, 3 or 4)`` pixels.

    The palette holds the colours of the largest flat surfaces, a ramp of grays (maps), and of all that is
    neither those that are farthest from each other: thin lines keep their colours.
    """
    colours = np.ascontiguousarray(pixels[..., :3])
    packed = colours.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    is_flat = (packed[1:, 1:] == packed[:-1, 1:]) & (packed[1:, 1:] == packed[1:, :-1])
    values, counts = np.unique(packed[1:, 1:][is_flat], return_counts=True)
    surfaces = values[np.argsort(counts)[::-1][:_SURFACES]]
    palette = [
        component for value in surfaces.tolist() for component in (value >> 16, value >> 8 & 255, value & 255)
    ]
    for level in np.linspace(0, 255, _GRAYS).round().astype(int).tolist():
        palette += [level] * 3
    is_coloured = np.ptp(colours.astype(np.int16), axis=-1) > _GRAY_TOLERANCE
    others = colours[is_coloured & ~np.isin(packed, surfaces)]
    if len(others):
        cut = Image.fromarray(others[None]).quantize(
            _OTHERS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
        )
        palette += (cut.getpalette() or [])[: 3 * _OTHERS]
    carrier = Image.new("P", (1, 1))
    carrier.putpalette(palette)
    picture = Image.fromarray(colours).quantize(palette=carrier, dither=Image.Dither.NONE)
    picture.save(path, optimize=True)
