"""Two half-sets that share nothing (Scheres & Chen 2012, Nat. Methods 9:853)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def drawn_halves(given: NDArray[np.integer], unit: NDArray[np.integer], seed: int) -> NDArray[np.int8]:
    """Assign each particle to half-set 1 or 2 at random; what belongs together stays together.

    Parameters
    ----------
    given
        (N,): 1 or 2 where the half is given, and kept; 0 where it is to be drawn.
    unit
        (N,): particles with the same number (segments of a tube, rows with the same image) come into one half:
        into the given one if some of them have it.
    seed
        The same seed draws the same halves.

    Returns
    -------
    (N,) int8. The drawn ones make the two halves as equal as whole units can.
    """
    numbers, unit_of_row, sizes = np.unique(unit, return_inverse=True, return_counts=True)
    half_of_unit = np.zeros(len(numbers), np.int8)
    known = given > 0
    # From the last to the first row, so that the first given one stands.
    half_of_unit[unit_of_row[known][::-1]] = given[known][::-1]
    half = np.where(known, given, half_of_unit[unit_of_row]).astype(np.int8)
    difference = int((half == 1).sum()) - int((half == 2).sum())
    rng = np.random.default_rng(seed)
    open_units = rng.permutation(np.flatnonzero(half_of_unit == 0))
    coins = rng.integers(1, 3, len(open_units))
    for which, coin in zip(open_units, coins, strict=True):
        chosen = int(coin) if difference == 0 else 2 if difference > 0 else 1
        half_of_unit[which] = chosen
        difference += int(sizes[which]) * (1 if chosen == 1 else -1)
    return np.where(known, given, half_of_unit[unit_of_row]).astype(np.int8)
