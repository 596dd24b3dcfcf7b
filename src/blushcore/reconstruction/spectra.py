"""Curves over shells that steer a reconstruction: mean weight, FSC of the halves, power of the signal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from blushcore.reconstruction.division import unfiltered_map
from blushcore.reconstruction.half_sums import HalfSums
from blushcore.shells import c_ref
from blushcore.shells import fsc as fsc_of_maps

Floats = NDArray[np.float64]

_LOWEST_FSC, _HIGHEST_FSC = 0.001, 0.999


def fsc(half1: HalfSums, half2: HalfSums) -> Floats:
    """Return the FSC of two halves' unfiltered maps, float64 ``(n // 2 + 1,)``.

    It is that of the ``…_unfil.mrc`` files; 0 beyond the current size.
    """
    curve: Floats = fsc_of_maps(unfiltered_map(half1), unfiltered_map(half2))
    curve[half1.grid.last_shell + 1 :] = 0.0
    return curve


def tau2_from_fsc(
    fsc: Floats, weight: Floats, *, tau_fudge: float = 1.0, padding: int = 2, is_last: bool = False
) -> Floats:
    """Return the expected power τ² of the signal in each shell, from the FSC of the halves.

    SSNR = T·F/(1 − F) and τ² = SSNR/(p³⟨W⟩) (Scheres 2012, J Struct Biol 180:519): a voxel of the padded volume
    has 1/p³ of the weight that all images together give a component.

    Parameters
    ----------
    fsc
        Of the halves, ``(n // 2 + 1,)``; held within 0.001 and 0.999.
    weight
        ⟨W⟩ over shells, of the half (or, at last, of both) that is to be reconstructed: `mean_weight`.
    tau_fudge
        T.
    padding
        p.
    is_last
        Both halves are reconstructed together: F is then √(2F/(1 + F)).

    Returns
    -------
    float64 ``(n // 2 + 1,)``, in the units of ½|FFT/n²|²; 0 where there is no weight.
    """
    curve = np.maximum(_LOWEST_FSC, np.asarray(fsc, dtype=np.float64))
    if is_last:
        curve = c_ref(curve)
    curve = np.minimum(_HIGHEST_FSC, curve)
    ssnr = tau_fudge * curve / (1.0 - curve)
    each = padding**3 * np.asarray(weight, dtype=np.float64)
    return np.divide(ssnr, each, out=np.zeros_like(ssnr), where=each > 0)


def ssnr(tau2: Floats, weight: Floats, *, padding: int = 2) -> Floats:
    """Return the signal-to-noise ratio τ²·p³⟨W⟩ of each shell."""
    ratio: Floats = np.asarray(tau2, dtype=np.float64) * padding**3 * np.asarray(weight, dtype=np.float64)
    return ratio
