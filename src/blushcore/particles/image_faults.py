"""Images with which nothing can be done: NaN, constant, or beyond any number a detector gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from blushcore.protocol import BlushError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blushcore.particles.particle_table import ParticleTable

_LARGEST_VALUE = 1e12
"""The square of the sum of a million such values is still a float32."""

_KINDS = {
    "not_finite": "has values that are not finite (NaN or infinity)",
    "constant": "has the same value everywhere (zeros, for example)",
    "huge": f"has values beyond {_LARGEST_VALUE:g} (is its byte order right?)",
}
_KINDS_OF_MANY = {name: said.replace("has", "have", 1).replace("its", "their") for name, said in _KINDS.items()}


@dataclass(frozen=True, eq=False)
class ImageFaults:
    """The rows whose images cannot be used, by what is wrong: positions in the table, from 0, int64.

    Attributes
    ----------
    not_finite, constant, huge
        NaN or infinity somewhere; one value everywhere; values beyond 10¹².
    """

    not_finite: NDArray[np.int64]
    constant: NDArray[np.int64]
    huge: NDArray[np.int64]

    @property
    def rows(self) -> NDArray[np.int64]:
        """All of them, ascending."""
        return np.sort(np.concatenate([self.not_finite, self.constant, self.huge]))

    def sentences(self, table: ParticleTable) -> tuple[str, ...]:
        """Say what is wrong with which rows of the file, a sentence a kind."""
        said = []
        for kind in _KINDS:
            rows: NDArray[np.int64] = getattr(self, kind)
            if len(rows):
                name = table.particles["rlnImageName"].iloc[int(rows[0])]
                which = f"the image ({name}) {_KINDS[kind]}" if len(rows) == 1 else ""
                which = which or f"{len(rows)} images (first: {name}) {_KINDS_OF_MANY[kind]}"
                said.append(f"{table.name_rows(rows)}: {which}.")
        return tuple(said)

    def error(self, table: ParticleTable) -> BlushError:
        """Return the error for a caller that does not go on without them."""
        return BlushError(
            " ".join(self.sentences(table)), "Extract these particles again, or remove their rows."
        )


def faults_of(images: NDArray[np.float32], rows: NDArray[np.int64]) -> ImageFaults:
    """Look at images (B, n, n), the images of `rows` (B,)."""
    flat = images.reshape(len(images), -1)
    with np.errstate(invalid="ignore"):
        low, high = flat.min(axis=1), flat.max(axis=1)
        not_finite = ~(np.isfinite(low) & np.isfinite(high))
        constant = ~not_finite & (low == high)
        huge = ~not_finite & ~constant & (np.maximum(-low, high) > _LARGEST_VALUE)
    return ImageFaults(rows[not_finite], rows[constant], rows[huge])


def joined_faults(parts: list[ImageFaults]) -> ImageFaults:
    """All faults in one, rows ascending."""
    empty = np.empty(0, np.int64)
    return ImageFaults(
        *(np.sort(np.concatenate([empty, *(getattr(part, kind) for part in parts)])) for kind in _KINDS)
    )
