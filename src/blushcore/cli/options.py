"""Options that several commands have."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, TypeAlias

from cyclopts import Parameter, validators

VoxelSize: TypeAlias = Annotated[float | None, Parameter(validator=validators.Number(gt=0, lt=math.inf))]
"""In Å, of all files of the command."""

RunFolder: TypeAlias = Annotated[Path, Parameter(alias="-o", help="Run directory to make.")]
Detach: TypeAlias = Annotated[
    bool, Parameter(help="Run on its own, outliving this terminal; follow it with: blush watch RUN_DIR")
]
Json: TypeAlias = Annotated[bool, Parameter(help="Show nothing, and print the outcome as JSON at the end.")]
