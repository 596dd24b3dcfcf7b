"""Plots in docks, in napari's colours."""
