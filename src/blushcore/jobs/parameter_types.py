"""Parameters that jobs of all kinds have: their types, with what is said of them, and what they mean."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

from cyclopts import Group, Parameter
from pydantic import Field, NonNegativeInt

_WEIGHTS_FILE = ".safetensors"

INPUTS, SEARCH, MAPS, RUN = (
    Parameter(group=Group.create_ordered(name))
    for name in ("Special inputs", "Search", "Images and maps", "Course of the run")
)
"""Groups of a command's help, in this order behind what most users need."""

Seed: TypeAlias = Annotated[NonNegativeInt, Field(description="Seed of everything random")]
Device: TypeAlias = Annotated[str, Field(description="auto, cpu, cuda, cuda:1, mps")]


def absolute_weights(weights: str | None) -> str | None:
    """Return weights that are given by file so that they do not depend on the working directory; names stay."""
    if weights is None or not weights.endswith(_WEIGHTS_FILE):
        return weights
    return str(Path(weights).expanduser().absolute())
