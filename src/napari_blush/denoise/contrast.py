"""The contrast that input and result share."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from napari_blush.layers.maps import METADATA, remember

if TYPE_CHECKING:
    from napari.layers import Image

Limits: TypeAlias = tuple[float, float]

_INPUTS_SHARE = 0.25


class SharedContrast:
    """Limits between what would suit an input and its result, until the user chooses others.

    Those of the noisy input leave the result dim, its own drive the input into black and white.

    Parameters
    ----------
    source
        The layer of the input.
    """

    def __init__(self, source: Image) -> None:
        self._source = source
        self._limits_of_input = _own_limits(source)

    def is_ours(self, result: Image | None) -> bool:
        """Whether neither input nor result has a contrast that the user chose."""
        layers = [layer for layer in (self._source, result) if layer is not None]
        return self._limits_of_input is not None and all(_untouched(layer) for layer in layers)

    def between(self, limits_of_result: Limits) -> Limits:
        """Return limits that suit both; only while they are ours."""
        assert self._limits_of_input is not None
        (black, white), (other_black, other_white) = self._limits_of_input, limits_of_result
        return (
            _INPUTS_SHARE * black + (1 - _INPUTS_SHARE) * other_black,
            _INPUTS_SHARE * white + (1 - _INPUTS_SHARE) * other_white,
        )

    def balance(self, result: Image | None, limits_of_result: Limits) -> None:
        """Give input and result limits that suit both."""
        limits = self.between(limits_of_result)
        for layer in (result, self._source):
            if layer is not None:
                remember(layer, contrast_limits=limits)
                if not np.allclose(layer.contrast_limits, limits):
                    layer.contrast_limits = limits


def _own_limits(source: Image) -> Limits | None:
    """Return the contrast limits that its reader chose for a map by itself; None for layers of others."""
    kept = source.metadata.get(METADATA, {})
    limits = kept.get("own_contrast_limits", kept.get("contrast_limits"))
    if limits is not None:
        remember(source, own_contrast_limits=limits)
    return None if limits is None else (float(limits[0]), float(limits[1]))


def _untouched(layer: Image) -> bool:
    """Whether a layer's contrast is what was chosen for it, not by the user."""
    chosen = layer.metadata.get(METADATA, {}).get("contrast_limits")
    return chosen is not None and bool(np.allclose(layer.contrast_limits, chosen))
