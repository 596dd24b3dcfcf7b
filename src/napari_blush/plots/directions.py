"""Views on the sphere: the engine's, by the name that the plots know them by."""

from __future__ import annotations

from blushcore.reports.directions import (
    DirectionCounts,
    cells_of_picture,
    directions_with_mates,
    mollweide,
    mollweide_inverse,
)

__all__ = [
    "DirectionCounts",
    "cells_of_picture",
    "directions_with_mates",
    "mollweide",
    "mollweide_inverse",
]
