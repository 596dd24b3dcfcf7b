"""One denoising that somebody looks at: which step comes next, and what there is to show."""

from __future__ import annotations

import time
from collections.abc import Iterator

from torch import Tensor

from blushcore.denoiser import Denoiser, MapDenoising, Slab, Slice, slice_is_exact, slice_of_result
from blushcore.interactive.arrays import ArrayFolder
from blushcore.interactive.messages import Denoise, Done, Event, SliceInView, SlicePicture, Working
from blushcore.protocol import BlushError

_PICTURES_APART_SECONDS = 0.25
_SLABS_KEPT = 8


class Work:
    """A `Denoise` request under way.

    ``next(work.steps())`` does a step (a block, a tile of a slab) and says what there is to say; between two
    steps the worker listens. In a preview, whoever looks on first gets the slab around the slice, then the
    blocks that cross it, and then the work waits for another slice.

    Parameters
    ----------
    request
        What is wanted.
    denoising, denoiser
        The map on its way, asking `slice_in_focus` of this work, and its network.
    folder
        For the pictures and results.
    """

    def __init__(
        self, request: Denoise, denoising: MapDenoising, denoiser: Denoiser, folder: ArrayFolder
    ) -> None:
        self.id, self.request = request.id, request.request
        self._request = request
        self._denoising = denoising
        self._denoiser = denoiser
        self._folder = folder
        self._focus: Slice | None = None
        self._slabs: list[Slab] = []
        self._last_picture = -float("inf")
        self._shown: tuple[int, int, int, int] | None = None
        self._started = time.monotonic()
        self.result: Tensor | None = None
        """The denoised map, once it is done."""
        self.idle = False
        """Whether there is nothing to do, or to show, before somebody looks elsewhere."""
        self.look_at(request.focus)

    @property
    def finished(self) -> bool:
        """Whether the whole map is done."""
        return self.result is not None

    def look_at(self, focus: SliceInView | None) -> None:
        """Let the slice that somebody looks at come first. One outside the map is none."""
        self._focus, self.idle = None, False
        if focus is not None and 0 <= focus.index < self._denoising.shape[focus.axis]:
            self._focus = Slice(focus.axis, focus.index, focus.centre)

    def slice_in_focus(self) -> Slice | None:
        """Return the slice that somebody looks at."""
        return self._focus

    def steps(self) -> Iterator[list[Event]]:
        """Work step by step; each gives what is to be said. Ends with the map, if that was asked for."""
        yield [self._progress(None), *self._picture(force=True)]
        while self._request.mode == "preview" or self._denoising.left:
            if self._request.mode == "preview" and not self._missing():
                self.idle = True
                yield self._picture(force=True)
            elif self._request.mode == "preview" and (slab := self._slab_to_do()) is not None:
                next(slab.run(self._denoising, self._denoiser))
                yield self._picture(force=slab.whole)
            else:
                yield from self._blocks()
        yield self._picture(force=True)
        yield [self._done()]

    def _blocks(self) -> Iterator[list[Event]]:
        """Blocks, until there is something better to do."""
        began, before = time.monotonic(), len(self._denoising.left)
        run = self._denoising.run()
        next(run)  # says where things stand
        for _ in run:
            done = before - len(self._denoising.left)
            yield [self._progress((time.monotonic() - began) / done), *self._picture(force=False)]
            if self._request.mode == "preview" and (not self._missing() or self._slab_to_do() is not None):
                return

    def _missing(self) -> int:
        """Blocks missing in what was asked for: the slice in view, or the map."""
        if self._request.mode == "full":
            return len(self._denoising.left)
        if self._focus is None:
            return 0
        return len(self._denoising.across(self._focus) & self._denoising.left)

    def _slab(self) -> Slab | None:
        """Return a slab that serves the slice in view; a whole one if there is one."""
        focus = self._focus
        serving = [slab for slab in self._slabs if focus and slab.serves(self._denoising, focus)]
        return max(serving, key=lambda slab: slab.whole, default=None)

    def _slab_to_do(self) -> Slab | None:
        """Return the slab that is to be computed next; None where blocks or a slab are there already."""
        if self._focus is None or not self._missing():
            return None
        slab = self._slab()
        if slab is None:
            slab = Slab(self._denoising, self._focus)
            self._slabs = [*self._slabs[1 - _SLABS_KEPT :], slab]
        return None if slab.whole else slab

    def _progress(self, seconds_a_block: float | None) -> Event:
        total = len(self._denoising.tiling.origins)
        if self._request.mode == "preview":
            total = len(self._denoising.across(self._focus)) if self._focus else 0
        missing = self._missing()
        eta = None if seconds_a_block is None else missing * seconds_a_block
        return Working(id=self.id, stage="denoising", done=total - missing, total=total, eta_seconds=eta)

    def _picture(self, *, force: bool) -> list[Event]:
        """Return the slice in view, if it shows something new and the last one is long enough ago."""
        focus, denoising = self._focus, self._denoising
        if focus is None:
            return []
        across = denoising.across(focus)
        missing = len(across & denoising.left)
        slab = self._slab() if missing else None
        # A picture of the bare input is none: whoever looks on has that.
        if missing == len(across) and (slab is None or not slab.tiles_done):
            return []
        shown = (focus.axis, focus.index, len(denoising.left), 0 if slab is None else slab.tiles_done)
        if shown == self._shown:
            return []
        elsewhere = self._shown is None or self._shown[:2] != shown[:2]
        now = time.monotonic()
        if not (force or elsewhere or now - self._last_picture > _PICTURES_APART_SECONDS):
            return []
        array = slice_of_result(denoising, focus, slab).numpy()
        event = SlicePicture(
            id=self.id,
            axis=focus.axis,
            index=focus.index,
            path=self._folder.write(array, "slice"),
            blocks_done=len(across) - missing,
            blocks_total=len(across),
            whole=not missing or (slab is not None and slab.whole),
            approximate=not slice_is_exact(denoising, focus),
        )
        self._shown, self._last_picture = shown, now
        return [event]

    def _done(self) -> Event:
        result, info = self._denoising.result(), self._denoiser.info
        assert info is not None  # `Denoiser.load` always has it
        map_path = self._folder.write(result.map.numpy(), "map")
        try:
            mask_path = self._folder.write(result.mask.numpy(), "mask")
        except BlushError:
            map_path.unlink(missing_ok=True)
            raise
        self.result = result.map
        return Done(
            id=self.id,
            key=self._request.key,
            map_path=map_path,
            mask_path=mask_path,
            figures={
                "weights": info.name,
                "weights_version": info.version,
                "weights_sha256": info.sha256,
                "device": str(self._denoiser.device),
                "precision": str(self._denoiser.dtype).removeprefix("torch."),
                "diameter_angstrom": self._request.settings.diameter,
                "blocks": result.blocks,
                "seconds": round(time.monotonic() - self._started, 2),
            },
        )
