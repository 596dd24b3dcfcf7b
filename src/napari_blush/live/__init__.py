"""A run directory live in the viewer: `LiveRun` watches it, `LiveLayers` shows its maps, `LiveView` all."""

from napari_blush.live.layers import LiveLayers
from napari_blush.live.opening import open_run
from napari_blush.live.run import LiveRun
from napari_blush.live.status import RunStatus
from napari_blush.live.view import LiveView

__all__ = ["LiveLayers", "LiveRun", "LiveView", "RunStatus", "open_run"]
