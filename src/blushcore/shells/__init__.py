"""Fourier shells: sums over them, spectra, filters, the FSC with its solvent correction, the resolution.

Functions take cubic maps ``(z, y, x)`` as numpy arrays or torch Tensors on any device, compute where the map is
in its own precision (float32, or float64 if given so), sum in float64 and return curves as float64 numpy arrays
of ``n // 2 + 1`` shells; see `geometry` for what a shell is.
"""

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
from blushcore.shells.resolution import HALF_MAP_THRESHOLD, MAP_MODEL_THRESHOLD, Resolution, resolution
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

__all__ = [
    "HALF_MAP_THRESHOLD",
    "MAP_MODEL_THRESHOLD",
    "RANDOMISE_BELOW",
    "Counting",
    "CrossSums",
    "FscCurves",
    "Resolution",
    "average_over_shells",
    "c_ref",
    "corrected_fsc",
    "cross_sums",
    "filter_by_shell",
    "fsc",
    "fsc_weights",
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
]
