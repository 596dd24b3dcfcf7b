"""How much memory the parts of the E-step may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MemoryPlan:
    """How much memory the parts of the E-step may take at a time, in bytes.

    Attributes
    ----------
    slices
        For slices of the reference.
    products
        For the products of a tile of images with all of them, and for the tables of fine weights.
    """

    slices: int = 512 << 20
    products: int = 192 << 20


USUAL_MEMORY = MemoryPlan()
