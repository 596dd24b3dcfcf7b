"""The baseline prior: a Gaussian whose power follows from the FSC of the halves."""

from __future__ import annotations

from dataclasses import dataclass

from blushcore.reconstruction.reconstruction import Reconstruction, Reference


@dataclass(frozen=True)
class WienerPrior:
    """RELION's own prior: each map is data ÷ (W + 1/(Tτ²)) (Scheres 2012, J Mol Biol 415:406)."""

    def __call__(self, reconstructions: list[Reconstruction]) -> list[Reference]:
        """Return one reference for each reconstruction."""
        maps = (each.wiener() for each in reconstructions)
        return [Reference(volume, map_before=volume) for volume in maps]
