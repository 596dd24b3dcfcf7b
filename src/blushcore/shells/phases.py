"""Phase randomisation: a map that keeps its amplitudes and loses its structure from a shell on."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from blushcore.shells.geometry import mirrored
from blushcore.shells.transforms import VolumeLike, as_cube, plane_blocks


def randomise_phases(volume: VolumeLike, from_shell: int, *, seed: int | Sequence[int]) -> Tensor:
    """Give each Fourier component at or beyond the radius `from_shell` a random phase.

    Parameters
    ----------
    volume
        Map ``(n, n, n)``.
    from_shell
        Radius |k| in shell units from which phases change, at least 1; the corners of the box included. The
        radius is the exact one, not the rounded: of the shell of this number the inner half keeps its phases,
        as in RELION.
    seed
        The same seed gives the same phases on every device.

    Returns
    -------
    Real Tensor ``(n, n, n)`` of the map's dtype with the same amplitudes, on its device.

    Raises
    ------
    BlushError
        If the map is not a cube.

    Notes
    -----
    Chen et al. 2013, Ultramicroscopy 135:24.
    """
    if from_shell < 1:
        raise ValueError(f"from_shell must be at least 1, got {from_shell}: the mean has no phase")
    cube = as_cube(volume)
    n = cube.shape[0]
    transform = torch.fft.rfftn(cube)
    turn = torch.from_numpy(_hermitian_phases(n, seed)).to(transform.device)
    squared = mirrored(n, transform.device) ** 2
    squared_yx = squared[:, None] + squared[: n // 2 + 1]
    one = torch.ones((), dtype=transform.real.dtype, device=transform.device)
    for planes in plane_blocks(n, transform.device):
        changed = squared[planes, None, None] + squared_yx >= from_shell**2
        angle = turn[planes].to(one.dtype) * changed
        transform[planes] *= torch.polar(one.expand_as(angle), angle)
    randomised: Tensor = torch.fft.irfftn(transform, s=(n, n, n))
    return randomised


def _hermitian_phases(n: int, seed: int | Sequence[int]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Return uniform phases in radians, float32 ``(n, n, n // 2 + 1)``, with φ(−k) = −φ(k).

    Only the planes x = 0 and x = n/2 hold both k and −k: there the difference of two uniform phases serves,
    which is uniform again (modulo 2π) and antisymmetric. Components that are their own mates can only change
    sign.
    """
    phases = np.random.default_rng(seed).random((n, n, n // 2 + 1), dtype=np.float32)
    phases *= 2.0 * math.pi
    even = n % 2 == 0
    for x in (0, n // 2) if even else (0,):
        plane = phases[:, :, x].copy()
        phases[:, :, x] -= np.roll(plane[::-1, ::-1], (1, 1), axis=(0, 1))
        step = n // 2 if even else n
        own_mates = plane[::step, ::step]
        phases[::step, ::step, x] = np.where(own_mates < math.pi, 0.0, math.pi)
    return phases
