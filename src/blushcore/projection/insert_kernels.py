"""Slices into a padded half transform on the processor: compiled, parallel and the same for any thread count.

Threads own slabs of the volume: all planes of one axis within an interval. The points of each slice are first
sorted by the plane they lie above; each thread then goes through all slices and takes the points that touch its
planes. Every component of the volume thus receives its contributions in one order (slice, plane, component),
no matter how many slabs there are, and nobody needs a volume of its own.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@numba.njit(parallel=True, cache=True, error_model="numpy", nogil=True)
def sort_by_plane(
    axis: int, reach: np.float32, rotations: Array, kx: Array, ky: Array, first: Array, order: Array
) -> None:
    """Sort the points of each slice by the plane below them.

    Parameters
    ----------
    axis
        The planes' normal: 1 for y, 2 for z.
    first
        int32 ``(O, planes + 1)``, filled: where the points of each plane begin in `order`.
    order
        int32 ``(O, P)``, filled: the points' numbers.
    """
    count = kx.shape[0]
    for o in numba.prange(rotations.shape[0]):
        a, d = rotations[o, 0, 0], rotations[o, 1, 0]
        b, e = rotations[o, 0, axis], rotations[o, 1, axis]
        plane = np.empty(count, np.int32)
        for p in range(count):
            u = b * kx[p] + e * ky[p]
            if a * kx[p] + d * ky[p] < 0:
                u = -u
            plane[p] = np.int32(u + reach)
        begin = first[o]
        begin[:] = 0
        for p in range(count):
            begin[plane[p] + 1] += 1
        for i in range(begin.shape[0] - 1):
            begin[i + 1] += begin[i]
        for p in range(count):
            order[o, begin[plane[p]]] = p
            begin[plane[p]] += 1
        for i in range(begin.shape[0] - 1, 0, -1):
            begin[i] = begin[i - 1]
        begin[0] = 0


@numba.njit(cache=True, error_model="numpy", inline="always")
def _add(
    data: Array,
    weight: Array,
    at: int,
    near: np.float32,
    far: np.float32,
    re: np.float32,
    im: np.float32,
    w: np.float32,
) -> None:
    """Share a value between two neighbours along x."""
    data[2 * at] += near * re
    data[2 * at + 1] += near * im
    data[2 * at + 2] += far * re
    data[2 * at + 3] += far * im
    weight[at] += near * w
    weight[at + 1] += far * w


@numba.njit(parallel=True, cache=True, error_model="numpy", nogil=True)
def insert(
    data: Array,
    weight: Array,
    axis: int,
    strides: tuple[int, int],
    reach: np.float32,
    rotations: Array,
    kx: Array,
    ky: Array,
    first: Array,
    order: Array,
    edges: Array,
    values: Array,
    weights: Array,
) -> None:
    """Add slices to the volume, trilinearly shared between the eight neighbours of each point.

    Parameters
    ----------
    data, weight
        The volume, flat: real and imaginary parts side by side, and the weights.
    axis, first, order
        As in `sort_by_plane`.
    strides
        How far apart neighbours are in `weight`, along `axis` and along the other of y and z.
    edges
        The slabs, int64 ``(slabs + 1,)``: the planes where each begins, and the end.
    values, weights
        float32 ``(O, P, 2)`` and ``(O, P)``.
    """
    one = np.float32(1.0)
    other = 3 - axis
    step_u, step_v = strides
    for slab in numba.prange(edges.shape[0] - 1):
        low, high = edges[slab], edges[slab + 1]
        for o in range(rotations.shape[0]):
            xx, xy = rotations[o, 0, 0], rotations[o, 1, 0]
            ux, uy = rotations[o, 0, axis], rotations[o, 1, axis]
            vx, vy = rotations[o, 0, other], rotations[o, 1, other]
            for plane in range(max(low - 1, 0), high):
                down = reach - np.float32(plane)
                for q in range(first[o, plane], first[o, plane + 1]):
                    p = order[o, q]
                    x = xx * kx[p] + xy * ky[p]
                    u = ux * kx[p] + uy * ky[p]
                    v = vx * kx[p] + vy * ky[p]
                    re, im, w = values[o, p, 0], values[o, p, 1], weights[o, p]
                    if x < 0:
                        x, u, v, im = -x, -u, -v, -im
                    u += down
                    v += reach
                    i, j = int(x), int(v)
                    x -= np.float32(i)
                    v -= np.float32(j)
                    at = plane * step_u + j * step_v + i
                    if plane >= low:
                        share = (one - u) * (one - v)
                        _add(data, weight, at, share * (one - x), share * x, re, im, w)
                        share = (one - u) * v
                        _add(data, weight, at + step_v, share * (one - x), share * x, re, im, w)
                    if plane + 1 < high:
                        share = u * (one - v)
                        _add(data, weight, at + step_u, share * (one - x), share * x, re, im, w)
                        share = u * v
                        _add(data, weight, at + step_u + step_v, share * (one - x), share * x, re, im, w)
