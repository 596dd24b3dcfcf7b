"""Particle images as the comparison takes them: shifted, masked, transformed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from blushcore.shells import PlaneComponents

MASK_EDGE_PX = 5.0
"""Width of the soft edge, outside the particle's radius."""


@dataclass(frozen=True)
class PreparedImages:
    """B images of one optics group.

    Attributes
    ----------
    masked
        Components of the masked images, complex64 ``(B, P)``: what is compared with slices.
    unmasked
        Components of the images without mask, complex64 ``(B, P)``: what is put into the reconstruction.
    power
        Σ|F|² of the masked images in each shell up to the box's last, float32 ``(B, n // 2 + 1)``.
    """

    masked: Tensor
    unmasked: Tensor
    power: Tensor


def prepare_images(
    images: Tensor,
    plane: PlaneComponents,
    *,
    shifts_px: Tensor,
    factors: Tensor,
    mask: Tensor,
    phases: Tensor | None = None,
    noise: Tensor | None = None,
) -> PreparedImages:
    """Shift, mask and transform images (Scheres 2012, J Struct Biol 180:519, section 2.4).

    Parameters
    ----------
    images
        Float32 ``(B, n, n)``.
    plane
        The components wanted.
    shifts_px
        Whole pixels (x, y) by which the content is moved, int64 ``(B, 2)``; what comes in from outside is 0.
    factors
        What each image is multiplied by (its norm correction), float32 ``(B,)``.
    mask
        From `circular_mask`, float32 ``(n, n)``.
    phases
        Complex ``(P_all,)`` over the components of the whole box, multiplied in: undoes odd aberrations.
    noise
        Images ``(B, n, n)`` to fill what is masked away; without them it is filled with its mean.
    """
    shifted = shift_whole_pixels(images * factors[:, None, None], shifts_px)
    everything = PlaneComponents.of(plane.n, device=images.device)
    unmasked = _transform(shifted, everything if phases is not None else plane)
    if phases is not None:
        unmasked = (unmasked * phases)[:, : plane.count]
    masked = _transform(apply_mask(shifted, mask, noise), everything)
    if phases is not None:
        masked = masked * phases
    power = everything.shell_sums(masked.abs().square())
    n_shells = plane.n // 2 + 1
    return PreparedImages(
        masked[:, : plane.count].contiguous(), unmasked.contiguous(), power[:, :n_shells].contiguous()
    )


def circular_mask(
    n: int, radius_px: float, edge_px: float = MASK_EDGE_PX, device: torch.device | str = "cpu"
) -> Tensor:
    """Return a disc around pixel ``n // 2``: 1 inside `radius_px`, a raised cosine outwards, ``(n, n)``."""
    axis = torch.arange(n, device=device, dtype=torch.float64) - n // 2
    radius = torch.hypot(axis[:, None], axis[None, :])
    edge = ((radius - radius_px) / edge_px).clamp(0, 1)
    return (0.5 + 0.5 * torch.cos(torch.pi * edge)).float()


def apply_mask(images: Tensor, mask: Tensor, noise: Tensor | None = None) -> Tensor:
    """Keep what is inside the mask; fill the rest with its own mean, or with `noise`."""
    outside = 1 - mask
    if noise is not None:
        return images * mask + noise * outside
    total = outside.sum().clamp(min=1e-6)
    background = (images * outside).sum((-2, -1), keepdim=True) / total
    return images * mask + background * outside


def shift_whole_pixels(images: Tensor, shifts_px: Tensor) -> Tensor:
    """Move the content of images ``(B, n, n)`` by whole pixels (x, y), int64 ``(B, 2)``; 0 comes in."""
    if not shifts_px.any():
        return images
    count, n = len(images), images.shape[-1]
    at = torch.arange(n, device=images.device)
    x, y = at - shifts_px[:, :1], at - shifts_px[:, 1:]
    moved = images[
        torch.arange(count, device=images.device)[:, None, None],
        y.clamp(0, n - 1)[:, :, None],
        x.clamp(0, n - 1)[:, None, :],
    ]
    inside_x, inside_y = (x >= 0) & (x < n), (y >= 0) & (y < n)
    return moved * (inside_y[:, :, None] & inside_x[:, None, :])


def _transform(images: Tensor, plane: PlaneComponents) -> Tensor:
    transforms = torch.fft.rfft2(torch.fft.ifftshift(images, dim=(-2, -1)))
    return plane.gather(transforms) / plane.n**2
