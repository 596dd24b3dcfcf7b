"""Options that several commands have."""

from __future__ import annotations

import math
from typing import Annotated, TypeAlias

from cyclopts import Parameter, validators

VoxelSize: TypeAlias = Annotated[float | None, Parameter(validator=validators.Number(gt=0, lt=math.inf))]
"""In Å, of all files of the command."""
