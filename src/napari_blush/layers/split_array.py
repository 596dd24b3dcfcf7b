"""Two maps as one array: up to a boundary the one, from there on the other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class SplitArray:
    """An array ``[z, y, x]`` composed when it is indexed, and only as far as it is.

    Parameters
    ----------
    before, after
        The two arrays, of one shape; they are not copied.
    axis
        Where the boundary lies at first.

    Attributes
    ----------
    before, after
        May be replaced by others of that shape.
    axis
        The axis across which the boundary lies.
    boundary
        The first index along `axis` at which values come from `after`.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, before: Any, after: Any, *, axis: int = -1) -> None:
        self.before, self.after = before, after
        self.shape: tuple[int, ...] = tuple(before.shape)
        self.ndim = len(self.shape)
        self.axis = axis % self.ndim
        self.boundary = self.shape[self.axis] // 2

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[np.float32]:
        keys = list(key) if isinstance(key, tuple) else [key]
        if Ellipsis in keys:
            where = keys.index(Ellipsis)
            keys[where : where + 1] = [slice(None)] * (self.ndim - len(keys) + 1)
        keys += [slice(None)] * (self.ndim - len(keys))
        along = keys[self.axis]
        if not isinstance(along, slice):
            index = int(along) % self.shape[self.axis]
            source = self.before if index < self.boundary else self.after
            return np.asarray(source[tuple(keys)], dtype=np.float32)

        wanted = np.arange(*along.indices(self.shape[self.axis]))
        first = np.flatnonzero(wanted < self.boundary)
        if not first.size:
            return np.asarray(self.after[tuple(keys)], dtype=np.float32)
        before, after = self.before[tuple(keys)], self.after[tuple(keys)]
        composed = np.empty(after.shape, dtype=np.float32)
        # Axes that are indexed by numbers are gone from the result.
        axis = sum(isinstance(one, slice) for one in keys[: self.axis])
        begin, end = int(first[0]), int(first[-1]) + 1  # one run, whichever way the slice goes
        for source, part in ((after, slice(0, begin)), (before, slice(begin, end)), (after, slice(end, None))):
            at = (slice(None),) * axis + (part,)
            composed[at] = source[at]
        return composed

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("the array is composed when it is asked for: it is a copy")
        return self[...].astype(dtype or self.dtype, copy=False)
