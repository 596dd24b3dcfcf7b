"""A denoising as somebody at a viewer goes through it: its states and results, without any widget."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from psygnal import Signal

from blushcore.interactive.messages import (
    Cancelled,
    Compared,
    DenoiseSettings,
    Describe,
    Described,
    Done,
    Event,
    Failed,
    Loaded,
    Prepare,
    Prepared,
    Ready,
    SliceInView,
    SlicePicture,
    Working,
)
from blushcore.volumes import Volume
from napari_blush.background import Background
from napari_blush.denoise.gathering import Gathering
from napari_blush.denoise.results import Fsc, Result
from napari_blush.denoise.states import Failure, Picture, ProgressOfAll, State, Worker
from napari_blush.denoise.store import MOST_RESULTS, ResultStore
from napari_blush.denoise.work import Work
from napari_blush.denoise.worker_maps import WorkerMaps
from napari_blush.layers.grids import require_one_grid


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
    """Of a result of two halves; see `fsc_of`."""
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
        self._maps = WorkerMaps(worker, background)
        self._maps.loaded.connect(self._on_maps_loaded)
        self._maps.failed.connect(self._fail)
        self._work = Work(worker, self._maps)
        self._work.progressed.connect(self.progressed.emit)
        self._work.picture_came.connect(self.picture_came.emit)
        self._store = ResultStore(worker, self._maps, background)
        self._work.completed.connect(self._store.take)
        self._store.came.connect(self._on_result)
        self._store.fsc_came.connect(self.fsc_came.emit)
        self._store.failed.connect(self._fail)
        self.failure: Failure | None = None
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
    def mask(self) -> Volume | None:
        """The mask that is used together with the sphere."""
        return self._mask

    @property
    def can_work(self) -> bool:
        """Whether a map is in the worker's memory."""
        return self._maps.are_there

    @property
    def estimated_diameter(self) -> float | None:
        """Å, of the first map; None where no particle stands out."""
        return self._maps.estimated_diameter

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the worker found odd about the maps."""
        return self._maps.warnings

    @property
    def history(self) -> list[Result]:
        """The results, the newest last."""
        return self._store.results

    def fsc_of(self, result: Result) -> Fsc | None:
        """Return the FSC of a result of two halves, once it is there."""
        return self._store.fscs.get(result.number)

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

    def open(
        self,
        sources: Sequence[Volume],
        names: Sequence[str],
        mask: Volume | None = None,
        mask_name: str = "the mask",
    ) -> None:
        """Take other maps in hand: one, or two halves on one grid. Results stay in the history.

        Parameters
        ----------
        sources, names
            The maps and what they are called.
        mask, mask_name
            A soft mask on their grid to be used together with the sphere.

        Raises
        ------
        BlushError
            If the maps are not on one grid.
        """
        if sources:
            masks = [] if mask is None else [mask]
            require_one_grid([*sources, *masks], [*names, *[mask_name for _ in masks]])
        self._work.stop()
        self._sources, self._names, self._mask = tuple(sources), tuple(names), mask
        if sources:
            self._load()
        else:
            self._maps.release()
            self._set_state(State.EMPTY)

    def rename(self, names: Sequence[str]) -> None:
        """Call the maps in hand something else: in results to come, that under way included."""
        self._names = tuple(names)
        self._work.rename(self._names)

    def look_at(self, focus: SliceInView | None) -> None:
        """Say which slice is in view; its blocks come first. None: none, as in 3D."""
        self._work.look_at(focus)

    def preview(self, on: bool) -> None:
        """Denoise what is in view, following `look_at`; or stop doing so."""
        if on and self.can_work:
            self._begin_preview()
        elif self._state is State.PREVIEWING:
            self._work.stop()
            self._set_state(State.READY)

    def denoise(self) -> None:
        """Denoise the whole map, or both halves one after the other."""
        if not self.can_work:
            return
        self._work.begin_full(Gathering(self._sources, self._names, self._settings))
        self._set_state(State.RUNNING)

    def cancel(self) -> None:
        """Stop at once; the blocks that are done are kept for the next time.

        Too late is too late: where all is done and the result is but being read, it comes.
        """
        if self._state is State.RUNNING and self._work.is_under_way:
            self._work.stop()
            self._set_state(State.CANCELLED)
        elif self._state is State.PREVIEWING:
            self.preview(False)

    def restart(self) -> None:
        """Start a new worker in place of one that crashed, and load the maps again."""
        self._work.stop()
        self._worker.stop()
        self._maps.forget()
        self.warm_up()
        if self._sources:
            self._load()
        else:
            self._set_state(State.EMPTY)

    def forget(self, result: Result) -> None:
        """Take a result out of the history, and its maps off the disk."""
        self._store.forget(result)

    def shorten_history(self, but: Collection[Result]) -> None:
        """Let the oldest results go where there are too many, except some that are in use."""
        gone = self._store.shorten(but)
        if gone:
            numbers = ", ".join(f"#{result.number}" for result in gone)
            keeps = f"it keeps {MOST_RESULTS} results, fewer where the disk is nearly full"
            self.noted.emit(f"{numbers} was let go from the history: {keeps}.")

    def close(self) -> None:
        """End the worker and remove all files. The session is of no use afterwards."""
        self._worker.stop()
        self._background.close()
        self._store.close()

    # --- work -------------------------------------------------------------------------------------------------

    def _load(self) -> None:
        self._maps.load(self._sources, self._mask)
        self._set_state(State.LOADING)

    def _on_maps_loaded(self) -> None:
        self._set_state(State.READY)
        self.map_loaded.emit()

    def _begin_preview(self) -> None:
        self._work.begin_preview(self._settings)
        self._set_state(State.PREVIEWING)

    # --- what the worker says ---------------------------------------------------------------------------------

    def on_event(self, event: Event) -> None:
        """Take an event of the worker."""
        match event:
            case Ready() | Cancelled():
                pass
            case Loaded():
                self._maps.on_loaded(event)
            case Prepared():
                if self._state is State.FAILED and self.can_work:  # it was the network, or what it ran on
                    self._set_state(State.READY)
                self.prepared.emit(event)
            case Described():
                self.facts = event
                self.described.emit(event)
            case Working():
                self._work.on_progress(event)
            case SlicePicture():
                self._work.on_picture(event)
            case Done():
                self._work.on_done(event)
            case Compared():
                self._store.on_compared(event)
            case Failed():
                self._on_failed(event)

    def on_death(self, problem: str, remedy: str) -> None:
        """Take note that the worker is gone without having been told to."""
        self._maps.forget()
        self._work.forget()
        self._fail(Failure(problem, remedy, crashed=True, details=self._worker.details))

    def _on_result(self, result: Result, generation: int) -> None:
        if generation == self._maps.generation and self._state is State.RUNNING:
            self._set_state(State.DONE)
        self.result_came.emit(result)

    def _on_failed(self, event: Failed) -> None:
        match event.request:
            case "load":
                self._maps.on_failed(event)
            case "denoise" if self._work.knows(event.id):
                self._work.forget()
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


def _network(settings: DenoiseSettings) -> tuple[str | None, str, str]:
    return settings.weights, settings.device, settings.precision
