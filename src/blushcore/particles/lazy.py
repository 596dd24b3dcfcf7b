"""Many images behind the face of one array."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from blushcore.protocol import BlushError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LARGEST_COPY_BYTES = 1 << 30
"""What one indexing may bring into memory: a plane across ten thousands of images, not a large stack whole."""


class LazyImages(ABC):
    """Images that are read when they are looked at; indexed like a float32 array ``[image, y, x]``.

    It has what array viewers ask of an array (``shape``, ``dtype``, ``ndim``, indexing), and reads only the
    images that an index touches.

    Raises
    ------
    BlushError
        On indexing, if an image cannot be read, or if more than 1 GiB is asked for at once.
    """

    shape: tuple[int, int, int]
    dtype = np.dtype(np.float32)
    ndim = 3

    @abstractmethod
    def image(self, index: int) -> NDArray[Any]:
        """Return image `index` from 0 as ``[y, x]``, in the file's own type; may be mapped, not read."""

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[np.float32]:
        keys = key if isinstance(key, tuple) else (key,)
        if Ellipsis in keys:
            where = keys.index(Ellipsis)
            keys = (*keys[:where], *[slice(None)] * (4 - len(keys)), *keys[where + 1 :])
        first, rest = keys[0], keys[1:]
        if isinstance(first, slice):
            wanted = range(*first.indices(len(self)))
            self._refuse_too_much(len(wanted), rest)
            images = [self.image(index)[rest] for index in wanted]
            if not images:
                return np.empty((0, *self.shape[1:]), np.float32)
            return np.stack(images).astype(np.float32, copy=False)
        index = int(first)
        if not -len(self) <= index < len(self):
            raise IndexError(f"image {index} of {len(self)}")
        return np.array(self.image(index % len(self))[rest], dtype=np.float32)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("the images lie in files; an array of them is a copy")
        return self[:].astype(dtype or self.dtype, copy=False)

    def _refuse_too_much(self, count: int, rest: tuple[Any, ...]) -> None:
        pixels = 1
        for axis, n in enumerate(self.shape[1:]):
            one = rest[axis] if axis < len(rest) else slice(None)
            pixels *= len(range(*one.indices(n))) if isinstance(one, slice) else 1
        needed = 4 * count * pixels
        if needed > _LARGEST_COPY_BYTES:
            raise BlushError(
                f"{count} images at once would take {needed / 2**30:.1f} GiB of memory.",
                "Look at them one by one: in 2D, with the slider along the images.",
            )
