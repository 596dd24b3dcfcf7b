"""The maps of a run as layers: those of the newest iteration, or of one that was chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer, Signal  # type: ignore[attr-defined]

from blushcore.protocol import BlushError
from napari_blush.background import Background
from napari_blush.layers.scale_bar import ScaleBar
from napari_blush.live.comparison import Comparison, Mode
from napari_blush.live.gridding import LARGEST_SHOWN, GridMap
from napari_blush.live.loading import LoadedMap, load
from napari_blush.live.map_sets import MapSet, Role, class_of
from napari_blush.live.run_layers import RunLayers
from napari_blush.panels.ends import Ends

if TYPE_CHECKING:
    from pathlib import Path

    from napari.components import ViewerModel
    from napari.layers import Image

    from blushcore.runs import Record
    from napari_blush.layers.split import SplitView
    from napari_blush.live.run import LiveRun

_PAUSE_MILLISECONDS = 250
"""Between two sets of maps: nobody sees more, and the viewer has other things to do."""
_PATIENCE_SECONDS = 2.0
"""At the end, with a read that is under way: nothing is lost with it."""


@dataclass(frozen=True)
class _Wish:
    """What is to be shown: an iteration, as these records have it, layers, and how large at most."""

    iteration: int
    records: tuple[Record, ...]
    roles: frozenset[Role]
    largest: int | None

    def is_of_the_same(self, other: _Wish | None) -> bool:
        """Whether it is of the same maps, be it of other layers."""
        return other is not None and replace(self, roles=other.roles) == other

    def is_met_by(self, other: _Wish | None) -> bool:
        return other is not None and self.roles <= other.roles and self.is_of_the_same(other)


class LiveLayers(QObject):
    """Shows the maps of a run in a viewer, those of the newest iteration or of one that was chosen.

    Only layers that can be seen are read. While one set of maps is read, only the newest wish waits. What the
    user changed in a layer stays, contrast above all; a layer that was removed comes back when a mode or a
    class is chosen that needs it.

    Parameters
    ----------
    viewer
        Where the layers are.
    run
        The run.
    parent
        Qt's parent.
    """

    changed = Signal()
    """The layers show what was asked for last."""
    failed = Signal(str)
    """A sentence: maps could not be shown; the layers are as they were."""
    mode_changed = Signal(str)
    """The split view was opened or closed, also by itself."""
    iterations_changed = Signal()
    """There are other iterations to choose from."""

    def __init__(self, viewer: ViewerModel, run: LiveRun, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer, self._run = viewer, run
        self._background = Background(self, patience_seconds=_PATIENCE_SECONDS)
        self._layers = RunLayers(viewer, run.directory, self._on_visible)
        self._comparison = Comparison(viewer, self._layers, self.failed.emit, self._on_comparison_ended)
        self._chosen: int | None = None
        self._full = False
        self._iterations: list[int] = []
        self._roles: tuple[Role, ...] = ()
        self._has: _Wish | None = None
        self._brought_back: set[Role] = set()
        self._failed_wish: _Wish | None = None
        self._loading = False
        self._showing = False
        self._closed = False
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_PAUSE_MILLISECONDS)
        self._pause.timeout.connect(self._load_next)
        self._scale_bar = ScaleBar(viewer)
        run.looked.connect(self._on_looked)
        # What must end even where Qt deletes this without closing it; nothing of this object is touched then.
        self._ends = Ends()
        self._ends.add((self._background.close, self._layers.close))
        self.destroyed.connect(self._ends.do_all)
        self._on_looked()

    # --- what is asked for ------------------------------------------------------------------------------------

    @property
    def iterations(self) -> list[int]:
        """The iterations that there are maps of, oldest first."""
        return list(self._iterations)

    @property
    def shown(self) -> int | None:
        """The iteration that the layers show."""
        return None if self._has is None else self._has.iteration

    @property
    def following(self) -> bool:
        """Whether the newest iteration is shown, whichever it is."""
        return self._chosen is None

    @property
    def mode(self) -> Mode:
        """What is compared: see `set_mode`."""
        return self._comparison.mode

    @property
    def roles(self) -> tuple[Role, ...]:
        """The layers that the shown iteration has."""
        return self._roles

    @property
    def classes(self) -> list[int]:
        """The classes that the shown iteration has, from 1; empty where there are none."""
        return sorted({number for role in self._roles if (number := class_of(role)) is not None})

    @property
    def focus(self) -> int:
        """The class that is looked at, from 1."""
        return self._comparison.focus

    def offers(self, mode: Mode) -> bool:
        """Whether the shown iteration has the two maps that a mode compares."""
        return bool(self._comparison.pair(self._roles, mode))

    @property
    def split(self) -> SplitView | None:
        """The split view that is open."""
        return self._comparison.split

    @property
    def full(self) -> bool:
        """Whether large boxes are shown whole, not binned."""
        return self._full

    @full.setter
    def full(self, full: bool) -> None:
        self._full = full
        self._load_next()

    def layer(self, role: Role) -> Image | None:
        """Return the layer of a role, if it is there."""
        return self._layers.layer(role)

    def show_iteration(self, iteration: int | None) -> None:
        """Show an iteration of the history; None follows the newest."""
        self._chosen = iteration
        self._load_next()

    def set_mode(self, mode: Mode) -> None:
        """Choose what is compared.

        Parameters
        ----------
        mode
            split: before and after the prior, if the prior is more than a filter; halves: half 1 and half 2;
            classes: all classes in a grid; single: one map.
        """
        self._comparison.mode = mode
        self._bring_back()
        self._arrange()

    def set_class(self, number: int) -> None:
        """Choose the class that is looked at, from 1."""
        self._comparison.focus = number
        self._bring_back()
        self._arrange()

    def close(self, *, remove: bool = False) -> None:
        """Stop following the run; the layers stay, unless they are to be removed."""
        if self._closed:
            return
        self._closed = True
        self._pause.stop()
        self._run.looked.disconnect(self._on_looked)
        self._comparison.end()
        self._ends.do_all()
        if remove:
            self._layers.remove()

    # --- reading ----------------------------------------------------------------------------------------------

    def _on_looked(self) -> None:
        status = self._run.summary
        iterations = [
            number for number in status.iterations if any(record.files for record in status.records_of(number))
        ]
        if iterations != self._iterations:
            self._iterations = iterations
            if self._chosen is not None and self._chosen not in iterations:
                self._chosen = None  # a resumed attempt took it back
            self.iterations_changed.emit()
        self._failed_wish = None  # files may have come
        self._load_next()

    def _wish(self) -> _Wish | None:
        """Return what is to be shown now."""
        if not self._iterations:
            return None
        iteration = self._iterations[-1] if self._chosen is None else self._chosen
        records = self._run.summary.records_of(iteration)
        named = {role: self._run.directory / name for record in records for role, name in record.files.items()}
        wanted = self._comparison.wanted(self._map_set(iteration, named).roles)
        roles = frozenset((wanted | self._layers.visible()) - self._layers.removed)
        return _Wish(iteration, records, roles, None if self._full else LARGEST_SHOWN)

    def _map_set(self, iteration: int, files: Mapping[str, Path]) -> MapSet:
        """Return the files of an iteration as layers."""
        status = self._run.summary
        history = {figures["iteration"]: figures for figures in status.history}
        sized = next((figures for figures in reversed(history.values()) if figures.get("box")), {})
        box = {name: sized.get(name) for name in ("box", "voxel_size_angstrom")}
        return MapSet.of(iteration, files, {**history.get(iteration, {}), **box}, status.parameters)

    def _load_next(self) -> None:
        """Read what is wanted and not shown, unless something is being read: then after it."""
        if self._closed or self._loading or self._pause.isActive():
            return
        wish = self._wish()
        if wish is None or wish == self._failed_wish or wish.is_met_by(self._has):
            return
        reader, look = self._run.reader, self._layers.look()
        records, map_set = wish.records, self._map_set(wish.iteration, {})
        only = wish.roles
        if self._has is not None and wish.is_of_the_same(self._has):
            only = only - self._has.roles

        def work() -> tuple[MapSet, dict[Role, LoadedMap]]:
            files = {role: path for record in records for role, path in reader.files(record).items()}
            maps = map_set.with_files(files)
            if not maps.sources:
                raise BlushError(f"The maps of iteration {wish.iteration} are not there.")
            return maps, load(maps, only, wish.largest, look)

        def done(result: tuple[MapSet, dict[Role, LoadedMap]]) -> None:
            self._loading = False
            self._show(wish, *result)
            self._pause.start()
            self.changed.emit()

        def failed(error: Exception) -> None:
            self._loading = False
            self._failed_wish = wish
            self._pause.start()
            self.failed.emit(str(error))

        self._loading = True
        self._background.run(work, done, failed)

    # --- showing ----------------------------------------------------------------------------------------------

    def _show(self, wish: _Wish, maps: MapSet, loaded: Mapping[Role, LoadedMap]) -> None:
        is_other = not wish.is_of_the_same(self._has)
        self._showing = True
        first = self._has is None
        of_others = self._layers.hide_other_runs() if first else set()
        selected = set(self._viewer.layers.selection) - of_others
        untouched = self._comparison.untouched()
        try:
            template = next((one.volume for one in loaded.values()), None)
            if template is None or not self._layers.takes_in_place(template):
                self._comparison.end_split()  # it would close by itself
            if template is not None and is_other:
                self._layers.prepare(template)
            for role in dict.fromkeys((*self._layers.roles(), *maps.roles)):
                if role in loaded:
                    self._layers.show(role, loaded[role], maps.name(role), wish.iteration)
                elif role in maps.roles and self.layer(role) is None:
                    self._layers.show(role, None, maps.name(role), wish.iteration)
                elif is_other:
                    self._layers.empty_out(role)
            kept = frozenset() if is_other or self._has is None else self._has.roles
            self._has = replace(wish, roles=wish.roles | kept)
            self._roles = maps.roles
            map_role = self._comparison.map_of(maps.roles)
            shown = self.layer(map_role)
            if shown is not None and (first or map_role in self._brought_back):
                shown.visible = True
            self._brought_back -= loaded.keys()
            if not selected and is_other:  # what its controls are wanted for first
                self._viewer.layers.selection = set() if shown is None else {shown}
            elif selected and set(self._viewer.layers.selection) != selected:  # new layers take the selection
                self._viewer.layers.selection = selected & set(self._viewer.layers)
            self._comparison.refit(untouched)
            self._comparison.arrange(self._roles, self._has.roles)
            self._scale_bar.show_once()
            if of_others and template is not None:
                self._look_at(template)
        finally:
            self._showing = False

    def _look_at(self, volume: GridMap) -> None:
        """Look at a map's middle: what was looked at so far is another run's, perhaps of another box."""
        dims = self._viewer.dims
        first = dims.ndim - len(volume.shape)
        for axis, (count, size, begin) in enumerate(
            zip(volume.shape, volume.voxel_size, volume.position, strict=True)
        ):
            dims.set_point(first + axis, begin + (count // 2) * size)
        self._viewer.reset_view()

    def _bring_back(self) -> None:
        """Let layers that were removed come back where what is asked for needs them."""
        gone = self._comparison.wanted(self._roles) & self._layers.removed
        if gone and self._has is not None:
            self._layers.removed -= gone
            self._brought_back |= gone
            self._has = replace(self._has, roles=self._has.roles - gone)

    def _arrange(self) -> None:
        """Read what the mode needs, and compare what is there already."""
        self._load_next()
        if self._has is None or self._closed:
            return
        self._showing = True
        try:
            self._comparison.arrange(self._roles, self._has.roles)
        finally:
            self._showing = False

    def _on_visible(self) -> None:
        if not self._showing:
            self._failed_wish = None
            self._load_next()

    def _on_comparison_ended(self) -> None:
        self.mode_changed.emit(self.mode)
