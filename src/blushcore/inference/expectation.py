"""The E-step: compare every image with every reference in every pose, and sum up by the posterior.

For each tile of images: prepare → a coarse look at all poses → a fine look at those that count → the posterior
→ its sums. The references and the noise stay what they are throughout. Several references are the classes of a
classification: the posterior is over them too.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import torch
from torch import Tensor

from blushcore.inference.coarse import DenseSearch, Weighted
from blushcore.inference.fine import PosesToCompare, Posterior, compare, posterior
from blushcore.inference.fixed import FixedPosterior, add_fixed, images_at_once
from blushcore.inference.images import PreparedImages, circular_mask, prepare_images
from blushcore.inference.local import local_significant, pose_order
from blushcore.inference.model import ImageModel, ImageSource, Particles, Sampling
from blushcore.inference.noise import noise_images
from blushcore.inference.poses_kept import PosePairs
from blushcore.inference.posterior_sums import TileImages, add_posterior_sums
from blushcore.inference.sums import ExpectationSums, ImageResults
from blushcore.inference.views import Views
from blushcore.optics import aberration_phases, ctf
from blushcore.poses import euler_to_matrix
from blushcore.projection import FourierVolume, SliceSums
from blushcore.shells import PlaneComponents

_LOCAL_TILE = 192
_LARGEST_TILE = 256
_READ_AT_ONCE_BYTES = 128 << 20


@dataclass(frozen=True)
class MemoryPlan:
    """How much memory the parts of the E-step may take at a time, in bytes.

    Attributes
    ----------
    slices
        For slices of the reference.
    products
        For the products of a tile of images with all of them, and for the tables of fine weights.
    """

    slices: int = 512 << 20
    products: int = 192 << 20


def expectation(
    reference: Tensor,
    voxel_size_angstrom: float,
    particles: Particles,
    source: ImageSource,
    sampling: Sampling,
    model: ImageModel,
    *,
    padding: int = 2,
    memory: MemoryPlan = MemoryPlan(),
    seed: int = 0,
) -> Generator[int, None, tuple[ExpectationSums, ImageResults]]:
    """Go through all particles of a half; yields how many are done, some times a second.

    Parameters
    ----------
    reference
        The half's reference map, float32 ``(n, n, n)``, or those of K classes, ``(K, n, n, n)``; everything is
        computed on its device.
    voxel_size_angstrom
        Of the reference.
    particles, source
        The particles and where their images come from.
    sampling, model
        Which poses to try, and what the images are taken to be.
    padding
        Of the Fourier volumes.
    memory
        What the parts may take.
    seed
        Of the noise that fills what is masked away, where it does.

    Returns
    -------
    The sums for the M-step, and what was found out about each particle.
    """
    n = reference.shape[-1]
    maps = reference.reshape(-1, n, n, n)
    views = Views(
        tuple(FourierVolume.of(each, sampling.current_size, padding=padding) for each in maps),
        sampling.orientations,
    )
    sums = ExpectationSums(
        of_classes=[
            SliceSums(n, sampling.current_size, padding=padding, device=reference.device) for _ in maps
        ],
        noise_power=[torch.zeros(len(v), dtype=torch.float64) for v in model.noise_variance],
        noise_weight=torch.zeros(len(particles.optics), dtype=torch.float64),
        scale_cross=torch.zeros(len(model.scale), n // 2 + 1, dtype=torch.float64),
        scale_power=torch.zeros(len(model.scale), n // 2 + 1, dtype=torch.float64),
        direction_weight=torch.zeros(views.direction_count, dtype=torch.float64),
        class_weight=torch.zeros(views.classes, dtype=torch.float64),
    )
    results = ImageResults.empty(particles.count, views.classes)
    place_of_row = {int(row): place for place, row in enumerate(particles.rows)}
    done = 0
    for group in range(len(particles.optics)):
        mine = particles.rows[(particles.optics_index == group).numpy()]
        if len(mine) == 0:
            continue
        work = _GroupWork(views, voxel_size_angstrom, particles, group, sampling, model, memory, seed)
        for rows, images in source.batches(mine, work.read_at_once):
            at = torch.tensor([place_of_row[int(row)] for row in rows])
            for some in torch.split(work.order(at), work.tile):
                for count in work.add_tile(at[some], images[some].to(reference.device), sums, results):
                    done += count
                    yield done
    return sums, results


class _GroupWork:
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
        self.magnification = optics.slice_magnification(relative_size)
        # The same density in an image of another extent: its transform is scaled by that of the areas.
        self.amplitude = relative_size**-2
        self.plane = PlaneComponents.of(box, _size(sampling.current_size, relative_size, box), device)
        self.coarse = self.plane.within(
            min(self.plane.current_size, _size(sampling.coarse_size, relative_size, box))
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
                views, self.coarse, log_direction.float().to(device), memory.slices, self.magnification
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
            noise = noise_images(self.variance, self.optics.box, particles.rows[at.numpy()], self.seed).to(
                device
            )
        prepared = prepare_images(
            images,
            self.plane,
            shifts_px=shifts.long().to(device),
            factors=(model.mean_norm / particles.norm[at]).float().to(device),
            mask=self.mask,
            phases=self.phases,
            noise=noise,
        )
        scale = model.scale[particles.scale_group[at]].float().to(device)
        parameters = particles.ctf.take(at).to(device)
        transfer = (
            ctf(self.optics, parameters, self.plane.kx, self.plane.ky) * (scale * self.amplitude)[:, None]
        )
        correlate = sampling.first_iteration_cc
        inverse = torch.ones_like(self.inverse_noise) if correlate else self.inverse_noise
        weighted = Weighted(prepared.masked * (transfer * inverse), transfer.square() * inverse)
        if sampling.keeps is not None:
            self._add_fixed(at, weighted, prepared, transfer, shifts, sums, results)
            yield len(at)
            return

        pairs = self._coarse(at, weighted, shifts)
        results.significant[at] = pairs.counts()
        log_offset = self._log_offset(shifts, self.fine_offsets)
        first = 0
        for last in _fine_parts(pairs, self.memory.products):
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
                correlate=correlate,
                magnification=self.magnification,
            )
            weights = posterior(
                values, own, log_offset[here], fraction=sampling.adaptive_fraction, only_best=correlate
            )
            tile = TileImages(
                prepared.masked[here], prepared.unmasked[here], transfer[here], self.inverse_noise
            )
            parts = add_posterior_sums(
                sums.of_classes,
                self.views,
                self.plane,
                poses,
                weights,
                tile,
                self.fine_ramps,
                slice_bytes=self.memory.slices,
                magnification=self.magnification,
            )
            self._note_images(at[here], shifts[here], poses, weights, sums, results)
            self._note_residuals(
                at[here], prepared.power[here], tile, parts.cross, parts.power, weights.kept, sums, results
            )
            yield last - first
            first = last

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
            magnification=self.magnification,
        )

    def _log_offset(self, shifts: Tensor, offsets: Tensor) -> Tensor:
        """Return the log-prior of the whole offsets, Gaussian around 0, float32 ``(B, T)``."""
        whole = (shifts.to(offsets.device)[:, None] + offsets) * self.pixel_size
        return (-whole.square().sum(-1) / (2 * self.model.offset_sigma_angstrom**2)).float()

    def _note_images(
        self,
        at: Tensor,
        shifts: Tensor,
        poses: PosesToCompare,
        weights: Posterior,
        sums: ExpectationSums,
        results: ImageResults,
    ) -> None:
        """Keep each image's best pose, and the sums over offsets and directions."""
        views = self.views
        per_direction = views.psi_count * 8
        start = poses.value_start.tolist()
        offsets = self.fine_offsets.cpu()
        table_of = weights.weights.cpu().double()
        best_orientation = torch.empty(len(at), dtype=torch.int64)
        best_offset = torch.empty(len(at), dtype=torch.int64)
        for b in range(len(at)):
            own_o = poses.orientations[poses.orientation_start[b] : poses.orientation_start[b + 1]].cpu()
            own_t = poses.offsets[poses.offset_start[b] : poses.offset_start[b + 1]].cpu()
            table = table_of[start[b] : start[b + 1]].view(len(own_o), len(own_t))
            inside = int(weights.best[b]) - start[b]
            best_orientation[b], best_offset[b] = own_o[inside // len(own_t)], own_t[inside % len(own_t)]
            whole = ((shifts[b] + offsets[own_t]) * self.pixel_size).square().sum(-1)
            sums.offset_square += float(table.sum(0) @ whole)
            of_orientation = table.sum(1)
            sums.direction_weight.index_add_(0, own_o // per_direction, of_orientation)
            results.class_probability[at[b]].index_add_(0, views.class_of(own_o, 1), of_orientation)
        sums.class_weight += results.class_probability[at].sum(0)
        results.class_index[at] = views.class_of(best_orientation, 1)
        results.angles_deg[at] = views.euler_deg(best_orientation, 1)
        results.offsets_px[at] = shifts + offsets[best_offset]
        results.p_max[at] = weights.p_max
        results.log_likelihood[at] = weights.log_sum
        sums.weight += float(weights.kept.sum())

    def _add_fixed(
        self,
        at: Tensor,
        weighted: Weighted,
        prepared: PreparedImages,
        transfer: Tensor,
        shifts: Tensor,
        sums: ExpectationSums,
        results: ImageResults,
    ) -> None:
        """Add images whose orientations are kept, with their offsets or without."""
        particles, sampling, device = self.particles, self.sampling, weighted.images.device
        if sampling.keeps == "pose":
            offsets = (particles.offsets_px[at] - shifts)[:, None].to(device)
            ramps = self.plane.phase_ramps(offsets)
        else:
            offsets, ramps = self.fine_offsets.expand(len(at), -1, -1), self.fine_ramps
        whole = shifts.to(device)[:, None] + offsets
        squares = (whole * self.pixel_size).square().sum(-1)
        log_offset = -squares / (2 * self.model.offset_sigma_angstrom**2)
        tile = TileImages(prepared.masked, prepared.unmasked, transfer, self.inverse_noise)
        rotations = euler_to_matrix(particles.angles_deg[at]).float().to(device)
        found = add_fixed(
            sums.of_classes,
            self.views.volumes,
            self.plane,
            rotations,
            weighted,
            tile,
            ramps,
            (self.log_class[:, None] + log_offset[:, None]).float(),
            correlate=sampling.first_iteration_cc,
            magnification=self.magnification,
        )
        self._note_fixed(at, found, whole, squares, sums, results)
        kept = torch.ones(len(at), dtype=torch.float64)
        parts = found.parts
        self._note_residuals(at, prepared.power, tile, parts.cross, parts.power, kept, sums, results)

    def _note_fixed(
        self,
        at: Tensor,
        found: FixedPosterior,
        whole: Tensor,
        squares: Tensor,
        sums: ExpectationSums,
        results: ImageResults,
    ) -> None:
        """Keep each image's class and best offset, and the sums over them."""
        weights = found.weights.double()
        of_class = weights.sum(2).cpu()
        sums.class_weight += of_class.sum(0)
        sums.offset_square += float((weights.sum(1) * squares).sum())
        sums.weight += len(at)
        table = weights.flatten(1)
        p_max, best = table.max(1)
        offset = (best % weights.shape[2]).to(whole.device)
        results.class_probability[at] = of_class
        results.class_index[at] = (best // weights.shape[2]).cpu()
        results.angles_deg[at] = self.particles.angles_deg[at]
        results.offsets_px[at] = whole[torch.arange(len(at), device=whole.device), offset].cpu()
        results.p_max[at] = p_max.cpu()
        results.log_likelihood[at] = found.log_sum
        before = table.sort(1, descending=True).values.cumsum(1)
        results.significant[at] = ((before < self.sampling.adaptive_fraction).sum(1) + 1).cpu()

    def _note_residuals(
        self,
        at: Tensor,
        power: Tensor,
        tile: TileImages,
        cross: Tensor,
        model_power: Tensor,
        kept: Tensor,
        sums: ExpectationSums,
        results: ImageResults,
    ) -> None:
        """Keep what the model does not explain: for the noise, norm and scale corrections."""
        kept = kept.to(power.device)
        residual = tile.masked.abs().square() * kept[:, None] - 2 * cross + model_power
        shells = self.plane.current_size // 2 + 1
        spectra = power.double() * kept[:, None]
        inside = min(shells, spectra.shape[1])
        spectra[:, :inside] = self.plane.shell_sums(residual.double())[:, :inside]
        spectra[:, 0] = 0
        sums.noise_power[self.group] += spectra.sum(0).cpu()
        sums.noise_weight[self.group] += float(kept.sum())
        results.residual[at] = (2 * spectra.sum(1)).clamp(min=0).sqrt().cpu()
        groups = self.particles.scale_group[at]
        scale = self.model.scale[groups].double()
        width = min(inside, sums.scale_cross.shape[1])
        by_shell = self.plane.shell_sums(cross.double())[:, :width].cpu() / scale[:, None]
        sums.scale_cross[:, :width].index_add_(0, groups, by_shell)
        by_shell = self.plane.shell_sums(model_power.double())[:, :width].cpu() / scale[:, None].square()
        sums.scale_power[:, :width].index_add_(0, groups, by_shell)


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


def _size(size: int, relative_size: float, box: int) -> int:
    """Return a current size of the reference in pixels of an image of another extent, even."""
    return max(2, min(box + box % 2, 2 * int(size / 2 * relative_size + 1e-6)))
