"""Before and after in one view: a divider in 2D, side by side in 3D."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from blushcore.protocol import BlushError
from napari_blush.layers.contrast import contrast_of_projection
from napari_blush.layers.divider import Divider, without_common_name
from napari_blush.layers.maps import METADATA
from napari_blush.layers.split_array import SplitArray
from napari_blush.layers.view import Connections, extent_along, unwrapped

if TYPE_CHECKING:
    from collections.abc import Collection

    from napari.components import ViewerModel
    from napari.layers import Image, Layer

_LINKED = ("contrast_limits", "gamma")
_GRID_SPACING = 4  # pixels
_SOLID = "opaque"


class SplitView:
    """Two maps of one grid compared.

    In 2D, one layer shows the first map left of a divider and the second right of it, both with the contrast of
    the first; the divider is dragged on the canvas. In 3D the two stand side by side under one camera, each
    with a contrast that suits its projection; that of 2D comes back with it. Axes may be rolled, slices stepped
    through, layers renamed and their data set; the view closes by itself when one of the layers is removed or
    they no longer fit each other.

    Parameters
    ----------
    viewer
        A viewer that has both layers.
    before, after
        Layers of single-scale maps with the same shape and place.

    Raises
    ------
    BlushError
        If the layers do not show the same grid.
    """

    position_changed = Signal(float)
    """The divider's place in Å (the layers' world unit) along the horizontal axis."""
    closed = Signal()
    """The view is gone; the layers are as they were."""

    def __init__(self, viewer: ViewerModel, before: Image, after: Image) -> None:
        from napari.layers import Image

        before, after = unwrapped(before), unwrapped(after)
        _require_same_grid(before, after)
        self.viewer, self.before, self.after = viewer, before, after
        self.is_open = True
        self._positions: dict[int, float] = {}
        self._visibility: dict[Layer, bool] = {}
        self._grid: dict[str, Any] | None = None
        self._blending: dict[Layer, str] = {}
        self._limits_of_after = tuple(after.contrast_limits)
        self._limits_in_2d: tuple[float, float] | None = None
        self._limits_in_3d: dict[Layer, tuple[float, float]] = {}
        self._given_in_3d: dict[Layer, tuple[float, float]] = {}
        after.contrast_limits, after.gamma = before.contrast_limits, before.gamma

        self._array = SplitArray(before.data, after.data)
        self.layer = Image(
            self._array,
            name=f"{before.name} | {after.name}",
            scale=before.scale,
            translate=before.translate,
            units=before.units,
            axis_labels=before.axis_labels,
            contrast_limits=before.contrast_limits,
            gamma=before.gamma,
            colormap=before.colormap,
            interpolation2d=before.interpolation2d,
            multiscale=False,
            rgb=False,
            metadata={METADATA: {"split_view": True}},
        )
        viewer.add_layer(self.layer)
        self._given_name = self.layer.name
        ranges = [layer.contrast_limits_range for layer in (before, after)]
        self.layer.contrast_limits_range = (min(low for low, _ in ranges), max(high for _, high in ranges))
        self._link_contrast()
        self._divider = Divider(viewer, self._set_position)
        self._connections = Connections()
        for emitter, callback in (
            (viewer.dims.events.order, self._follow_axes),
            (viewer.dims.events.ndisplay, self._follow_dimensions),
            (viewer.layers.events.removed, self._on_removed),
            (before.events.data, self._on_data),
            (after.events.data, self._on_data),
            (before.events.name, self._on_renamed),
            (after.events.name, self._on_renamed),
            (before.events.scale, self._on_moved),
            (before.events.translate, self._on_moved),
        ):
            self._connections.connect(emitter, callback)
        self._follow_axes()
        self._follow_dimensions()

    # --- the divider ------------------------------------------------------------------------------------------

    @property
    def axis(self) -> int:
        """The layers' axis across which the view is split: the one that runs across the canvas."""
        offset = int(self.viewer.dims.ndim) - 3
        return int(self.viewer.dims.displayed[-1]) - offset

    @property
    def position(self) -> float:
        """The divider's place in Å along the horizontal axis, kept for each axis; the middle at first."""
        low, high = extent_along(self.before, self.axis)
        return self._positions.get(self.axis, (low + high) / 2)

    @position.setter
    def position(self, at: float) -> None:
        self._set_position(at)

    def refresh(self) -> None:
        """Show what changed within the layers' arrays; setting a layer's ``data`` does it by itself."""
        self.layer.refresh(extent=False, highlight=False)

    def _set_position(self, at: float) -> None:
        low, high = extent_along(self.before, self.axis)
        self._positions[self.axis] = min(max(at, low), high)
        self._compose()
        self._place_divider()
        self.position_changed.emit(self.position)

    def _compose(self) -> None:
        """Tell the array where the divider lies, and draw if that changes what is seen."""
        axis = self.axis
        first = float(self.before.translate[axis])
        # A voxel belongs to the side on which its centre lies.
        boundary = int(np.ceil((self.position - first) / float(self.before.scale[axis])))
        boundary = min(max(boundary, 0), self._array.shape[axis])
        if (axis, boundary) != (self._array.axis, self._array.boundary):
            self._array.axis, self._array.boundary = axis, boundary
            self.layer.refresh(thumbnail=False, highlight=False, extent=False)

    def _place_divider(self, event: Any = None) -> None:
        offset = int(self.viewer.dims.ndim) - 3
        vertical = int(self.viewer.dims.displayed[-2]) - offset
        self._divider.place(
            self.position,
            vertical=extent_along(self.before, vertical),
            horizontal=extent_along(self.before, self.axis),
            labels=without_common_name(self.before.name, self.after.name),
        )

    def _follow_axes(self, event: Any = None) -> None:
        self._compose()
        self._place_divider()

    def _on_renamed(self, event: Any = None) -> None:
        """Take the layers' new names, unless the user has given this one another."""
        if self.layer.name == self._given_name:
            self.layer.name = f"{self.before.name} | {self.after.name}"
            self._given_name = self.layer.name
        self._place_divider()

    def _on_moved(self, event: Any = None) -> None:
        self._positions.clear()
        self.layer.scale, self.layer.translate = self.before.scale, self.before.translate
        self.layer.units = self.before.units
        self._follow_axes()

    # --- 2D and 3D --------------------------------------------------------------------------------------------

    def _follow_dimensions(self, event: Any = None) -> None:
        if self.viewer.dims.ndisplay == 2:
            self._leave_grid()
            self._show({self.layer: True, self.before: False, self.after: False})
            self._follow_axes()
        else:
            others = {layer: False for layer in self.viewer.layers if unwrapped(layer) not in self._pair}
            self._show({**others, self.before: True, self.after: True})
            self._enter_grid()

    @property
    def _pair(self) -> tuple[Image, Image]:
        return self.before, self.after

    def _show(self, wanted: dict[Layer, bool]) -> None:
        """Show and hide layers; others are as they were before. A layer that becomes visible is sliced anew."""
        wanted = {unwrapped(layer): visible for layer, visible in wanted.items()}
        self._restore_visibility(but=wanted)
        for layer, visible in wanted.items():
            self._visibility.setdefault(layer, layer.visible)
            if layer.visible != visible:
                layer.visible = visible

    def _restore_visibility(self, but: Collection[Layer] = ()) -> None:
        for layer in [layer for layer in self._visibility if layer not in but]:
            visible = self._visibility.pop(layer)
            if layer in self.viewer.layers and layer.visible != visible:
                layer.visible = visible

    def _enter_grid(self) -> None:
        if self._grid is not None:
            return
        grid = self.viewer.canvas.grid
        self._grid = {name: getattr(grid, name) for name in ("stride", "shape", "spacing", "enabled")}
        layers = [unwrapped(layer) for layer in self.viewer.layers]
        grid.stride = 1 if layers.index(self.before) < layers.index(self.after) else -1
        grid.shape = (1, 2)
        grid.spacing = _GRID_SPACING
        grid.enabled = True
        self._take_contrast_of_3d()
        for layer in self._pair:
            layer.name_overlay.visible = True
            # What is black would else be seen through, which on a light canvas is most of a noisy map.
            self._blending[layer] = str(layer.blending)
            layer.blending = _SOLID
        self.viewer.reset_view()  # each has half of the canvas now

    def _leave_grid(self) -> None:
        if self._grid is None:
            return
        for name, value in self._grid.items():
            setattr(self.viewer.canvas.grid, name, value)
        self._grid = None
        self._take_contrast_of_2d()
        for layer in self._pair:
            layer.name_overlay.visible = False
            before = self._blending.pop(layer)
            if layer.blending == _SOLID:
                layer.blending = before
        self.viewer.reset_view()

    def _link_contrast(self) -> None:
        from napari.experimental import link_layers

        link_layers([*self._pair, self.layer], _LINKED)

    def _unlink_contrast(self) -> None:
        from napari.experimental import unlink_layers

        unlink_layers([*self._pair, self.layer], _LINKED)

    def _take_contrast_of_3d(self) -> None:
        """Show each map with the contrast it had in 3D before, or one that suits its projection."""
        self._limits_in_2d = tuple(self.before.contrast_limits)
        self._unlink_contrast()
        for layer in self._pair:
            limits = self._limits_in_3d.get(layer)
            if limits is None:
                limits = self._given_in_3d[layer] = contrast_of_projection(layer.data)
            layer.contrast_limits = limits

    @property
    def limits_in_2d(self) -> tuple[float, float] | None:
        """In 3D, the contrast limits that both maps will have in 2D again; None in 2D."""
        return self._limits_in_2d

    def refit_projections(self, limits_in_2d: tuple[float, float]) -> None:
        """In 3D, fit the contrast to the layers' new data, unless somebody set it; in 2D nothing happens."""
        if self._limits_in_2d is None:
            return
        self._limits_in_2d = limits_in_2d
        for layer in self._pair:
            if layer in self._given_in_3d and np.allclose(layer.contrast_limits, self._given_in_3d[layer]):
                self._given_in_3d[layer] = contrast_of_projection(layer.data)
                layer.contrast_limits = self._given_in_3d[layer]

    def _take_contrast_of_2d(self) -> None:
        """Show both maps with the contrast they had in 2D before."""
        if self._limits_in_2d is None:
            return
        self._limits_in_3d = {layer: tuple(layer.contrast_limits) for layer in self._pair}
        for layer in (*self._pair, self.layer):
            layer.contrast_limits = self._limits_in_2d
        self._limits_in_2d = None
        self._link_contrast()

    # --- the layers' life -------------------------------------------------------------------------------------

    def _on_data(self, event: Any = None) -> None:
        # Until here the view shows the arrays that it has: napari draws it before it tells of new ones.
        if self.before.data.shape != self._array.shape or self.after.data.shape != self._array.shape:
            self.close()
            return
        self._array.before, self._array.after = self.before.data, self.after.data
        self.refresh()

    def _on_removed(self, event: Any) -> None:
        if unwrapped(event.value) in (self.before, self.after, self.layer):
            self.close()

    def close(self) -> None:
        """End the comparison: the composed layer goes, the others are as they were. Again, nothing happens."""
        if not self.is_open:
            return
        self.is_open = False
        self._connections.undo()
        self._divider.close()
        self._leave_grid()
        self._unlink_contrast()
        if np.allclose(self.after.contrast_limits, self.before.contrast_limits):
            self.after.contrast_limits = self._limits_of_after
        self._restore_visibility()
        if self.layer in self.viewer.layers:
            self.viewer.layers.remove(self.layer)
        self.closed.emit()


def _require_same_grid(before: Image, after: Image) -> None:
    remedy = "Choose two maps on one grid."
    for layer in (before, after):
        if layer.multiscale or layer.rgb or len(layer.data.shape) != 3:
            raise BlushError(f"{layer.name} is not a map.", remedy)
    if before is after:
        raise BlushError(f"{before.name} cannot be compared with itself.", "Choose two maps.")
    if before.data.shape != after.data.shape:
        sizes = [" × ".join(str(n) for n in reversed(layer.data.shape)) for layer in (before, after)]
        raise BlushError(
            f"The maps differ in size: {before.name} has {sizes[0]} voxels, {after.name} {sizes[1]}.", remedy
        )
    if tuple(before.units) != tuple(after.units) or not np.allclose(before.scale, after.scale, rtol=1e-3):
        raise BlushError(f"{before.name} and {after.name} differ in voxel size.", remedy)
    if not np.allclose(before.translate, after.translate, atol=0.1 * min(before.scale)):
        raise BlushError(f"{before.name} and {after.name} lie at different places in space.", remedy)
