"""The CTF on the processor: one compiled loop over particles and components.

The phase is computed in float64 turns, of which only the fraction goes on; its sine is a polynomial in float32.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# Taylor series of sin(2πt), odd powers 1 to 13: 7e-10 off at t = ¼.
_S1 = np.float32(2 * np.pi)
_S3 = np.float32(-((2 * np.pi) ** 3) / 6)
_S5 = np.float32((2 * np.pi) ** 5 / 120)
_S7 = np.float32(-((2 * np.pi) ** 7) / 5040)
_S9 = np.float32((2 * np.pi) ** 9 / 362880)
_S11 = np.float32(-((2 * np.pi) ** 11) / 39916800)
_S13 = np.float32((2 * np.pi) ** 13 / 6227020800)


@numba.njit(parallel=True, fastmath=True, cache=True, error_model="numpy", nogil=True)
def ctf_values(
    components: Array, particles: Array, decay: Array, b_factor: Array, scale: Array, intact: bool, out: Array
) -> None:
    """Fill `out`, float32 ``(B, P)``.

    `components` float64 ``(4, P)``: turns per defocus, cosine, sine, and the rest; `particles` float64
    ``(B, 4)``: defocus, cosine, sine, shift; `decay` float32 ``(P,)``; `b_factor` and `scale` float32 ``(B,)``;
    `intact`: 1 instead of the CTF up to its first peak.
    """
    count = components.shape[1]
    per_defocus, per_cosine, per_sine, rest = components[0], components[1], components[2], components[3]
    for b in numba.prange(particles.shape[0]):
        defocus, cosine, sine, shift = particles[b, 0], particles[b, 1], particles[b, 2], particles[b, 3]
        factor = scale[b]
        row = out[b]
        for p in range(count):
            turns = (defocus * per_defocus[p] + cosine * per_cosine[p]) + (
                sine * per_sine[p] + (rest[p] + shift)
            )
            # sin(2πt) = cos(2π(t − ¼)) is even about t = ¼: one fold brings it to [−¼, ¼].
            quarter = turns - 0.25
            t = np.float32(0.25) - np.float32(abs(quarter - np.floor(quarter + 0.5)))
            t2 = t * t
            value = t * (_S1 + t2 * (_S3 + t2 * (_S5 + t2 * (_S7 + t2 * (_S9 + t2 * (_S11 + t2 * _S13))))))
            if intact and abs(turns) < 0.25:
                value = np.float32(1)
            row[p] = factor * value
        b_here = b_factor[b]
        if b_here != 0:
            for p in range(count):
                row[p] *= np.exp(b_here * decay[p])
