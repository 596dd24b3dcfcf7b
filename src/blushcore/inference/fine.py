"""Images compared with slices pose by pose: the children of the poses that count, and poses near the last.

Each image has its own list of poses: its own slices are compared with copies of it, moved by its own offsets.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from blushcore.devices import kernel_threads
from blushcore.inference import fine_kernels
from blushcore.inference.coarse import Weighted
from blushcore.inference.memory import Workspace
from blushcore.inference.poses_kept import PosePairs, PosesToCompare
from blushcore.inference.runs import Run, slices_of_runs
from blushcore.inference.views import Views
from blushcore.shells import PlaneComponents


def compare(
    views: Views,
    plane: PlaneComponents,
    poses: PosesToCompare,
    weighted: Weighted,
    ramps: Tensor,
    *,
    slice_bytes: int,
    workspace: Workspace,
    parents: PosePairs | None = None,
    correlate: bool = False,
    magnification: Tensor | None = None,
) -> Tensor:
    """Return the log-likelihood of each image at each of its own poses (see `coarse` for the formula).

    Parameters
    ----------
    views, plane
        The references in all orientations, and the components to compare by.
    poses
        Of each image.
    weighted
        The images; with `correlate`, with σ² = 1.
    ramps
        Phase ramps of all offsets, complex64 ``(T, P)``.
    slice_bytes
        Memory for slices at one time.
    workspace
        For what is returned.
    parents
        The poses whose children `poses` are: what comes of pairs that do not count may be anything.
    correlate
        Return normalised correlations instead, not divided by the image's own norm.
    magnification
        As for slices.

    Returns
    -------
    Float32, flat: each image's table (orientations × offsets) one after the other, as ``poses.value_start``.
    """
    values = workspace.floats(int(poses.value_start[-1]))
    compiled = kernel_threads.has_kernels(values.device)
    compare_run = _Compiled(poses, weighted, ramps, parents) if compiled else _Products(poses, weighted, ramps)
    for run, slices, rows in slices_of_runs(views, plane, poses, slice_bytes, magnification):
        compare_run(run, slices, rows, correlate, values)
    return values


class _Compiled:
    """Compares by compiled loops, and only what is asked for."""

    def __init__(
        self, poses: PosesToCompare, weighted: Weighted, ramps: Tensor, parents: PosePairs | None
    ) -> None:
        self._offsets = poses.offsets.numpy()
        self._powers = weighted.powers.numpy()
        self._images, self._ramps = (
            torch.cat((both.real, both.imag), 1).numpy() for both in (weighted.images, ramps)
        )
        self._value_start = poses.value_start.tolist()
        self._marks = np.zeros(0, bool) if parents is None else parents.pairs.numpy()
        images = len(self._value_start) - 1
        self._mark_start = [0] * images if parents is None else parents.pair_start.tolist()

    def __call__(self, run: Run, slices: Tensor, rows: Tensor, correlate: bool, values: Tensor) -> None:
        kernel_threads.use_torch_threads()
        halves = np.empty(len(rows), np.float32)
        fine_kernels.half_power(slices.numpy(), rows.numpy(), run.image_of_row.numpy(), self._powers, halves)
        fine_kernels.compare_rows(
            slices.numpy(),
            rows.numpy(),
            halves,
            self._chunks(run),
            self._offsets,
            self._marks,
            self._ramps,
            self._images,
            correlate,
            values.numpy(),
        )

    def _chunks(self, run: Run) -> np.ndarray:
        """Return what `fine_kernels.compare_rows` works off, each by itself."""
        chunks = []
        for piece in run.pieces:
            b, first_offset, last_offset = piece.image, piece.offsets.start, piece.offsets.stop
            width = last_offset - first_offset
            own = (piece.values.start - self._value_start[b]) // width
            # Cut where fours of the image's own rows begin: those are compared together.
            cuts = range(
                own - own % 4 + fine_kernels.CHUNK_ROWS, own + _length(piece.rows), fine_kernels.CHUNK_ROWS
            )
            for begin, end in pairwise((own, *cuts, own + _length(piece.rows))):
                first = piece.rows.start + begin - own
                value = piece.values.start + (begin - own) * width
                mark = self._mark_start[b]
                chunks.append((first, first + end - begin, b, first_offset, last_offset, value, begin, mark))
        return np.array(chunks, np.int64).reshape(-1, 8)


class _Products:
    """Compares by matrix products of all of an image's slices with all its moved copies: for any device."""

    def __init__(self, poses: PosesToCompare, weighted: Weighted, ramps: Tensor) -> None:
        self._offsets, self._weighted, self._ramps = poses.offsets, weighted, ramps
        self._last, self._moved = -1, torch.empty(0)

    def __call__(self, run: Run, slices: Tensor, rows: Tensor, correlate: bool, values: Tensor) -> None:
        gathered = slices.index_select(0, rows)
        halves = half_power_on_device(gathered, run.image_of_row, self._weighted.powers)
        for piece in run.pieces:
            if piece.image != self._last:
                moved = self._ramps[self._offsets[piece.offsets]] * self._weighted.images[piece.image]
                self._last, self._moved = piece.image, torch.cat((moved.real, moved.imag), 1)
            place = values[piece.values].view(-1, len(self._moved))
            torch.mm(gathered[piece.rows], self._moved.T, out=place)
            if correlate:
                place /= (2 * halves[piece.rows] + 1e-30).sqrt()[:, None]
            else:
                place -= halves[piece.rows, None]


def half_power_on_device(slices: Tensor, image_of_row: Tensor, powers: Tensor) -> Tensor:
    """Return half the power of slices ``(R, 2P)`` as their images see it, ``(R,)``."""
    return 0.5 * (slices.view(len(slices), 2, -1).square().sum(1) * powers[image_of_row]).sum(1)


def _length(part: slice) -> int:
    return int(part.stop - part.start)
