"""The layers of one run in a viewer: made once, updated in place, in one order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_blush.layers.contrast import MapContrast
from napari_blush.layers.maps import METADATA, add_or_update_map, find_map, key_of
from napari_blush.layers.view import Connections, unwrapped
from napari_blush.live.gridding import GridMap
from napari_blush.live.loading import LoadedMap, Look
from napari_blush.live.map_sets import Role, base, place

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

_COLORMAPS = {"difference": "twilight_shifted", "mask": "cyan"}
_MASK_OPACITY = 0.25
_LIMITS = "contrast_limits"
_OF_A_RUN = "live/"
"""What the keys of all runs' layers begin with."""


class RunLayers:
    """Finds, makes and updates a run's layers by their roles.

    What the user changed in a layer stays; a layer that was removed does not come back by itself. A copy of one
    is the user's own: it stays as it is.

    Parameters
    ----------
    viewer
        Where they are.
    directory
        The run, whose layers these are.
    on_visible
        Called when somebody shows or hides one.
    """

    def __init__(self, viewer: ViewerModel, directory: Path, on_visible: Callable[[], None]) -> None:
        self._viewer, self._directory, self._on_visible = viewer, directory, on_visible
        self._prefix = f"{_OF_A_RUN}{directory.absolute()}/"
        self._empty: GridMap | None = None
        self.removed: set[Role] = set()
        self._connections = Connections()
        self._connections.connect(viewer.layers.events.removed, self._on_removed)

    def layer(self, role: Role) -> Image | None:
        """Return the layer of a role, if it is there."""
        return find_map(self._viewer, self._prefix + role)

    def roles(self) -> list[Role]:
        """Return the roles that have a layer, lowest first."""
        keys = [key_of(layer) for layer in self._viewer.layers]
        found = [key.removeprefix(self._prefix) for key in keys if key.startswith(self._prefix)]
        return sorted(found, key=place)

    def visible(self) -> set[Role]:
        """Return the roles whose layer is shown."""
        return {role for role in self.roles() if (layer := self.layer(role)) is not None and layer.visible}

    def hide_other_runs(self) -> set[Any]:
        """Hide the layers of the runs that were watched before, and return those that could be seen."""
        seen = {
            layer
            for layer in self._viewer.layers
            if layer.visible
            and key_of(layer).startswith(_OF_A_RUN)
            and not key_of(layer).startswith(self._prefix)
        }
        for layer in seen:
            layer.visible = False
        return seen

    def look(self) -> Look:
        """Return what the viewer looks at."""
        dims = self._viewer.dims
        if dims.ndisplay == 3:
            return Look(None)
        axes = [int(axis) - (int(dims.ndim) - 3) for axis in dims.not_displayed]
        if self._empty is None or not axes or axes[-1] < 0:
            return Look()
        return Look(axes[-1], float(dims.point[dims.not_displayed[-1]]))

    def takes_in_place(self, volume: GridMap) -> bool:
        """Whether a map has the shape of those that are shown."""
        return self._empty is not None and self._empty.shape == volume.shape

    def prepare(self, volume: GridMap) -> None:
        """Take a map as the pattern for layers that hold nothing yet."""
        # Zeros are taken from the system when they are written to, that is, never. The same ones serve as long
        # as they can: layers that hold them need not be told anything.
        before = self._empty
        if before is None or (before.shape, before.voxel_size, before.position) != (
            volume.shape,
            volume.voxel_size,
            volume.position,
        ):
            self._empty = replace(volume, data=np.zeros(volume.shape, np.float32))

    def show(self, role: Role, loaded: LoadedMap | None, name: str, iteration: int) -> None:
        """Show a map in its layer, which is made if it is not there; without one, a new layer stays empty."""
        if role in self.removed or (loaded is None and self._empty is None):
            return
        before = self.layer(role)
        if loaded is None:
            if before is not None:
                return
            assert self._empty is not None
            loaded = LoadedMap(self._empty, MapContrast((0.0, 1.0), (0.0, 1.0)))
        layer = add_or_update_map(
            self._viewer,
            self._prefix + role,
            loaded.volume,
            name=f"{self._directory.name} {name}",
            colormap=_COLORMAPS.get(base(role), "gray"),
            visible=False if before is None else before.visible,
            contrast=loaded.contrast,
            details={"run": str(self._directory), "iteration": iteration},
        )
        # `add_or_update_map` cannot know whose the limits are where layers are linked with others.
        layer.metadata[METADATA][_LIMITS] = loaded.contrast.limits
        if before is None:
            if role == "mask":
                layer.blending, layer.opacity = "additive", _MASK_OPACITY
            self._put_in_order(role, layer)
            self._connections.connect(layer.events.visible, self._on_shown_or_hidden)

    def empty_out(self, role: Role) -> None:
        """Let go of what a layer held of another iteration; it is read when it is looked at."""
        layer = self.layer(role)
        if layer is not None and self._empty is not None and layer.data is not self._empty.data:
            layer.data = self._empty.data
            for name, values in (("scale", self._empty.voxel_size), ("translate", self._empty.position)):
                if not np.allclose(getattr(layer, name), values):
                    setattr(layer, name, values)

    def remove(self) -> None:
        """Take all of them out of the viewer."""
        for role in self.roles():
            if (layer := self.layer(role)) is not None:
                self._viewer.layers.remove(layer)

    def close(self) -> None:
        """Follow them no more; they stay."""
        self._connections.undo()

    def _put_in_order(self, role: Role, layer: Image) -> None:
        layers = self._viewer.layers
        above = [self.layer(other) for other in self.roles() if place(other) > place(role)]
        places = [layers.index(other) for other in above if other is not None]
        if places and min(places) < layers.index(layer):
            layers.move(layers.index(layer), min(places))

    def _on_shown_or_hidden(self, event: Any = None) -> None:
        self._on_visible()

    def _on_removed(self, event: Any) -> None:
        key = key_of(unwrapped(event.value))
        if key.startswith(self._prefix):
            self.removed.add(key.removeprefix(self._prefix))


def given_limits(layer: Image) -> tuple[float, float]:
    """Return the contrast limits that suit a layer's map."""
    low, high = layer.metadata[METADATA][_LIMITS]
    return float(low), float(high)
