"""The images of a set of particles, read in bounded memory ahead of need."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np

from blushcore.particles.ahead import made_ahead
from blushcore.particles.image_faults import ImageFaults, faults_of, joined_faults
from blushcore.particles.stack_files import StackFiles, check_stacks
from blushcore.protocol import BlushError

if TYPE_CHECKING:
    import torch
    from numpy.typing import ArrayLike, NDArray

    from blushcore.particles.particle_table import ParticleTable


class ImageReader:
    """Gives the images of a table as float32, in batches of one optics group.

    Every image is looked at when it is read first: one with NaN, or constant, ends the iteration with a
    BlushError that names its row. `survey` finds all of them beforehand and lets the caller decide.
    Several iterations may go on at once, each with its own thread and files.

    Parameters
    ----------
    table
        The particles; its ``rlnImageSize`` is checked against the stacks.
    keep_bytes
        Budget for keeping images: if those of `rows` fit, they are kept in memory as they are read (in the
        files' own number type), and each is read once.
    rows
        Positions in the table that will be asked for; all by default. Only matters for what fits.

    Attributes
    ----------
    box
        (G,) int64: pixels of each optics group's images.
    kept_bytes
        What keeping takes; 0 if it does not fit.
    warnings
        Sentences for the user.

    Raises
    ------
    BlushError
        If a stack is missing, truncated before an image that a row needs, or has images of a wrong size; with
        the rows concerned.
    """

    def __init__(self, table: ParticleTable, *, keep_bytes: int = 0, rows: ArrayLike | None = None) -> None:
        self.table = table
        checked = check_stacks(table)
        self.box, self.warnings = checked.box, checked.warnings
        self._stacks = checked.stacks
        self._looked_at = np.zeros(len(table), bool)
        self._is_kept = np.zeros(len(table), bool)
        self._kept: list[NDArray[np.generic]] | None = None
        self._place = np.full(len(table), -1, np.int64)
        self.kept_bytes = self._make_room(
            np.arange(len(table)) if rows is None else np.asarray(rows), keep_bytes
        )

    def batches(
        self,
        rows: ArrayLike | None = None,
        *,
        batch_size: int,
        read_ahead: int = 2,
        order: Literal["file", "given"] = "file",
    ) -> Iterator[tuple[NDArray[np.int64], torch.Tensor]]:
        """Yield (rows (B,) int64, images (B, n, n) float32) until all rows have come once.

        One background thread reads at most ``read_ahead`` batches ahead of the one in the caller's hands and
        fills one more (`batch_bytes` says what that takes); it ends when the iteration is finished or closed.
        The tensors are the caller's.

        Parameters
        ----------
        rows
            Positions in the table; all by default.
        batch_size
            At most so many images a batch. A batch holds images of one optics group.
        read_ahead
            0 reads in the caller's thread, when asked.
        order
            ``file``: group by group, in the order of stacks and of images in them, which is quickest to read.
            ``given``: group by group, else as given.

        Raises
        ------
        BlushError
            If an image cannot be read (any more), or has NaN, one value everywhere, or absurd values; its
            row is named.
        """
        import torch

        wanted = np.arange(len(self.table)) if rows is None else np.asarray(rows, np.int64)
        plan = self._planned(wanted, batch_size, order)
        made = self._made(plan, look=True)
        with contextlib.closing(made_ahead(made, read_ahead) if read_ahead > 0 else made) as made:
            for batch, images in made:
                yield batch, torch.from_numpy(images)

    def images(self, rows: ArrayLike) -> torch.Tensor:
        """Return the images (B, n, n) of rows of one optics group, in the order given.

        Raises
        ------
        BlushError
            As `batches`.
        """
        import torch

        wanted = np.atleast_1d(np.asarray(rows, np.int64))
        if len(np.unique(self.table.optics_index[wanted])) > 1:
            raise ValueError("rows of several optics groups")
        with contextlib.closing(StackFiles(self._stacks)) as files:
            images = self._read(wanted, files)
        self._refuse_faults(wanted, images)
        return torch.from_numpy(images)

    def survey(
        self,
        rows: ArrayLike | None = None,
        *,
        batch_size: int = 64,
        progress: Callable[[int, int], None] | None = None,
    ) -> ImageFaults:
        """Look at all images (or those of `rows`) once and return those that cannot be used.

        Images that are kept are read by it, so that the first pass over them costs nothing more.

        Parameters
        ----------
        progress
            Called after each batch with images done and to do; may raise to end the survey.

        Raises
        ------
        BlushError
            If an image cannot be read.
        """
        wanted = np.arange(len(self.table)) if rows is None else np.asarray(rows, np.int64)
        found: list[ImageFaults] = []
        done = 0
        plan = self._planned(wanted, batch_size, "file")
        with contextlib.closing(made_ahead(self._made(plan, look=False), 2)) as made:
            for batch, images in made:
                faults = faults_of(images, batch)
                found.append(faults)
                self._looked_at[np.setdiff1d(batch, faults.rows)] = True
                done += len(batch)
                if progress is not None:
                    progress(done, len(wanted))
        return joined_faults(found)

    def batch_bytes(self, batch_size: int, read_ahead: int = 2) -> int:
        """Memory that one iteration holds at most: batches ahead, the one being filled and the caller's."""
        return (read_ahead + 2) * batch_size * int(self.box.max()) ** 2 * 4

    def _make_room(self, rows: NDArray[np.int64], budget: int) -> int:
        """Set up what images are kept in, if they fit; return how much it takes."""
        groups = self.table.optics_index[rows]
        kept: list[tuple[int, np.dtype[np.generic]]] = []
        place = np.full(len(self.table), -1, np.int64)
        for group in range(len(self.box)):
            members = np.unique(rows[groups == group])
            place[members] = np.arange(len(members))
            types = {
                self._stacks[stack].value_type for stack in np.unique(self.table.stacks.stack_of_row[members])
            }
            common = types.pop().newbyteorder("=") if len(types) == 1 else np.dtype(np.float32)
            kept.append((len(members), common))
        needed = sum(n * int(box) ** 2 * dtype.itemsize for (n, dtype), box in zip(kept, self.box, strict=True))
        if needed == 0 or needed > budget:
            return 0
        self._place = place
        self._kept = [np.empty((n, box, box), dtype) for (n, dtype), box in zip(kept, self.box, strict=True)]
        return needed

    def _planned(
        self, rows: NDArray[np.int64], batch_size: int, order: Literal["file", "given"]
    ) -> list[NDArray[np.int64]]:
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}")
        groups = self.table.optics_index[rows]
        if order == "file":
            names = self.table.stacks
            rows = rows[np.lexsort((rows, names.index_in_stack[rows], names.stack_of_row[rows], groups))]
        else:
            rows = rows[np.argsort(groups, kind="stable")]
        groups = self.table.optics_index[rows]
        plan = []
        for group in np.unique(groups):
            members = rows[groups == group]
            plan += [members[start : start + batch_size] for start in range(0, len(members), batch_size)]
        return plan

    def _made(
        self, plan: list[NDArray[np.int64]], *, look: bool
    ) -> Generator[tuple[NDArray[np.int64], NDArray[np.float32]], None, None]:
        with contextlib.closing(StackFiles(self._stacks)) as files:
            for rows in plan:
                images = self._read(rows, files)
                if look:
                    self._refuse_faults(rows, images)
                yield rows, images

    def _read(self, rows: NDArray[np.int64], files: StackFiles) -> NDArray[np.float32]:
        """Return images of rows of one optics group, from memory or from their stacks, in runs."""
        group = int(self.table.optics_index[rows[0]])
        n = int(self.box[group])
        images = np.empty((len(rows), n, n), np.float32)
        there = self._is_kept[rows]
        if self._kept is not None and there.any():
            images[there] = self._kept[group][self._place[rows[there]]]
        names = self.table.stacks
        from_file = np.flatnonzero(~there)
        stack, index = names.stack_of_row[rows[from_file]], names.index_in_stack[rows[from_file]]
        breaks = np.flatnonzero((np.diff(stack) != 0) | (np.diff(index) != 1) | (np.diff(from_file) != 1)) + 1
        for run in np.split(np.arange(len(from_file)), breaks):
            if len(run) == 0:
                continue
            out = images[from_file[run[0]] : from_file[run[-1]] + 1]
            try:
                files.read(int(stack[run[0]]), int(index[run[0]]), out)
            except (OSError, EOFError) as error:
                path = self._stacks[int(stack[run[0]])].path
                why = (
                    "does not exist any more"
                    if isinstance(error, FileNotFoundError)
                    else "can no longer be read"
                )
                detail = "" if isinstance(error, FileNotFoundError) else f" ({error})"
                raise BlushError(
                    f"{self.table.name_rows(rows[from_file[run]])}: {path} {why}{detail}.",
                    "Has it been moved or rewritten, or is a disk away? Put it back.",
                ) from error
        self._keep(rows[from_file], images[from_file] if len(from_file) < len(rows) else images)
        return images

    def _keep(self, rows: NDArray[np.int64], images: NDArray[np.float32]) -> None:
        if self._kept is None or len(rows) == 0:
            return
        room = self._place[rows] >= 0
        group = int(self.table.optics_index[rows[0]])
        self._kept[group][self._place[rows[room]]] = images[room]
        self._is_kept[rows[room]] = True

    def _refuse_faults(self, rows: NDArray[np.int64], images: NDArray[np.float32]) -> None:
        new = ~self._looked_at[rows]
        if not new.any():
            return
        faults = faults_of(images[new] if not new.all() else images, rows[new])
        if len(faults.rows):
            raise faults.error(self.table)
        self._looked_at[rows] = True
