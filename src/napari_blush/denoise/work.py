"""What the worker computes at the moment: a preview, or maps one after the other."""

from __future__ import annotations

import numpy as np
from psygnal import Signal

from blushcore.interactive.messages import (
    Cancel,
    Denoise,
    DenoiseSettings,
    Done,
    Focus,
    Mode,
    SliceInView,
    SlicePicture,
    Working,
)
from napari_blush.denoise.gathering import Gathering
from napari_blush.denoise.states import Picture, ProgressOfAll, Worker
from napari_blush.denoise.worker_maps import WorkerMaps


class Work:
    """The one thing that the worker is at; another takes its place, and what comes late of it is not heard.

    Parameters
    ----------
    worker
        Who is asked.
    maps
        On what.
    """

    progressed = Signal(ProgressOfAll)
    picture_came = Signal(Picture)
    completed = Signal(Gathering)
    """All maps that were asked for are done."""

    def __init__(self, worker: Worker, maps: WorkerMaps) -> None:
        self._worker = worker
        self._maps = maps
        self._count = 0
        self._focus: SliceInView | None = None
        self._preview_id: str | None = None
        self._gathering: Gathering | None = None

    def knows(self, name: str | None) -> bool:
        """Whether this is the work under way."""
        return name is not None and name == self._id

    @property
    def _id(self) -> str | None:
        return self._preview_id if self._gathering is None else self._gathering.id

    @property
    def is_under_way(self) -> bool:
        """Whether the worker is at something."""
        return self._id is not None

    # --- what is to be done -----------------------------------------------------------------------------------

    def look_at(self, focus: SliceInView | None) -> None:
        """Say which slice is in view; its blocks come first."""
        if focus == self._focus:
            return
        self._focus = focus
        if self._id is not None:
            self._worker.tell(Focus(id=self._id, focus=focus))

    def begin_preview(self, settings: DenoiseSettings) -> None:
        """Denoise what is in view of the first map, following `look_at`."""
        self.stop()
        self._preview_id = self._ask(0, "preview", settings)

    def begin_full(self, gathering: Gathering) -> None:
        """Denoise whole maps."""
        self.stop()
        self._gathering = gathering
        gathering.id = self._ask(0, "full", gathering.settings)

    def rename(self, names: tuple[str, ...]) -> None:
        """Call the maps that are being denoised something else."""
        if self._gathering is not None:
            self._gathering.names = names

    def stop(self) -> None:
        """Tell the worker to stop."""
        if self._id is not None:
            self._worker.tell(Cancel(id=self._id))
        self.forget()

    def forget(self) -> None:
        """Take note that nothing is under way any more."""
        gathering, self._gathering, self._preview_id = self._gathering, None, None
        if gathering is not None:
            gathering.drop()

    def _ask(self, index: int, mode: Mode, settings: DenoiseSettings) -> str:
        self._count += 1
        request = Denoise(
            id=f"work-{self._count}",
            key=self._maps.key(index),
            settings=settings,
            mask=self._maps.mask_key if self._maps.has_mask else None,
            mode=mode,
            focus=self._focus if index == 0 else None,
        )
        self._worker.tell(request)
        return request.id

    # --- what the worker says ---------------------------------------------------------------------------------

    def on_progress(self, event: Working) -> None:
        """Hear how far it has come."""
        if not self.knows(event.id):
            return
        if self._gathering is None:
            self.progressed.emit(ProgressOfAll(event.done, event.total, event.eta_seconds))
        else:
            self.progressed.emit(self._gathering.progress(event))

    def on_picture(self, event: SlicePicture) -> None:
        """Take a slice of the first map, and its file off the disk."""
        of_first = self._gathering is None or self._gathering.index == 0
        wanted = of_first and self.knows(event.id) and event.path.exists()
        values = np.load(event.path) if wanted else None
        event.path.unlink(missing_ok=True)
        if values is not None:
            self.picture_came.emit(
                Picture(
                    axis=event.axis,
                    index=event.index,
                    values=values,
                    blocks_done=event.blocks_done,
                    blocks_total=event.blocks_total,
                    whole=event.whole,
                    approximate=event.approximate,
                )
            )

    def on_done(self, event: Done) -> None:
        """Take a finished map, and go on with the next."""
        gathering = self._gathering
        if gathering is None or not self.knows(event.id):
            event.map_path.unlink(missing_ok=True)
            event.mask_path.unlink(missing_ok=True)
            return
        gathering.take(event)
        if gathering.is_complete:
            self._gathering = None
            self.completed.emit(gathering)
        else:
            gathering.id = self._ask(gathering.index, "full", gathering.settings)
