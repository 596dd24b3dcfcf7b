"""Denoised maps say so in their header: the FSC of two of them is no resolution estimate."""

from __future__ import annotations

from blushcore.volumes import MapHeader, Volume

_PREFIX = "Denoised by napari-blush"
_LABEL_LENGTH = 80


def denoised_label(weights: str, sha256: str) -> str:
    """Return the header label of a map denoised with weights of this name and hash, at most 80 characters."""
    end = f" {sha256[:12]}"
    return f"{_PREFIX}, weights {weights}"[: _LABEL_LENGTH - len(end)] + end


def is_denoised(volume: Volume) -> bool:
    """Whether a map's header says that it was denoised here; other programs may have dropped the label."""
    return says_denoised(volume.header)


def says_denoised(header: MapHeader) -> bool:
    """Whether a header says that its map was denoised here."""
    return any(label.startswith(_PREFIX) for label in header.labels)
