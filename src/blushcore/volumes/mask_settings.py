"""What a soft mask depends on, besides the map."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from blushcore.protocol import Parameters

_Length = Annotated[float, Field(ge=0, le=1000)]


class MaskSettings(Parameters):
    """Of a mask from a threshold: see `blushcore.volumes.mask_making`."""

    threshold: float | None = Field(
        None, description="Density from which on a voxel is inside. None: what best splits particle and solvent"
    )
    lowpass: _Length = Field(15.0, description="Resolution that the map is low-passed to first (Å); 0 for none")
    extend: Annotated[float, Field(ge=-1000, le=1000)] = Field(
        6.0, description="Extend what is inside by this much (Å); a negative number takes away"
    )
    soft_edge: _Length = Field(8.0, description="Width of the soft edge beyond that (Å)")
