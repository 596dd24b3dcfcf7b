"""A denoising as somebody at a viewer goes through it: its states and results, without any widget."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from blushcore.interactive.messages import (
    Cancel,
    Cancelled,
    Compare,
    Compared,
    Denoise,
    DenoiseSettings,
    Describe,
    Described,
    Done,
    Event,
    Failed,
    Focus,
    Load,
    Loaded,
    Prepare,
    Prepared,
    Ready,
    Release,
    SliceInView,
    SlicePicture,
    Working,
)
from blushcore.protocol import BlushError
from blushcore.volumes import Volume
from napari_blush.background import Background
from napari_blush.denoise_results import Fsc, Result
from napari_blush.denoise_states import Failure, Picture, ProgressOfAll, State, Worker


class DenoiseSession:
    """One map or pair of half-maps, its previews, its results.

    Whoever owns the worker passes its events to `on_event` and its death to `on_death`, in one thread; the
    session never blocks: files are read and written by `background`.

    Parameters
    ----------
    worker
        The worker process, which the session starts and stops.
    background
        For what takes longer than a frame.
    """

    state_changed = Signal(State)
    progressed = Signal(ProgressOfAll)
    picture_came = Signal(Picture)
    """A slice of the preview; what is shown of the map so far holds it from now on."""
    result_came = Signal(Result)
    """The newest of `history`."""
    fsc_came = Signal(Fsc)
    """Of the newest result; only for two halves."""
    map_loaded = Signal()
    """`estimated_diameter` and `warnings` are known now."""
    described = Signal(Described)
    """Devices and weights, the predicted peak for the map in hand."""
    prepared = Signal(Prepared)
    noted = Signal(str)
    """A sentence that changes nothing in the state."""

    def __init__(self, worker: Worker, background: Background) -> None:
        self._worker = worker
        self._background = background
        self._state = State.EMPTY
        self._settings = DenoiseSettings()
        self._sources: tuple[Volume, ...] = ()
        self._mask: Volume | None = None
        self._names: tuple[str, ...] = ()
        self._generation = 0
        self._work = 0
        self._loading: set[str] = set()
        self._in_worker = False
        self._focus: SliceInView | None = None
        self._preview_id: str | None = None
        self._full_ids: list[str] = []
        self._full_settings = self._settings
        self._parts: list[_Part] = []
        self._results_folder = Path(tempfile.mkdtemp(prefix="blush-results-"))
        self.history: list[Result] = []
        self.failure: Failure | None = None
        self.estimated_diameter: float | None = None
        self.warnings: tuple[str, ...] = ()
        self.facts: Described | None = None

    # --- what is there ----------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """Where the session stands."""
        return self._state

    @property
    def sources(self) -> tuple[Volume, ...]:
        """The maps in hand: none, one, or two halves."""
        return self._sources

    @property
    def names(self) -> tuple[str, ...]:
        """Their names."""
        return self._names

    @property
    def can_work(self) -> bool:
        """Whether a map is in the worker's memory."""
        return self._in_worker

    @property
    def settings(self) -> DenoiseSettings:
        """With what to denoise. A preview follows a change at once."""
        return self._settings

    @settings.setter
    def settings(self, settings: DenoiseSettings) -> None:
        if settings == self._settings:
            return
        network_changed = _network(settings) != _network(self._settings)
        self._settings = settings
        if self._state is State.PREVIEWING:
            self._begin_preview()
        elif network_changed and self._state is not State.RUNNING:
            self.prepare()

    # --- what somebody does -----------------------------------------------------------------------------------

    def warm_up(self) -> None:
        """Start the worker, ask what there is, and let it load the network."""
        self._worker.start()
        self._worker.tell(Describe())
        self.prepare()

    def prepare(self) -> None:
        """Let the worker load the network of the settings."""
        self._worker.tell(Prepare(settings=self._settings))

    def open(self, sources: Sequence[Volume], names: Sequence[str], mask: Volume | None = None) -> None:
        """Take other maps in hand: one, or two halves on one grid. Results stay in the history.

        Parameters
        ----------
        sources, names
            The maps and what they are called.
        mask
            A soft mask on their grid to be used together with the sphere.

        Raises
        ------
        BlushError
            If the maps are not on one grid.
        """
        for other in [*sources[1:], *([mask] if mask is not None else [])]:
            _require_same_grid(sources[0], other)
        self._stop_work()
        self._sources, self._names, self._mask = tuple(sources), tuple(names), mask
        self.estimated_diameter, self.warnings = None, ()
        if sources:
            self._load()
        else:
            self._release()
            self._set_state(State.EMPTY)

    def look_at(self, focus: SliceInView | None) -> None:
        """Say which slice is in view; its blocks come first. None: none, as in 3D."""
        if focus == self._focus:
            return
        self._focus = focus
        work = self._preview_id or (self._full_ids[-1] if self._full_ids else None)
        if work is not None:
            self._worker.tell(Focus(id=work, focus=focus))

    def preview(self, on: bool) -> None:
        """Denoise what is in view, following `look_at`; or stop doing so."""
        if on and self._in_worker:
            self._begin_preview()
        elif self._state is State.PREVIEWING:
            self._stop_work()
            self._set_state(State.READY)

    def denoise(self) -> None:
        """Denoise the whole map, or both halves one after the other."""
        if not self._in_worker:
            return
        self._stop_work()
        self._full_settings = self._settings
        self._set_state(State.RUNNING)
        self._begin_part()

    def cancel(self) -> None:
        """Stop at once; the blocks that are done are kept for the next time."""
        if self._state is State.RUNNING:
            self._stop_work()
            self._set_state(State.CANCELLED)
        elif self._state is State.PREVIEWING:
            self.preview(False)

    def restart(self) -> None:
        """Start a new worker in place of one that crashed, and load the maps again."""
        self._stop_work()
        self._worker.stop()
        self.warm_up()
        if self._sources:
            self._load()
        else:
            self._set_state(State.EMPTY)

    def forget(self, result: Result) -> None:
        """Take a result out of the history, and its maps off the disk."""
        self.history.remove(result)
        for array in result.maps:
            # Where a mapped file cannot be removed, it goes with the session's folder.
            with contextlib.suppress(OSError):
                Path(str(getattr(array, "filename", ""))).unlink(missing_ok=True)

    def close(self) -> None:
        """End the worker and remove all files. The session is of no use afterwards."""
        self._generation += 1
        self._worker.stop()
        self._background.close()
        self.history.clear()
        self._parts.clear()
        shutil.rmtree(self._results_folder, ignore_errors=True)

    # --- loading ----------------------------------------------------------------------------------------------

    def _load(self) -> None:
        self._worker.start()
        self._release()
        self._generation += 1
        generation, folder = self._generation, self._worker.folder
        volumes = {self._key(index): volume for index, volume in enumerate(self._sources)}
        self._loading = set(volumes)
        if self._mask is not None:
            volumes[self._mask_key] = self._mask
            self._loading.add(self._mask_key)
        self._set_state(State.LOADING)

        def write() -> dict[str, Path]:
            paths = {key: folder / f"{key}.npy" for key in volumes}
            for key, path in paths.items():
                np.save(path, volumes[key].data)
            return paths

        def load(paths: dict[str, Path]) -> None:
            if generation != self._generation:
                return
            for key, path in paths.items():
                role = "mask" if key == self._mask_key else "map"
                self._worker.tell(
                    Load.model_validate(
                        {"key": key, "path": path, "voxel_size": volumes[key].voxel_size, "role": role}
                    )
                )

        def failed(error: Exception) -> None:
            if generation == self._generation:
                self._fail(Failure(f"The map could not be handed to the worker: {error}.", "Is the disk full?"))

        self._background.run(write, load, failed)

    def _release(self) -> None:
        """Let the worker forget the maps in hand."""
        if self._in_worker:
            for index in range(2):
                self._worker.tell(Release(key=self._key(index)))
        self._in_worker = False

    def _key(self, index: int) -> str:
        return f"{self._generation}-map{index + 1}"

    @property
    def _mask_key(self) -> str:
        return f"{self._generation}-mask"

    # --- work -------------------------------------------------------------------------------------------------

    def _new_id(self) -> str:
        self._work += 1
        return f"work-{self._work}"

    def _request(self, work: str, index: int, mode: str, settings: DenoiseSettings) -> Denoise:
        return Denoise.model_validate(
            {
                "id": work,
                "key": self._key(index),
                "settings": settings,
                "mask": None if self._mask is None else self._mask_key,
                "mode": mode,
                "focus": self._focus if index == 0 else None,
            }
        )

    def _begin_preview(self) -> None:
        self._stop_work()
        self._preview_id = self._new_id()
        self._worker.tell(self._request(self._preview_id, 0, "preview", self._settings))
        self._set_state(State.PREVIEWING)

    def _begin_part(self) -> None:
        self._full_ids.append(self._new_id())
        self._worker.tell(self._request(self._full_ids[-1], len(self._parts), "full", self._full_settings))

    def _stop_work(self) -> None:
        """Tell the worker to stop; what it still says of that work is not heard."""
        for work in (self._preview_id, *self._full_ids[-1:]):
            if work is not None:
                self._worker.tell(Cancel(id=work))
        self._preview_id = None
        self._full_ids = []
        for part in self._parts:
            part.map_path.unlink(missing_ok=True)
            part.mask_path.unlink(missing_ok=True)
        self._parts = []

    # --- what the worker says ---------------------------------------------------------------------------------

    def on_event(self, event: Event) -> None:
        """Take an event of the worker."""
        match event:
            case Ready() | Cancelled():
                pass
            case Loaded():
                self._on_loaded(event)
            case Prepared():
                self.prepared.emit(event)
            case Described():
                self.facts = event
                self.described.emit(event)
            case Working():
                self._on_progress(event)
            case SlicePicture():
                self._on_picture(event)
            case Done():
                self._on_done(event)
            case Compared():
                self._on_compared(event)
            case Failed():
                self._on_failed(event)

    def on_death(self, problem: str, remedy: str) -> None:
        """Take note that the worker is gone without having been told to."""
        self._in_worker = False
        self._preview_id, self._full_ids = None, []
        self._fail(Failure(problem, remedy, crashed=True, details=self._worker.details))

    def _on_loaded(self, event: Loaded) -> None:
        if event.key not in self._loading:
            return
        self._loading.remove(event.key)
        (self._worker.folder / f"{event.key}.npy").unlink(missing_ok=True)
        self.warnings += event.warnings
        if event.key == self._key(0):
            self.estimated_diameter = event.estimated_diameter
        if not self._loading:
            self._in_worker = True
            self._worker.tell(Describe(key=self._key(0)))
            self._set_state(State.READY)
            self.map_loaded.emit()

    def _on_progress(self, event: Working) -> None:
        if event.id == self._preview_id:
            self.progressed.emit(ProgressOfAll(event.done, event.total, event.eta_seconds))
        elif self._full_ids and event.id == self._full_ids[-1]:
            parts, before = len(self._sources), len(self._parts)
            eta, left = event.eta_seconds, event.total - event.done
            if eta is not None and left:
                eta += eta / left * event.total * (parts - before - 1)
            self.progressed.emit(ProgressOfAll(before * event.total + event.done, parts * event.total, eta))

    def _on_picture(self, event: SlicePicture) -> None:
        wanted = event.id == self._preview_id or (event.id in self._full_ids and not self._parts)
        values = np.load(event.path) if wanted and event.path.exists() else None
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

    def _on_done(self, event: Done) -> None:
        if not self._full_ids or event.id != self._full_ids[-1]:
            event.map_path.unlink(missing_ok=True)
            event.mask_path.unlink(missing_ok=True)
            return
        self._parts.append(_Part(event.id, event.map_path, event.mask_path, dict(event.figures)))
        if len(self._parts) < len(self._sources):
            self._begin_part()
            return
        parts, self._parts, self._full_ids = self._parts, [], []
        number = 1 + max((result.number for result in self.history), default=0)
        folder, settings = self._results_folder, self._full_settings
        sources, names, generation = self._sources, self._names, self._generation
        if len(parts) == 2:
            first, second = parts
            halves = (self._key(0), self._key(1))
            self._worker.tell(Compare(id=first.id, halves=halves, results=(first.id, second.id)))

        def gather() -> Result:
            maps = tuple(_kept(part.map_path, folder / f"{part.id}.npy") for part in parts)
            masks = [np.load(part.mask_path) for part in parts]
            for part in parts:
                part.mask_path.unlink()
            mask = np.asarray(np.mean(masks, axis=0), dtype=np.float32)
            return Result(number, names, sources, maps, mask, settings, _joined([p.figures for p in parts]))

        def keep(result: Result) -> None:
            self.history.append(result)
            if generation == self._generation and self._state is State.RUNNING:
                self._set_state(State.DONE)
            self.result_came.emit(result)

        def failed(error: Exception) -> None:
            self._fail(Failure(f"The result could not be read: {error}.", "Denoise again."))

        self._background.run(gather, keep, failed)

    def _on_compared(self, event: Compared) -> None:
        if event.after is not None:
            fsc = Fsc(event.box_size_angstrom, event.before, event.after)
            # Behind the result itself, which is still being read.
            self._background.run(lambda: fsc, self.fsc_came.emit, lambda _: None)

    def _on_failed(self, event: Failed) -> None:
        match event.request:
            case "load" if event.id in self._loading:
                self._loading = set()
                self._fail(Failure(event.problem, event.remedy, details=self._worker.details))
            case "denoise" if event.id == self._preview_id or event.id in self._full_ids:
                self._preview_id, self._full_ids = None, []
                self._fail(Failure(event.problem, event.remedy, details=self._worker.details))
            case "prepare" if self._state in (State.READY, State.CANCELLED, State.DONE):
                self._fail(Failure(event.problem, event.remedy))
            case "prepare" | "compare" | "describe" | "?":
                self.noted.emit(f"{event.problem} {event.remedy}".strip())

    def _fail(self, failure: Failure) -> None:
        self.failure = failure
        self._set_state(State.FAILED)

    def _set_state(self, state: State) -> None:
        if state is not State.FAILED:
            self.failure = None
        self._state = state
        self.state_changed.emit(state)


@dataclass(frozen=True)
class _Part:
    """One finished map of a result that may have two."""

    id: str
    map_path: Path
    mask_path: Path
    figures: dict[str, Any]


def _kept(path: Path, place: Path) -> NDArray[np.float32]:
    """Move an array out of the worker's folder and map it."""
    shutil.move(path, place)
    array: NDArray[np.float32] = np.load(place, mmap_mode="r")
    return array


def _joined(figures: list[dict[str, Any]]) -> dict[str, Any]:
    """Figures of all parts: those of the first, with the times and blocks of all."""
    sums = {name: sum(each.get(name) or 0 for each in figures) for name in ("seconds", "blocks")}
    return {**figures[0], **sums}


def _network(settings: DenoiseSettings) -> tuple[str | None, str, str]:
    return settings.weights, settings.device, settings.precision


def _require_same_grid(one: Volume, other: Volume) -> None:
    if one.shape != other.shape or not np.allclose(one.voxel_size, other.voxel_size, rtol=1e-3, atol=0):
        grids = [
            f"{' × '.join(str(n) for n in reversed(volume.shape))} voxels of {volume.voxel_size[2]:.4g} Å"
            for volume in (one, other)
        ]
        raise BlushError(f"The maps are not on one grid: {grids[0]} and {grids[1]}.", "Resample one of them.")
