"""What the posterior of a tile of images says besides the maps: poses, offsets, directions, residuals."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from blushcore.inference.fixed import FixedPosterior
from blushcore.inference.poses_kept import PosesToCompare
from blushcore.inference.posterior import Posterior
from blushcore.inference.posterior_sums import ResidualParts, TileImages
from blushcore.inference.sums import ExpectationSums, ImageResults
from blushcore.inference.views import Views
from blushcore.shells import PlaneComponents


@dataclass(frozen=True)
class ModelledTile:
    """B images, and what a slice of the reference becomes in them.

    Attributes
    ----------
    at
        Their places among the particles, int64 ``(B,)``.
    shifts_px
        Whole pixels that they were moved by, float64 ``(B, 2)``.
    images
        As the sums take them.
    spectra
        Σ|X|² of each shell of the box, float32 ``(B, n // 2 + 1)``.
    transfer
        s·CTF: what a slice is multiplied by, float32 ``(B, P)``.
    scale
        What the images are multiplied by to be compared with that: s·CTF, or s where they already were
        multiplied by their CTF; float32 ``(B, P)``.
    image_transfer
        What a slice is multiplied by in the images as they are: s·CTF, or s·CTF², float32 ``(B, P)``.
    noise_share
        Mean over each shell of CTF², which the noise was multiplied by too, float64 ``(B, n // 2 + 1)``; None
        where images are as they were taken.
    """

    at: Tensor
    shifts_px: Tensor
    images: TileImages
    spectra: Tensor
    transfer: Tensor
    scale: Tensor
    image_transfer: Tensor
    noise_share: Tensor | None = None

    def part(self, part: slice) -> ModelledTile:
        """Return some of the images."""
        return ModelledTile(
            self.at[part],
            self.shifts_px[part],
            self.images.part(part),
            self.spectra[part],
            self.transfer[part],
            self.scale[part],
            self.image_transfer[part],
            None if self.noise_share is None else self.noise_share[part],
        )


def note_poses(
    tile: ModelledTile,
    views: Views,
    offsets_px: Tensor,
    pixel_size: float,
    poses: PosesToCompare,
    weights: Posterior,
    sums: ExpectationSums,
    results: ImageResults,
) -> None:
    """Keep each image's best pose, and the sums over offsets, directions and classes.

    `offsets_px` are all child offsets, ``(4T, 2)``.
    """
    at, images = tile.at, len(tile.at)
    orientations, offset_list, offsets = poses.orientations.cpu(), poses.offsets.cpu(), offsets_px.cpu()
    widths = poses.offset_start.diff()
    inside = weights.best - poses.value_start[:-1]
    best_orientation = orientations[poses.orientation_start[:-1] + inside // widths]
    best_offset = offset_list[poses.offset_start[:-1] + inside % widths]

    image_of = torch.arange(images).repeat_interleave(widths)
    whole = (tile.shifts_px[image_of] + offsets[offset_list]) * pixel_size
    sums.offset_square += float(weights.of_offsets @ whole.square().sum(-1))
    sums.direction_weight.index_add_(0, orientations // (views.psi_count * 8), weights.of_orientations)
    image_of = torch.arange(images).repeat_interleave(poses.orientation_start.diff())
    cells = image_of * views.classes + views.class_of(orientations, 1)
    of_class = torch.zeros(images * views.classes, dtype=torch.float64)
    of_class.index_add_(0, cells, weights.of_orientations)
    results.class_probability[at] = of_class.view(images, views.classes)
    sums.class_weight += results.class_probability[at].sum(0)
    results.class_index[at] = views.class_of(best_orientation, 1)
    results.angles_deg[at] = views.euler_deg(best_orientation, 1)
    results.offsets_px[at] = tile.shifts_px + offsets[best_offset]
    results.p_max[at] = weights.p_max
    results.log_likelihood[at] = weights.log_sum
    sums.weight += float(weights.kept.sum())


def note_fixed(
    tile: ModelledTile,
    found: FixedPosterior,
    angles_deg: Tensor,
    whole_px: Tensor,
    squares: Tensor,
    adaptive_fraction: float,
    sums: ExpectationSums,
    results: ImageResults,
) -> None:
    """Keep each image's class and best offset, and the sums over them, where orientations are kept.

    `whole_px` are the offsets looked at, ``(B, T, 2)``, and `squares` their squares in Å², ``(B, T)``.
    """
    at = tile.at
    weights = found.weights.double()
    of_class = weights.sum(2).cpu()
    sums.class_weight += of_class.sum(0)
    sums.offset_square += float((weights.sum(1) * squares).sum())
    sums.weight += len(at)
    table = weights.flatten(1)
    p_max, best = table.max(1)
    offset = (best % weights.shape[2]).to(whole_px.device)
    results.class_probability[at] = of_class
    results.class_index[at] = (best // weights.shape[2]).cpu()
    results.angles_deg[at] = angles_deg
    results.offsets_px[at] = whole_px[torch.arange(len(at), device=whole_px.device), offset].cpu()
    results.p_max[at] = p_max.cpu()
    results.log_likelihood[at] = found.log_sum
    before = table.sort(1, descending=True).values.cumsum(1)
    results.significant[at] = ((before < adaptive_fraction).sum(1) + 1).cpu()


def note_residuals(
    tile: ModelledTile,
    plane: PlaneComponents,
    parts: ResidualParts,
    kept: Tensor,
    noise_variance: Tensor,
    group: int,
    scale_group: Tensor,
    group_scale: Tensor,
    sums: ExpectationSums,
    results: ImageResults,
) -> None:
    """Keep what the model does not explain: for the noise, norm and scale corrections.

    Where images were multiplied by their CTF, so was their noise, and its sum is compared with that of CTF².

    Parameters
    ----------
    tile, plane, parts
        The images, their components, and their sums with the slices.
    kept
        ΣΓ of each, float64 ``(B,)``.
    noise_variance
        σ²(s) so far, float64 ``(n // 2 + 1,)``.
    group
        Their optics group.
    scale_group, group_scale
        Which intensity scale each image has, and the scales.
    sums, results
        Added to.
    """
    at, device = tile.at, tile.spectra.device
    weights = kept.to(device)
    residual = (
        tile.images.masked.abs().square() * weights[:, None]
        - 2 * tile.image_transfer * parts.cross
        + tile.image_transfer.square() * parts.power
    )
    shells = plane.current_size // 2 + 1
    spectra = tile.spectra.double() * weights[:, None]
    inside = min(shells, spectra.shape[1])
    spectra[:, :inside] = plane.shell_sums(residual.double())[:, :inside]
    spectra[:, 0] = 0
    spectra = spectra.cpu()
    share = torch.ones_like(spectra) if tile.noise_share is None else tile.noise_share.cpu()
    sums.noise_power[group] += spectra.sum(0)
    sums.noise_weight[group] += kept @ share
    power = spectra.sum(1)
    if tile.noise_share is not None:
        expected = PlaneComponents.of(plane.n).shell_counts()[: spectra.shape[1]] * noise_variance
        power = power * expected[1:].sum() / (share * expected)[:, 1:].sum(1)
    results.residual[at] = (2 * power).clamp(min=0).sqrt()

    scale = group_scale[scale_group].double()
    width = min(inside, sums.scale_cross.shape[1])
    by_shell = plane.shell_sums((tile.scale * parts.cross).double())[:, :width].cpu()
    sums.scale_cross[:, :width].index_add_(0, scale_group, by_shell / scale[:, None])
    by_shell = plane.shell_sums((tile.transfer.square() * parts.power).double())[:, :width].cpu()
    sums.scale_power[:, :width].index_add_(0, scale_group, by_shell / scale[:, None].square())
