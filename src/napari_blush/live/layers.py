"""The maps of a run as layers: made once, then updated in place by each iteration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal  # type: ignore[attr-defined]

from blushcore.protocol import BlushError
from blushcore.volumes import Volume
from napari_blush.background import Background
from napari_blush.layers.contrast import MapContrast
from napari_blush.layers.maps import METADATA, add_or_update_map, find_map
from napari_blush.layers.scale_bar import ScaleBar
from napari_blush.layers.split import SplitView
from napari_blush.layers.view import Connections, unwrapped
from napari_blush.live.gridding import LARGEST_SHOWN
from napari_blush.live.map_sets import ROLES, LoadedMap, MapSet, Role, load

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    from napari_blush.live.run import LiveRun
    from napari_blush.live.status import RunStatus

Mode: TypeAlias = Literal["split", "halves", "single"]
_PAIRS: Mapping[str, tuple[Role, Role]] = {"split": ("before", "map"), "halves": ("half1", "half2")}
_NAMES: Mapping[Role, str] = {
    "half1": "half 1",
    "half2": "half 2",
    "before": "before the prior",
    "map": "map",
    "difference": "difference (map − before)",
    "mask": "mask",
}
_COLORMAPS: Mapping[Role, str] = {"difference": "twilight_shifted", "mask": "cyan"}
_MASK_OPACITY = 0.25
_PAUSE_MILLISECONDS = 250
"""Between two sets of maps: nobody sees more, and the viewer has other things to do."""


@dataclass(frozen=True)
class _Wish:
    """What is to be shown: an iteration (of so many records with files), layers, and how large at most."""

    iteration: int
    records: int
    roles: frozenset[Role]
    largest: int | None

    def is_met_by(self, other: _Wish | None) -> bool:
        return other is not None and self.roles <= other.roles and replace(self, roles=other.roles) == other


class LiveLayers(QObject):
    """Shows the maps of a run in a viewer, those of the newest iteration or of one that was chosen.

    Only layers that can be seen are read. While one set of maps is read, only the newest wish waits. What the
    user changed in a layer stays, contrast above all; a layer that was removed does not come back.

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
        self._background = Background(self)
        self._key = f"live/{run.directory}"
        self._chosen: int | None = None
        self._full = False
        self._mode: Mode = "split"
        self._split: SplitView | None = None
        self._iterations: list[int] = []
        self._roles: tuple[Role, ...] = ()
        self._removed: set[Role] = set()
        self._has: _Wish | None = None
        self._empty: Volume | None = None
        self._failed_wish: _Wish | None = None
        self._loading = False
        self._showing = False
        self._closed = False
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_PAUSE_MILLISECONDS)
        self._pause.timeout.connect(self._load_next)
        self._connections = Connections()
        self._connections.connect(viewer.layers.events.removed, self._on_removed)
        self._scale_bar = ScaleBar(viewer)
        run.looked.connect(self._on_looked)
        # What must end even where Qt deletes this without closing it; nothing of this object is touched then.
        ends = (self._connections.undo, self._background.close)
        self.destroyed.connect(lambda: [end() for end in ends])
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
        return self._mode

    @property
    def roles(self) -> tuple[Role, ...]:
        """The layers that the shown iteration has."""
        return self._roles

    @property
    def split(self) -> SplitView | None:
        """The split view that is open."""
        return self._split

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
        return find_map(self._viewer, f"{self._key}/{role}")

    def show_iteration(self, iteration: int | None) -> None:
        """Show an iteration of the history; None follows the newest."""
        self._chosen = iteration
        self._load_next()

    def set_mode(self, mode: Mode) -> None:
        """Choose what is compared in the split view.

        Parameters
        ----------
        mode
            split: before and after the prior, if the prior is more than a filter; halves: half 1 and half 2;
            single: no split view.
        """
        self._mode = mode
        self._load_next()
        self._show_split()

    def close(self, *, remove: bool = False) -> None:
        """Stop following the run; the layers stay, unless they are to be removed."""
        if self._closed:
            return
        self._closed = True
        self._pause.stop()
        self._run.looked.disconnect(self._on_looked)
        self._end_split()
        self._connections.undo()
        self._background.close()
        if remove:
            for role in ROLES:
                if (layer := self.layer(role)) is not None:
                    self._viewer.layers.remove(layer)

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
        records = len(self._run.summary.records_of(iteration))
        return _Wish(iteration, records, self._roles_in_view(), None if self._full else LARGEST_SHOWN)

    def _roles_in_view(self) -> frozenset[Role]:
        pair = _PAIRS.get(self._mode, ())
        if self._has is None:  # what a new viewer will show
            return frozenset({"map", *pair})
        layers = {role: self.layer(role) for role in ROLES}
        visible = {role for role, layer in layers.items() if layer is not None and layer.visible}
        return frozenset(visible | (set(pair) - self._removed))

    def _load_next(self) -> None:
        """Read what is wanted and not shown, unless something is being read: then after it."""
        wish = self._wish()
        if wish is None or self._closed or self._loading or self._pause.isActive():
            return
        if wish == self._failed_wish or wish.is_met_by(self._has):
            return
        status, reader = self._run.summary, self._run.reader
        records = status.records_of(wish.iteration)
        box, parameters = _figures_with_a_box(status), status.parameters
        only = wish.roles
        if self._has is not None and replace(wish, roles=self._has.roles) == self._has:
            only = only - self._has.roles

        def work() -> tuple[MapSet, dict[Role, LoadedMap]]:
            files = {role: path for record in records for role, path in reader.files(record).items()}
            maps = MapSet.of(wish.iteration, files, box, parameters)
            if not maps.sources:
                raise BlushError(f"The maps of iteration {wish.iteration} are not there.")
            return maps, load(maps, only, wish.largest)

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
        is_other = self._has is None or replace(wish, roles=self._has.roles) != self._has
        self._showing = True
        selected = set(self._viewer.layers.selection)
        try:
            template = next(iter(loaded.values())).volume if loaded else self._empty
            if self._empty is None or template is None or template.shape != self._empty.shape:
                self._end_split()  # it would close by itself
            if loaded and template is not None and is_other:
                # Taken from the system when it is written to, that is, never.
                self._empty = template.with_data(np.zeros(template.shape, np.float32))
            for role in ROLES:
                if role in self._removed:
                    continue
                if role in loaded:
                    self._show_map(role, loaded[role], wish.iteration)
                elif role in maps.roles and self.layer(role) is None:
                    self._show_map(role, None, wish.iteration)
                elif is_other:
                    self._empty_out(role)
            before = self._has
            kept = frozenset() if is_other or before is None else before.roles
            self._has = replace(wish, roles=wish.roles | kept)
            self._roles = maps.roles
            if not selected and is_other:  # what its controls are wanted for first
                self._viewer.layers.selection = {layer for layer in (self.layer("map"),) if layer is not None}
            elif selected and set(self._viewer.layers.selection) != selected:  # new layers take the selection
                self._viewer.layers.selection = selected & set(self._viewer.layers)
            self._show_split()
            self._scale_bar.show_once()
        finally:
            self._showing = False

    def _show_map(self, role: Role, loaded: LoadedMap | None, iteration: int) -> None:
        """Show a map in its layer, which is made if it is not there; without one, the layer stays empty."""
        if loaded is None:
            if self._empty is None:
                return
            loaded = LoadedMap(self._empty, MapContrast((0.0, 1.0), (0.0, 1.0)))
        is_new = self.layer(role) is None
        layer = add_or_update_map(
            self._viewer,
            f"{self._key}/{role}",
            loaded.volume,
            name=f"{self._run.directory.name} {_NAMES[role]}",
            colormap=_COLORMAPS.get(role, "gray"),
            visible=role == "map",
            contrast=loaded.contrast,
            details={"run": str(self._run.directory), "iteration": iteration},
        )
        if is_new:
            if role == "mask":
                layer.blending, layer.opacity = "additive", _MASK_OPACITY
            self._put_in_order(role, layer)
            self._connections.connect(layer.events.visible, self._on_visible)

    def _put_in_order(self, role: Role, layer: Image) -> None:
        layers = self._viewer.layers
        above = [self.layer(other) for other in ROLES[ROLES.index(role) + 1 :]]
        places = [layers.index(other) for other in above if other is not None]
        if places and min(places) < layers.index(layer):
            layers.move(layers.index(layer), min(places))

    def _empty_out(self, role: Role) -> None:
        """Let go of what a layer held of another iteration; it is read when it is looked at."""
        layer = self.layer(role)
        if layer is not None and self._empty is not None and layer.data is not self._empty.data:
            layer.data = self._empty.data
            for name, values in (("scale", self._empty.voxel_size), ("translate", self._empty.position)):
                if not np.allclose(getattr(layer, name), values):
                    setattr(layer, name, values)

    def _on_visible(self, event: Any = None) -> None:
        if not self._showing:
            self._failed_wish = None
            self._load_next()

    def _on_removed(self, event: Any) -> None:
        key = unwrapped(event.value).metadata.get(METADATA, {}).get("key")
        for role in ROLES:
            if key == f"{self._key}/{role}":
                self._removed.add(role)

    # --- before and after -------------------------------------------------------------------------------------

    def _show_split(self) -> None:
        """Open, close or keep the split view, as the mode says and as far as there is something to compare."""
        pair = _PAIRS.get(self._mode, ())
        there = self._has is not None and set(pair) <= set(self._roles) & self._has.roles
        layers = [self.layer(role) for role in pair] if there else []
        split = self._split
        if split is not None and layers == [split.before, split.after]:
            return
        self._end_split()
        if len(layers) != 2 or None in layers:
            return
        try:
            self._split = SplitView(self._viewer, *layers)
        except BlushError as error:
            self.failed.emit(str(error))
            return
        self._split.closed.connect(self._on_split_closed)

    def _end_split(self) -> None:
        split, self._split = self._split, None
        if split is not None:
            split.closed.disconnect(self._on_split_closed)
            split.close()

    def _on_split_closed(self) -> None:
        """Somebody removed one of its layers."""
        self._split = None
        self._mode = "single"
        self.mode_changed.emit(self._mode)


def _figures_with_a_box(status: RunStatus) -> Mapping[str, Any]:
    """Return the newest figures that say how large the run's box is."""
    return next((figures for figures in reversed(status.history) if figures.get("box")), {})
