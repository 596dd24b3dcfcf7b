"""How rows of a table are named to a user."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LISTED = 5


def named_rows(rows: Sequence[int] | NDArray[np.integer]) -> str:
    """``row 3``, ``rows 3 and 7``, ``rows 3, 7, 8, 9, 12 and 40 others``: rows from 1, as given."""
    numbers = [str(int(row)) for row in rows[:_LISTED]]
    rest = len(rows) - len(numbers)
    if rest:
        return f"rows {', '.join(numbers)} and {rest} other{'s' if rest > 1 else ''}"
    if len(numbers) == 1:
        return f"row {numbers[0]}"
    return f"rows {', '.join(numbers[:-1])} and {numbers[-1]}"
