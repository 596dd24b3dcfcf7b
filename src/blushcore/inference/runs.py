"""The slices that images ask for, in runs small enough to stay in the processor's cache.

Each image of a tile has its own list of orientations. Where images share many, each slice is made once for all
that need it; where they share few, that would cost more than it saves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from blushcore.inference.poses_kept import PosesToCompare
from blushcore.inference.views import Views
from blushcore.shells import PlaneComponents

_WORTH_SHARING = 0.6
"""Share of different orientations among all that are asked for, below which slices are shared."""
_RUN_BYTES = 8 << 20
"""Of a run's slices on the CPU: larger ones leave the cache, and the system hands out their memory anew."""
_LEAST_ROWS = 32


@dataclass(frozen=True)
class Piece:
    """What belongs to one image: its rows of a run, its offsets, its place among the values."""

    image: int
    rows: slice
    offsets: slice
    values: slice


@dataclass(frozen=True)
class Run:
    """Orientations of one image after the other.

    Attributes
    ----------
    orientations
        int64 ``(R,)``.
    image_of_row
        int64 ``(R,)``.
    pieces
        By image.
    """

    orientations: Tensor
    image_of_row: Tensor
    pieces: list[Piece]


def slices_of_runs(
    views: Views,
    plane: PlaneComponents,
    poses: PosesToCompare,
    slice_bytes: int,
    magnification: Tensor | None,
) -> Iterator[tuple[Run, Tensor, Tensor]]:
    """Yield runs with slices, float32 ``(U, 2P)``, real parts first, and which of them each row is, ``(R,)``.

    Parameters
    ----------
    views, plane
        The references in all orientations, and the components.
    poses
        Of each image.
    slice_bytes
        Memory for all of it; on the CPU runs are smaller, and each overwrites the one before.
    magnification
        As for slices.
    """
    row_bytes = 8 * plane.count
    most_rows = max(1, slice_bytes // row_bytes)
    different = torch.unique(poses.orientations)
    if len(different) > _WORTH_SHARING * len(poses.orientations):
        run_rows = _run_rows(row_bytes, most_rows, views.device)
        buffer = torch.empty(run_rows, 2 * plane.count, device=views.device)
        for run in _runs(different, poses, run_rows):
            slices = views.slices_real(
                run.orientations,
                poses.oversampling,
                plane,
                magnification=magnification,
                out=buffer[: len(run.orientations)],
            )
            yield run, slices, torch.arange(len(slices), device=views.device)
        return
    run_rows = _run_rows(row_bytes, max(1, most_rows // 2), views.device)
    for block in torch.split(different, max(8, most_rows // 2)):
        shared = views.slices_real(block, poses.oversampling, plane, magnification=magnification)
        for run in _runs(block, poses, run_rows):
            yield run, shared, torch.searchsorted(block, run.orientations)


def _run_rows(row_bytes: int, most_rows: int, device: torch.device) -> int:
    if device.type == "cpu":
        most_rows = min(most_rows, max(_LEAST_ROWS, _RUN_BYTES // row_bytes))
    return most_rows


def _runs(block: Tensor, poses: PosesToCompare, most_rows: int) -> Iterator[Run]:
    """Yield what each image has in `block`, in runs of no more than so many rows."""
    limits = np.array([int(block[0]), int(block[-1]) + 1])
    listed = poses.orientations.cpu().numpy()
    o_start, t_start, v_start = (
        start.tolist() for start in (poses.orientation_start, poses.offset_start, poses.value_start)
    )
    pieces: list[Piece] = []
    sources: list[slice] = []
    used = 0

    def run() -> Run:
        numbers = torch.tensor([piece.image for piece in pieces])
        counts = torch.tensor([source.stop - source.start for source in sources])
        orientations = torch.cat([poses.orientations[source] for source in sources])
        return Run(orientations, numbers.repeat_interleave(counts).to(block.device), list(pieces))

    for b in range(len(o_start) - 1):
        begin, width = o_start[b], t_start[b + 1] - t_start[b]
        first, last = (np.searchsorted(listed[begin : o_start[b + 1]], limits) + begin).tolist()
        while first < last:
            if used and most_rows - used < min(last - first, _LEAST_ROWS):
                yield run()
                pieces, sources, used = [], [], 0
            count = min(last - first, most_rows - used)
            place = v_start[b] + (first - begin) * width
            pieces.append(
                Piece(
                    b,
                    slice(used, used + count),
                    slice(t_start[b], t_start[b + 1]),
                    slice(place, place + count * width),
                )
            )
            sources.append(slice(first, first + count))
            used += count
            first += count
    if used:
        yield run()
