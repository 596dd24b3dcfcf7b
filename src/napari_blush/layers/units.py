"""Voxel sizes of napari's layers: scale and units, in Å or unset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer

ANGSTROM = "angstrom"
"""napari (pint) takes "Å" for it too; "A" would be ampere."""
PIXEL = "pixel"


def lengths_in_angstrom(lengths: Sequence[float], units: Sequence[Any]) -> tuple[float, ...] | None:
    """Convert lengths along axes to Å.

    Parameters
    ----------
    lengths
        One for each axis, e.g. a layer's scale.
    units
        The unit of each: pint's units, as layers have them, or their names.

    Returns
    -------
    The lengths in Å; None if the unit of any axis is not one of length (pixels, above all).
    """
    import pint

    registry: Any = pint.get_application_registry()
    converted = []
    for length, unit in zip(lengths, units, strict=True):
        try:
            converted.append(float(registry.Quantity(float(length), unit).to(ANGSTROM).magnitude))
        except pint.DimensionalityError:
            return None
    return tuple(converted)


def voxel_size_of(layer: Layer) -> tuple[float, ...] | None:
    """Return a layer's voxel size in Å along its axes; None where it is unset, that is, in pixels."""
    return lengths_in_angstrom(layer.scale, layer.units)


def show_in_angstrom(layer: Layer) -> None:
    """Give a layer in another unit of length the same place in Å; layers in pixels stay as they are.

    One layer in another unit takes the scale bar's unit away, and cannot be compared with the others.
    """
    scale = voxel_size_of(layer)
    if scale is None or all(str(unit) == ANGSTROM for unit in layer.units):
        return
    place = lengths_in_angstrom(layer.translate, layer.units)
    assert place is not None  # as the scale
    layer.units = (ANGSTROM,) * layer.ndim
    layer.scale, layer.translate = scale, place
