"""A run directory live in the viewer: `LiveRun` watches it, `LiveLayers` shows its maps, `LiveView` all."""

from napari_blush.live.layers import LiveLayers
from napari_blush.live.run import LiveRun
from napari_blush.live.status import RunStatus

__all__ = ["LiveLayers", "LiveRun", "RunStatus"]
