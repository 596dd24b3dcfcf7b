"""The noise of particle images: its first estimate, and images made of it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from blushcore.inference.images import apply_mask
from blushcore.protocol import BlushError
from blushcore.shells import PlaneComponents, images_from, transform_images

IMAGES_FOR_FIRST_ESTIMATE = 1000


class NoiseEstimate:
    """σ²(s) before any model is known: mean ½|F|² of the images, less ½|F|² of their mean.

    The mean of many images in random orientations holds the average particle, which is no noise. Where images
    were multiplied by their CTF, so was their noise: what is left is divided by the mean of CTF². A single
    image has no mean but itself: all of it is taken for noise.

    Parameters
    ----------
    n
        Box size in pixels.
    mask
        From `circular_mask`, ``(n, n)``: images are masked as for the comparison.

    Attributes
    ----------
    plane
        The components that are looked at: all of the box.
    """

    def __init__(self, n: int, mask: Tensor) -> None:
        self.plane = PlaneComponents.of(n, device=mask.device)
        self._mask = mask
        self._power = torch.zeros(self.plane.count, dtype=torch.float64, device=mask.device)
        self._sum = torch.zeros(self.plane.count, dtype=torch.complex128, device=mask.device)
        self._share = torch.zeros(self.plane.count, dtype=torch.float64, device=mask.device)
        self._images = 0

    def add(self, images: Tensor, multiplied_by: Tensor | None = None) -> None:
        """Add images ``(B, n, n)``, and the CTFs ``(B, P)`` that they were multiplied by if they were."""
        transforms = transform_images(apply_mask(images, self._mask), self.plane)
        self._power += transforms.abs().square().double().sum(0)
        self._sum += transforms.sum(0)
        self._share += len(images) if multiplied_by is None else multiplied_by.double().square().sum(0)
        self._images += len(images)

    def variance(self) -> Tensor:
        """Return σ²(s), float64 ``(n // 2 + 1,)`` on the CPU; shell 0 has the value of shell 1.

        A shell in which it would not be positive takes the last positive one before it; those before the first
        positive one take that.

        Raises
        ------
        BlushError
            If it is positive nowhere: the images are all the same.
        """
        plane, n = self.plane, self.plane.n
        of_mean = self._sum.abs().square() / self._images if self._images > 1 else 0.0
        share = plane.shell_sums(self._share).clamp(min=1e-30)
        variance = (0.5 * plane.shell_sums(self._power - of_mean) / share)[: n // 2 + 1].cpu()
        if len(variance) < n // 2 + 1:
            variance = torch.cat((variance, variance[-1:].expand(n // 2 + 1 - len(variance))))
        positive = torch.nonzero(variance[1:] > 0).flatten() + 1
        if not len(positive):
            raise BlushError(
                "The images of an optics group are all the same, so nothing tells their noise.",
                "Extract these particles again, or remove their rows.",
            )
        variance[: int(positive[0])] = variance[int(positive[0])]
        for s in range(int(positive[0]), len(variance)):
            if not variance[s] > 0:
                variance[s] = variance[s - 1]
        return variance


def noise_images(
    variance: Tensor, n: int, rows: NDArray[np.int64], seed: int, multiplied_by: Tensor | None = None
) -> Tensor:
    """Return Gaussian noise of spectrum σ²(s), float32 ``(B, n, n)``; each depends on its row and the seed.

    `multiplied_by` are the CTFs ``(B, P)`` of images that were multiplied by them, over the whole box.
    """
    plane = PlaneComponents.of(n)
    spread = variance[plane.shell.clamp(max=len(variance) - 1)].sqrt().float()
    if multiplied_by is not None:
        spread = spread * multiplied_by.cpu()
    parts = []
    for row in rows:
        generator = torch.Generator().manual_seed((seed * 1_000_003 + int(row)) % 2**63)
        parts.append(torch.randn(2, plane.count, generator=generator))
    both = torch.stack(parts)
    return images_from(torch.complex(both[:, 0], both[:, 1]) * spread, plane)
