"""What of a run is compared with what: before and after the prior, the two halves, or the classes in a grid."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from blushcore.protocol import BlushError
from napari_blush.layers.split import SplitView
from napari_blush.live.map_sets import Role, base, class_of, class_role
from napari_blush.live.run_layers import RunLayers, given_limits

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

Mode: TypeAlias = Literal["split", "halves", "single", "classes"]
_GRID = ("enabled", "stride", "shape", "spacing")
_SPACING_PX = 4


class Comparison:
    """Opens and closes the split view, or the grid of classes, as the mode says and as far as there are maps.

    Parameters
    ----------
    viewer
        Where it is.
    layers
        The run's.
    failed
        Told, in a sentence, why there is no split view.
    ended
        Called when somebody removed one of its layers: the mode is then "single".
    """

    def __init__(
        self,
        viewer: ViewerModel,
        layers: RunLayers,
        failed: Callable[[str], None],
        ended: Callable[[], None],
    ) -> None:
        self._viewer, self._layers, self._failed, self._ended = viewer, layers, failed, ended
        self.mode: Mode = "split"
        self.focus = 1
        self.split: SplitView | None = None
        self._grid: dict[str, Any] | None = None

    def map_of(self, roles: Collection[Role]) -> Role:
        """Return the map that is looked at: that of the class in focus, where there are classes."""
        focused = class_role(self.focus, "map")
        return focused if focused in roles else "map"

    def pair(self, roles: Collection[Role], mode: Mode | None = None) -> tuple[Role, ...]:
        """Return the two layers that a mode, or the one in force, compares of an iteration that has `roles`."""
        pairs: dict[str, tuple[Role, Role]] = {"halves": ("half1", "half2")}
        after = self.map_of(roles)
        pairs["split"] = ("before" if after == "map" else class_role(self.focus, "before"), after)
        pair = pairs.get(mode or self.mode, ())
        return pair if set(pair) <= set(roles) else ()

    def wanted(self, roles: Collection[Role]) -> set[Role]:
        """Return the layers that the mode needs, of an iteration that has `roles`."""
        if self.mode == "classes":
            return {role for role in roles if class_of(role) is not None and base(role) == "map"}
        pair = self.pair(roles)
        return set(pair) or {self.map_of(roles)} & set(roles)

    def arrange(self, roles: Collection[Role], loaded: Collection[Role]) -> None:
        """Open, close or keep what the mode wants; `loaded` are the layers that hold the iteration's maps."""
        pair = self.pair(roles)
        layers = [self._layers.layer(role) for role in pair] if set(pair) <= set(loaded) else []
        split = self.split
        if split is None or layers != [split.before, split.after]:
            self.end_split()
            self._show_focus(roles)
            if len(layers) == 2 and None not in layers:
                self._begin_split(*layers)
        if self.mode == "classes":
            self._enter_grid([role for role in roles if role in self.wanted(roles)])
        else:
            self._leave_grid()

    def untouched(self) -> list[Image]:
        """Return the run's layers whose contrast nobody set, be it that of 2D while they are seen in 3D."""
        layers = [layer for role in self._layers.roles() if (layer := self._layers.layer(role)) is not None]
        return [layer for layer in layers if np.allclose(self._limits(layer), given_limits(layer))]

    def refit(self, untouched: Collection[Image]) -> None:
        """Give these layers the contrast that suits their maps, new ones perhaps."""
        split = self.split
        for layer in untouched:
            if split is not None and split.limits_in_2d is not None and layer in (split.before, split.after):
                split.refit_projections(given_limits(layer))
            elif not np.allclose(layer.contrast_limits, given_limits(layer)):
                layer.contrast_limits = given_limits(layer)

    def end_split(self) -> None:
        """Close the split view, if it is open; each map then has the contrast that suits it, or the user's."""
        split = self.split
        if split is None:
            return
        split.closed.disconnect(self._on_split_closed)
        untouched = self.untouched()
        there = [layer for layer in (split.before, split.after) if layer in self._viewer.layers]
        limits = [given_limits(layer) if layer in untouched else self._limits(layer) for layer in there]
        self.split = None
        split.close()
        for layer, own in zip(there, limits, strict=True):
            layer.contrast_limits = own

    def _limits(self, layer: Image) -> tuple[float, float]:
        """Return the contrast limits that a layer has in 2D."""
        split = self.split
        if split is not None and layer in (split.before, split.after) and split.limits_in_2d is not None:
            return split.limits_in_2d
        low, high = layer.contrast_limits
        return low, high

    def end(self) -> None:
        """Leave the viewer as it would be without a comparison."""
        self.end_split()
        self._leave_grid()

    def _begin_split(self, before: Any, after: Any) -> None:
        try:
            self.split = SplitView(self._viewer, before, after)
        except BlushError as error:
            self._failed(str(error))
            return
        self.split.closed.connect(self._on_split_closed)

    def _on_split_closed(self) -> None:
        """Somebody removed one of its layers."""
        self.split = None
        self.mode = "single"
        self._ended()

    # --- classes ----------------------------------------------------------------------------------------------

    def _show_focus(self, roles: Collection[Role]) -> None:
        """Of a run with classes, let the map of the one in focus be seen, and no other class's."""
        if self.mode == "classes":
            return
        focused = self.map_of(roles)
        for role in roles:
            layer = self._layers.layer(role)
            if layer is not None and class_of(role) is not None and base(role) == "map":
                layer.visible = role == focused

    def _enter_grid(self, roles: Sequence[Role]) -> None:
        """Show the maps of all classes beside each other."""
        layers = [layer for role in roles if (layer := self._layers.layer(role)) is not None]
        for layer in self._viewer.layers:
            layer.visible = any(layer == other for other in layers)
        grid = self._viewer.canvas.grid
        columns = math.ceil(math.sqrt(max(1, len(layers))))
        shape = (math.ceil(len(layers) / columns), columns)
        if self._grid is not None and tuple(grid.shape) == shape:
            return
        self._grid = self._grid or {name: getattr(grid, name) for name in _GRID}
        for layer in layers:
            layer.name_overlay.visible = True
        # With a stride below 0 the uppermost layer, the first class, comes first.
        grid.stride, grid.shape, grid.spacing = -1, shape, _SPACING_PX
        grid.enabled = True
        self._viewer.reset_view()

    def _leave_grid(self) -> None:
        before, self._grid = self._grid, None
        if before is None:
            return
        for name, value in before.items():
            setattr(self._viewer.canvas.grid, name, value)
        roles = self._layers.roles()
        for role in roles:
            if (layer := self._layers.layer(role)) is not None:
                layer.name_overlay.visible = False
        self._show_focus(roles)
        self._viewer.reset_view()
