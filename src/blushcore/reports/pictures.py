"""Slices of maps and the views on the sphere, as pictures inside of a page."""

from __future__ import annotations

import base64
import html
import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blushcore.reports.directions import DirectionCounts, cells_of_picture
from blushcore.volumes import Volume

_PANEL = 220
_GAP = 6
_HEAD = 22
_SIDE = 24
_PLANES = ("xy", "xz", "yz")
_SPHERE_PX = 560
_DENSEST = 4.0
"""Times the mean at which the colour of views ends."""
_RAMP = ((247, 250, 253), (158, 202, 225), (49, 130, 189), (8, 48, 107))


@dataclass(frozen=True, eq=False)
class Row:
    """A row of slices: what stands beside it, and the map, over the same box in Å for all rows."""

    title: str
    volume: Volume
    limits_of: int | None = None
    """The number of the row whose grey scale it shares; None for its own."""


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Return a picture as a PNG file, ``(rows, columns)`` grey or ``(rows, columns, 3)``."""
    rows, columns = pixels.shape[:2]
    is_grey = pixels.ndim == 2

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    lines = pixels.reshape(rows, -1)
    raw = np.concatenate([np.zeros((rows, 1), np.uint8), lines], axis=1).tobytes()
    head = struct.pack(">IIBBBBB", columns, rows, 8, 0 if is_grey else 2, 0, 0, 0)
    packed = zlib.compress(raw, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def data_url(pixels: NDArray[np.uint8]) -> str:
    """Return a picture as the address of itself."""
    return "data:image/png;base64," + base64.b64encode(png(pixels)).decode()


def central_slices(data: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
    """Return the slices through the centre (index ``n // 2``), first row at the bottom: xy, xz, yz."""
    z, y, x = (n // 2 for n in data.shape)
    return data[z], data[:, y], data[:, :, x]


def slice_figure(rows: Sequence[Row], *, label: str) -> str:
    """Draw central slices of maps, one row each, with a scale bar.

    Greys run over the middle 99.5 % of the values in a row's slices, or in those of the row whose scale it
    shares.
    """
    width = _SIDE + 3 * (_PANEL + _GAP)
    height = _HEAD + len(rows) * (_PANEL + _GAP)
    head = f'<svg class="slices" viewBox="0 0 {width} {height}" role="img" aria-label="{html.escape(label)}">'
    parts = [head]
    slices = [central_slices(row.volume.data) for row in rows]
    limits = [_grey_limits(planes) for planes in slices]
    for column, name in enumerate(_PLANES):
        x = _SIDE + column * (_PANEL + _GAP) + _PANEL / 2
        parts.append(f'<text class="tick" x="{x:g}" y="14">{name}</text>')
    for number, row in enumerate(rows):
        y = _HEAD + number * (_PANEL + _GAP)
        middle = y + _PANEL / 2
        parts.append(f'<text class="key row" transform="translate(15 {middle:g}) rotate(-90)">')
        parts.append(f"{html.escape(row.title)}</text>")
        black, white = limits[number if row.limits_of is None else row.limits_of]
        for column, plane in enumerate(slices[number]):
            x = _SIDE + column * (_PANEL + _GAP)
            grey = np.clip((plane[::-1] - black) / (white - black or 1.0), 0, 1)
            address = data_url(np.round(255 * grey).astype(np.uint8))
            place = f'x="{x}" y="{y}" width="{_PANEL}" height="{_PANEL}"'
            parts.append(f'<image {place} href="{address}" preserveAspectRatio="xMidYMid meet"/>')
    volume = rows[0].volume
    across = volume.shape[-1] * volume.voxel_size[-1]
    length = scale_bar_length(across)
    x, y, bar = _SIDE + 12, _HEAD + _PANEL - 12, length / across * _PANEL
    stroke = f'd="M{x} {y}h{bar:.1f}"/>'
    parts.append(f'<path class="bar-under" {stroke}<path class="bar" {stroke}')
    parts.append(f'<text class="bar-text" x="{x + bar / 2:.1f}" y="{y - 6}">{length:g} Å</text></svg>')
    return "".join(parts)


def scale_bar_length(width_angstrom: float) -> float:
    """Return the longest of 1, 2, 5, 10, 20, 50 … Å that is at most a third of `width_angstrom`."""
    decade = 10.0 ** math.floor(math.log10(width_angstrom / 3))
    return max(step * decade for step in (1, 2, 5) if step * decade <= width_angstrom / 3 * (1 + 1e-9))


def views_figure(counts: DirectionCounts) -> str:
    """Draw how many views there are from each direction, on Mollweide's equal-area map, with a key."""
    cells = cells_of_picture(counts.nside, _SPHERE_PX)[::-1]
    share = np.clip(counts.relative / _DENSEST, 0, 1)
    colours = ramp(share)
    picture = np.full((*cells.shape, 3), 255, np.uint8)
    picture[cells >= 0] = colours[cells[cells >= 0]]
    width, height = _SPHERE_PX, _SPHERE_PX // 2
    key = ramp(np.linspace(0, 1, 128))[None].repeat(2, axis=0)
    x, y = (width - 240) / 2, height + 44
    ticks = "".join(
        f'<text class="tick" x="{x + 240 * at / _DENSEST:.1f}" y="{y + 24}">{text}</text>'
        for at, text in ((0, "none"), (1, "mean"), (2, "2 ×"), (_DENSEST, f"{_DENSEST:g} × and more"))
    )
    rim = f'cx="{width / 2}" cy="{height / 2 + 18}" rx="{width / 2 - 1}" ry="{height / 2 - 1}"'
    return (
        f'<svg class="views" viewBox="0 0 {width} {height + 76}" role="img" aria-label="Angular distribution">'
        f'<image x="0" y="18" width="{width}" height="{height}" href="{data_url(picture)}"/>'
        f'<ellipse class="outline" {rim}/>'
        f'<text class="tick" x="{width / 2}" y="12">tilt 0°</text>'
        f'<text class="tick" x="{width / 2}" y="{height + 33}">tilt 180°</text>'
        f'<image x="{x}" y="{y}" width="240" height="9" preserveAspectRatio="none" href="{data_url(key)}"/>'
        f"{ticks}</svg>"
    )


def ramp(share: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the colours of shares from 0 to 1, ``(..., 3)``: pale to dark blue, also told apart in grey."""
    stops = np.linspace(0, 1, len(_RAMP))
    channels = [np.interp(share, stops, [colour[c] for colour in _RAMP]) for c in range(3)]
    return np.round(np.stack(channels, axis=-1)).astype(np.uint8)


def _grey_limits(planes: Sequence[NDArray[np.float32]]) -> tuple[float, float]:
    values = np.concatenate([plane.ravel() for plane in planes])
    black, white = (float(value) for value in np.quantile(values, (0.0025, 0.9975)))
    return black, white
