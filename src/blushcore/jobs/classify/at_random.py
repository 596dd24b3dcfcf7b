"""A first iteration from one map for all classes: each particle is compared with one of them, drawn by chance.

The classes are alike then, and their posteriors would be too; what tells them apart afterwards is which
particles they were made of (Scheres et al. 2007, Nat Methods 4:27).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from blushcore.inference import ExpectationSums, ImageResults


def drawn_classes(particles: int, classes: int, seed: int) -> NDArray[np.int64]:
    """Return a class for each particle, from 0 on, all equally often but for one particle, int64 ``(N,)``."""
    order = np.random.default_rng((seed, classes)).permutation(particles)
    return order % classes


def merged_sums(parts: Sequence[ExpectationSums]) -> ExpectationSums:
    """Return the sums of K classes from those of each class alone; takes them over."""
    return ExpectationSums(
        of_classes=[part.slices for part in parts],
        noise_power=[
            torch.stack(each).sum(0) for each in zip(*(part.noise_power for part in parts), strict=True)
        ],
        noise_weight=[
            torch.stack(each).sum(0) for each in zip(*(part.noise_weight for part in parts), strict=True)
        ],
        scale_cross=torch.stack([part.scale_cross for part in parts]).sum(0),
        scale_power=torch.stack([part.scale_power for part in parts]).sum(0),
        direction_weight=torch.cat([part.direction_weight for part in parts]),
        class_weight=torch.cat([part.class_weight for part in parts]),
        offset_square=sum(part.offset_square for part in parts),
        weight=sum(part.weight for part in parts),
    )


def merged_results(drawn: NDArray[np.int64], parts: Sequence[ImageResults]) -> ImageResults:
    """Return the results of all particles from those of each class's, in the order of the table."""
    whole = ImageResults.empty(len(drawn), len(parts))
    for index, part in enumerate(parts):
        rows = torch.from_numpy(np.flatnonzero(drawn == index))
        for name in ("angles_deg", "offsets_px", "p_max", "log_likelihood", "significant", "residual"):
            getattr(whole, name)[rows] = getattr(part, name)
        whole.class_index[rows] = index
        whole.class_probability[rows, index] = part.class_probability[:, 0]
    return whole
