"""Fourier shells: sums over them, spectra, filters, the FSC with its solvent correction, the resolution.

Functions take cubic maps ``(z, y, x)`` as numpy arrays or torch Tensors on any device, compute where the map is
in its own precision (float32, or float64 if given so), sum in float64 and return curves as float64 numpy arrays
of ``n // 2 + 1`` shells; see `geometry` for what a shell is.

What computes on tensors is imported, torch with it, when first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from blushcore.shells.resolution import HALF_MAP_THRESHOLD, MAP_MODEL_THRESHOLD, Resolution, resolution

if TYPE_CHECKING:
    from blushcore.shells.correlation import c_ref, fsc, fsc_weights, ssnr
    from blushcore.shells.curves import FscCurves
    from blushcore.shells.filters import filter_by_shell, multiply_by_shell
    from blushcore.shells.geometry import (
        Counting,
        shell_count,
        shell_counts,
        shell_frequencies,
        shell_indices,
        shell_resolutions,
    )
    from blushcore.shells.phases import randomise_phases
    from blushcore.shells.plane import PlaneComponents, images_from, transform_images
    from blushcore.shells.solvent import (
        RANDOMISE_BELOW,
        corrected_fsc,
        mask_warnings,
        randomisation_start,
        solvent_corrected_fsc,
    )
    from blushcore.shells.sums import (
        CrossSums,
        average_over_shells,
        cross_sums,
        power_spectrum,
        sum_over_shells,
        transform_cross_sums,
    )

_NEEDS_TORCH = {
    "Counting": "geometry",
    "CrossSums": "sums",
    "FscCurves": "curves",
    "PlaneComponents": "plane",
    "RANDOMISE_BELOW": "solvent",
    "average_over_shells": "sums",
    "c_ref": "correlation",
    "corrected_fsc": "solvent",
    "cross_sums": "sums",
    "filter_by_shell": "filters",
    "fsc": "correlation",
    "fsc_weights": "correlation",
    "images_from": "plane",
    "mask_warnings": "solvent",
    "multiply_by_shell": "filters",
    "power_spectrum": "sums",
    "randomisation_start": "solvent",
    "randomise_phases": "phases",
    "shell_count": "geometry",
    "shell_counts": "geometry",
    "shell_frequencies": "geometry",
    "shell_indices": "geometry",
    "shell_resolutions": "geometry",
    "solvent_corrected_fsc": "solvent",
    "ssnr": "correlation",
    "sum_over_shells": "sums",
    "transform_cross_sums": "sums",
    "transform_images": "plane",
}

__all__ = [
    "HALF_MAP_THRESHOLD",
    "MAP_MODEL_THRESHOLD",
    "RANDOMISE_BELOW",
    "Counting",
    "CrossSums",
    "FscCurves",
    "PlaneComponents",
    "Resolution",
    "average_over_shells",
    "c_ref",
    "corrected_fsc",
    "cross_sums",
    "filter_by_shell",
    "fsc",
    "fsc_weights",
    "images_from",
    "mask_warnings",
    "multiply_by_shell",
    "power_spectrum",
    "randomisation_start",
    "randomise_phases",
    "resolution",
    "shell_count",
    "shell_counts",
    "shell_frequencies",
    "shell_indices",
    "shell_resolutions",
    "solvent_corrected_fsc",
    "ssnr",
    "sum_over_shells",
    "transform_cross_sums",
    "transform_images",
]


def __getattr__(name: str) -> Any:
    if name not in _NEEDS_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_NEEDS_TORCH[name]}"), name)
