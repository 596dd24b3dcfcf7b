"""napari-blush: the napari plugin on top of `blushcore`."""
