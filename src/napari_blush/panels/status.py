"""Where `duration` was; see `napari_blush.panels.words`."""

from napari_blush.panels.words import duration as duration
