"""The Fourier shell correlation and the curves that follow from it."""

from __future__ import annotations

import numpy as np

from blushcore.shells.geometry import Counting, Floats
from blushcore.shells.sums import cross_sums
from blushcore.shells.transforms import VolumeLike

_FSC_FLOOR, _FSC_CEILING = 0.001, 0.999


def fsc(half1: VolumeLike, half2: VolumeLike, *, counting: Counting = "sphere") -> Floats:
    """Return the Fourier shell correlation of two maps.

    FSC(s) = Re Σ F₁F₂* / √(Σ|F₁|² Σ|F₂|²) over the components of shell s (Harauz & van Heel 1986, Optik
    73:146).

    Parameters
    ----------
    half1, half2
        Maps ``(n, n, n)``, numpy or torch on any device; scale and offset do not matter.
    counting
        Whether each component of the sphere counts once (default), or each stored component of the half
        transform, as ``relion_postprocess`` counts.

    Returns
    -------
    float64 ``(n // 2 + 1,)``. Shell 0, the mean alone, is 1; a shell that is empty in either map is 0.

    Raises
    ------
    BlushError
        If the maps are not cubes of one size, or contain NaN.
    """
    return cross_sums(half1, half2, counting=counting).correlation()


def c_ref(curve: Floats) -> Floats:
    """Return C_ref = √(2·FSC/(1 + FSC)): the correlation of the joined map with a perfect one.

    `curve` is the FSC of two halves; negative values count as 0 (Rosenthal & Henderson 2003, JMB 333:721).
    """
    positive = np.clip(np.asarray(curve, dtype=np.float64), 0.0, 1.0)
    return np.sqrt(2.0 * positive / (1.0 + positive))


def fsc_weights(curve: Floats) -> Floats:
    """Return the FSC weighting of the joined map, a factor a shell: C_ref up to where the FSC first reaches 0.

    From that shell on it is 0: what comes later is chance, and RELION's postprocess drops it too. To be applied
    by `filter_by_shell` with ``interpolation="step", beyond="zero"``.
    """
    weights = c_ref(curve)
    gone = np.flatnonzero(weights[1:] <= 0.0)
    if gone.size:
        weights[gone[0] + 1 :] = 0.0
    return weights


def ssnr(curve: Floats) -> Floats:
    """Return the spectral signal-to-noise ratio FSC/(1 − FSC), the FSC held within 0.001 and 0.999.

    Of one half when `curve` is the FSC of the halves; pass ``c_ref(curve)`` for RELION's last iteration, where
    the halves are joined (Scheres 2012, JSB 180:519).
    """
    held = np.clip(np.asarray(curve, dtype=np.float64), _FSC_FLOOR, _FSC_CEILING)
    return held / (1.0 - held)
