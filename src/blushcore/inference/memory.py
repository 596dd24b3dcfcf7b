"""How much memory the parts of the E-step may take."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class MemoryPlan:
    """How much memory the parts of the E-step may take at a time, in bytes.

    Attributes
    ----------
    slices
        For slices of the reference.
    products
        For the products of a tile of images with all of them.
    tables
        For the fine weights of images that share slices. Where nothing is sure yet, an image's table takes a
        dozen megabytes or more, of all classes together, and slices are made for as few images as fit.
    """

    slices: int = 512 << 20
    products: int = 192 << 20
    tables: int = 512 << 20


USUAL_MEMORY = MemoryPlan()


class Workspace:
    """Memory for large intermediate results, used again and again.

    What the system hands out anew it hands out page by page, at the first touch: of products of a hundred
    megabytes that takes as long as computing them.

    Parameters
    ----------
    device
        Where it is.
    """

    def __init__(self, device: torch.device) -> None:
        self._memory = torch.empty(0, device=device)

    def floats(self, *shape: int) -> Tensor:
        """Return an uninitialised float32 tensor; what it gave before is no longer of use."""
        count = math.prod(shape)
        if count > len(self._memory):
            self._memory = torch.empty(0, device=self._memory.device)  # never both at once
            self._memory = torch.empty(count, device=self._memory.device)
        return self._memory[:count].view(shape)
