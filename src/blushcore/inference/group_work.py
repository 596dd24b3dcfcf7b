"""The E-step of one optics group: what all its tiles share, and the way of a tile through it."""

from __future__ import annotations

from collections.abc import Generator

import torch
from torch import Tensor

from blushcore.inference.coarse import DenseSearch, Weighted
from blushcore.inference.fine import compare
from blushcore.inference.fixed import add_fixed, images_at_once
from blushcore.inference.images import PreparedImages, circular_mask, prepare_images
from blushcore.inference.local import local_significant, pose_order
from blushcore.inference.memory import MemoryPlan, Workspace
from blushcore.inference.model import ImageModel, Particles, Sampling
from blushcore.inference.noise import noise_images
from blushcore.inference.notes import ModelledTile, note_fixed, note_poses, note_residuals
from blushcore.inference.poses_kept import PosePairs, PosesToCompare
from blushcore.inference.posterior import posterior
from blushcore.inference.posterior_sums import ResidualParts, TileImages, add_posterior_sums
from blushcore.inference.sums import ExpectationSums, ImageResults
from blushcore.inference.views import Views
from blushcore.optics import CtfParameters, aberration_phases, ctf
from blushcore.poses import euler_to_matrix
from blushcore.shells import PlaneComponents

_LOCAL_TILE = 192
_LARGEST_TILE = 256
_READ_AT_ONCE_BYTES = 128 << 20


class GroupWork:
    """The E-step of one optics group: what all its tiles share."""

    def __init__(
        self,
        views: Views,
        voxel_size_angstrom: float,
        particles: Particles,
        group: int,
        sampling: Sampling,
        model: ImageModel,
        memory: MemoryPlan,
        seed: int,
    ) -> None:
        self.views, self.particles, self.group = views, particles, group
        self.sampling, self.model, self.memory, self.seed = sampling, model, memory, seed
        self.optics = optics = particles.optics[group]
        device = views.device
        box, self.pixel_size = optics.box, optics.pixel_size_angstrom
        relative_size = box * self.pixel_size / (views.n * voxel_size_angstrom)
        self.magnification = optics.slice_magnification(relative_size, volume_box=views.n)
        # The same density in an image of another extent: its transform is scaled by that of the areas.
        self.amplitude = relative_size**-2
        self.plane = PlaneComponents.of(box, size_in_images(sampling.current_size, relative_size, box), device)
        self.coarse = self.plane.within(
            min(self.plane.current_size, size_in_images(sampling.coarse_size, relative_size, box))
        )
        everything = PlaneComponents.of(box, device=device)
        self.phases = aberration_phases(optics, everything.kx, everything.ky)
        self.mask = circular_mask(box, model.diameter_angstrom / 2 / self.pixel_size, device=device)
        self.variance = model.noise_variance[group]
        self.inverse_noise = (1 / self.variance.to(device)[self.plane.shell]).float()
        pixels = voxel_size_angstrom / self.pixel_size  # of the image in one of the reference
        self.coarse_offsets = sampling.offsets.coarse(device) * pixels
        self.fine_offsets = sampling.offsets.children(device) * pixels
        self.coarse_ramps = self.coarse.phase_ramps(self.coarse_offsets)
        self.fine_ramps = self.plane.phase_ramps(self.fine_offsets)
        log_class = torch.zeros(views.classes) if model.log_class is None else model.log_class
        self.log_class = log_class.float().to(device)
        self.dense: DenseSearch | None = None
        self.workspace = Workspace(device)
        self.tile = _LOCAL_TILE
        if sampling.keeps is not None:
            offsets = len(self.fine_offsets) if sampling.keeps == "orientation" else 1
            at_once = images_at_once(views.classes, self.plane.count, offsets, memory.products)
            self.tile = min(_LARGEST_TILE, at_once)
        elif sampling.local is None:
            log_direction = model.log_direction
            if log_direction is None:
                log_direction = self.log_class.repeat_interleave(sampling.orientations.direction_count)
            self.dense = DenseSearch(
                views,
                self.coarse,
                log_direction.float().to(device),
                memory.slices,
                self.workspace,
                self.magnification,
            )
            at_once = self.dense.images_at_once(len(self.coarse_offsets), memory.products)
            self.tile = min(_LARGEST_TILE, at_once)
        self.read_at_once = self.tile
        if sampling.local is not None:
            self.read_at_once = max(self.tile, _READ_AT_ONCE_BYTES // (4 * box**2))

    def order(self, at: Tensor) -> Tensor:
        """Return the order to go through particles `at` in: in local searches, neighbours share slices."""
        if self.sampling.local is None:
            return torch.arange(len(at))
        return torch.from_numpy(pose_order(self.particles.angles_deg[at].numpy()))

    def add_tile(
        self, at: Tensor, images: Tensor, sums: ExpectationSums, results: ImageResults
    ) -> Generator[int, None, None]:
        """Add the images of particles `at` to the sums; yields the numbers of images done."""
        particles, model, sampling = self.particles, self.model, self.sampling
        device = images.device
        shifts = particles.offsets_px[at].round()
        noise = None
        if model.fill_with_noise:
            noise = self._noise(at).to(device)
        prepared = prepare_images(
            images,
            self.plane,
            shifts_px=shifts.long().to(device),
            factors=(model.mean_norm / particles.norm[at]).float().to(device),
            mask=self.mask,
            phases=self.phases,
            noise=noise,
        )
        tile, weighted = self._modelled(at, shifts, prepared)
        if sampling.keeps is not None:
            self._add_fixed(tile, weighted, sums, results)
            yield len(at)
            return

        pairs = self._coarse(at, weighted, shifts)
        results.significant[at] = pairs.counts()
        log_offset = self._log_offset(shifts, self.fine_offsets)
        first = 0
        for last in _fine_parts(pairs, self.memory.tables):
            here = slice(first, last)
            own = pairs.part(first, last)
            poses = PosesToCompare.children(own)
            values = compare(
                self.views,
                self.plane,
                poses,
                weighted.part(first, last),
                self.fine_ramps,
                slice_bytes=self.memory.slices,
                workspace=self.workspace,
                parents=own,
                correlate=sampling.first_iteration_cc,
                magnification=self.magnification,
            )
            weights = posterior(
                values,
                own,
                log_offset[here],
                fraction=sampling.adaptive_fraction,
                only_best=sampling.first_iteration_cc,
            )
            part = tile.part(here)
            parts = add_posterior_sums(
                sums.of_classes,
                self.views,
                self.plane,
                poses,
                weights,
                part.images,
                self.fine_ramps,
                slice_bytes=self.memory.slices,
                magnification=self.magnification,
            )
            note_poses(part, self.views, self.fine_offsets, self.pixel_size, poses, weights, sums, results)
            self._note_residuals(part, parts, weights.kept, sums, results)
            yield last - first
            first = last

    def _modelled(self, at: Tensor, shifts: Tensor, prepared: PreparedImages) -> tuple[ModelledTile, Weighted]:
        """Return images with their transfer functions, and as they are compared.

        Images X' = CTF·X that were multiplied by their CTF have CTF·X/σ² = X'/σ², and what depends on CTF²/σ²
        is the same: nothing is divided by a CTF.
        """
        device, particles = prepared.masked.device, self.particles
        scales = self.model.scale[particles.scale_group[at]].float().to(device)[:, None] * self.amplitude
        parameters = particles.ctf.take(at).to(device)
        contrast = ctf(self.optics, parameters, self.plane.kx, self.plane.ky)
        transfer = scale = image_transfer = contrast * scales
        noise_share = None
        if self.optics.ctf_premultiplied:
            scale, image_transfer = scales.expand_as(contrast), contrast * transfer
            noise_share = self._ctf_square(parameters)
        power = transfer.square()
        images = TileImages(
            prepared.masked, prepared.unmasked, scale * self.inverse_noise, power * self.inverse_noise
        )
        tile = ModelledTile(at, shifts, images, prepared.power, transfer, scale, image_transfer, noise_share)
        if self.sampling.first_iteration_cc:
            return tile, Weighted(prepared.masked * scale, power)
        return tile, Weighted(prepared.masked * images.factor, images.power)

    def _noise(self, at: Tensor) -> Tensor:
        """Return images of the noise that images of particles `at` have, ``(B, n, n)``."""
        box, rows = self.optics.box, self.particles.rows[at.numpy()]
        contrast = None
        if self.optics.ctf_premultiplied:
            everything = PlaneComponents.of(box)
            contrast = ctf(self.optics, self.particles.ctf.take(at), everything.kx, everything.ky)
        return noise_images(self.variance, box, rows, self.seed, contrast)

    def _ctf_square(self, parameters: CtfParameters) -> Tensor:
        """Return the mean of CTF² over each shell of the box, float64 ``(B, n // 2 + 1)``."""
        everything = PlaneComponents.of(self.optics.box, device=self.views.device)
        squares = ctf(self.optics, parameters, everything.kx, everything.ky).double().square()
        means = everything.shell_sums(squares) / everything.shell_counts().clamp(min=1)
        return means[:, : self.optics.box // 2 + 1]

    def _coarse(self, at: Tensor, weighted: Weighted, shifts: Tensor) -> PosePairs:
        sampling = self.sampling
        seen = weighted.within(self.coarse.count)
        log_offset = self._log_offset(shifts, self.coarse_offsets)
        if self.dense is not None:
            return self.dense.significant(
                seen,
                self.coarse_ramps,
                log_offset,
                fraction=sampling.adaptive_fraction,
                correlate=sampling.first_iteration_cc,
            )
        return local_significant(
            self.views,
            sampling,
            self.coarse,
            seen,
            self.coarse_ramps,
            log_offset,
            self.particles.angles_deg[at],
            self.log_class,
            slice_bytes=self.memory.slices,
            workspace=self.workspace,
            magnification=self.magnification,
        )

    def _log_offset(self, shifts: Tensor, offsets: Tensor) -> Tensor:
        """Return the log-prior of the whole offsets, Gaussian around 0, float32 ``(B, T)``."""
        whole = (shifts.to(offsets.device)[:, None] + offsets) * self.pixel_size
        return (-whole.square().sum(-1) / (2 * self.model.offset_sigma_angstrom**2)).float()

    def _add_fixed(
        self, tile: ModelledTile, weighted: Weighted, sums: ExpectationSums, results: ImageResults
    ) -> None:
        """Add images whose orientations are kept, with their offsets or without."""
        particles, sampling, device, at = self.particles, self.sampling, weighted.images.device, tile.at
        if sampling.keeps == "pose":
            offsets = (particles.offsets_px[at] - tile.shifts_px)[:, None].to(device)
            ramps = self.plane.phase_ramps(offsets)
        else:
            offsets, ramps = self.fine_offsets.expand(len(at), -1, -1), self.fine_ramps
        whole = tile.shifts_px.to(device)[:, None] + offsets
        squares = (whole * self.pixel_size).square().sum(-1)
        log_offset = -squares / (2 * self.model.offset_sigma_angstrom**2)
        angles_deg = particles.angles_deg[at]
        found = add_fixed(
            sums.of_classes,
            self.views.volumes,
            self.plane,
            euler_to_matrix(angles_deg).float().to(device),
            weighted,
            tile.images,
            ramps,
            (self.log_class[:, None] + log_offset[:, None]).float(),
            correlate=sampling.first_iteration_cc,
            magnification=self.magnification,
        )
        note_fixed(tile, found, angles_deg, whole, squares, sampling.adaptive_fraction, sums, results)
        kept = torch.ones(len(at), dtype=torch.float64)
        self._note_residuals(tile, found.parts, kept, sums, results)

    def _note_residuals(
        self,
        tile: ModelledTile,
        parts: ResidualParts,
        kept: Tensor,
        sums: ExpectationSums,
        results: ImageResults,
    ) -> None:
        note_residuals(
            tile,
            self.plane,
            parts,
            kept,
            self.variance,
            self.group,
            self.particles.scale_group[tile.at],
            self.model.scale,
            sums,
            results,
        )


def _fine_parts(pairs: PosePairs, table_bytes: int) -> list[int]:
    """Return where to cut a tile so that the fine tables of each part take no more than so much memory."""
    sizes = (pairs.pair_start.diff() * 128).tolist()
    ends, used = [], 0
    for b, size in enumerate(sizes):
        if used and used + size > table_bytes:
            ends.append(b)
            used = 0
        used += size
    return [*ends, len(sizes)]


def size_in_images(size: int, relative_size: float, box: int) -> int:
    """Return a current size of the reference in pixels of an image of another extent or box, even."""
    return max(2, min(box + box % 2, 2 * int(size / 2 * relative_size + 1e-6)))
