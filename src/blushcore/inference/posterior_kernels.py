"""Adds images to the slices that they belong to, weighted by their posterior, on the CPU."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
_FAST = {"contract", "nsz", "arcp", "reassoc"}
"""What may be done to sums for speed: not to infinities, which stand for what does not count."""
_CHILDREN = 8
"""Orientations of one parent follow each other, in the lists of all images."""
_BLOCK = 512
"""Components at one time: the sums of all children stay in the processor's first cache."""


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def _add_eight(to: Array, ramps: Array, o: Array, begin: int, stop: int, w: Array) -> None:
    """Add eight ramps, `o`, from `begin` to `stop`, each with its weight."""
    e0, e1, e2, e3 = (
        ramps[o[0], begin:stop],
        ramps[o[1], begin:stop],
        ramps[o[2], begin:stop],
        ramps[o[3], begin:stop],
    )
    e4, e5, e6, e7 = (
        ramps[o[4], begin:stop],
        ramps[o[5], begin:stop],
        ramps[o[6], begin:stop],
        ramps[o[7], begin:stop],
    )
    w0, w1, w2, w3, w4, w5, w6, w7 = w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]
    for p in range(len(to)):
        to[p] += (w0 * e0[p] + w1 * e1[p] + w2 * e2[p] + w3 * e3[p]) + (
            w4 * e4[p] + w5 * e5[p] + w6 * e6[p] + w7 * e7[p]
        )


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def _add_four(to: Array, ramps: Array, o: Array, begin: int, stop: int, w: Array) -> None:
    """Add four ramps, `o`, from `begin` to `stop`, each with its weight."""
    e0, e1, e2, e3 = (
        ramps[o[0], begin:stop],
        ramps[o[1], begin:stop],
        ramps[o[2], begin:stop],
        ramps[o[3], begin:stop],
    )
    w0, w1, w2, w3 = w[0], w[1], w[2], w[3]
    for p in range(len(to)):
        to[p] += w0 * e0[p] + w1 * e1[p] + w2 * e2[p] + w3 * e3[p]


@numba.njit(cache=True, nogil=True)
def _any_of_four(w: Array) -> bool:
    return bool(w[0] != 0 or w[1] != 0 or w[2] != 0 or w[3] != 0)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def _add_product(re: Array, im: Array, a_re: Array, a_im: Array, b_re: Array, b_im: Array) -> None:
    """Add the product of two complex arrays. A loop that writes to one place is vectorised."""
    for p in range(len(re)):
        re[p] += a_re[p] * b_re[p] - a_im[p] * b_im[p]
    for p in range(len(im)):
        im[p] += a_re[p] * b_im[p] + a_im[p] * b_re[p]


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def _add_overlap(
    to: Array, a_re: Array, a_im: Array, b_re: Array, b_im: Array, s_re: Array, s_im: Array
) -> None:
    """Add Re(a b · conj(s))."""
    for p in range(len(to)):
        to[p] += (a_re[p] * b_re[p] - a_im[p] * b_im[p]) * s_re[p] + (
            a_re[p] * b_im[p] + a_im[p] * b_re[p]
        ) * s_im[p]


@numba.njit(cache=True, nogil=True)
def _first_not_below(values: Array, low: int, high: int, wanted: int) -> int:
    while low < high:
        middle = (low + high) // 2
        if values[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low


@numba.njit(parallel=True, cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def add_images(
    block: Array,
    slices: Array,
    orientations: Array,
    orientation_start: Array,
    offsets: Array,
    offset_start: Array,
    weights: Array,
    value_start: Array,
    of_orientations: Array,
    ramps: Array,
    unmasked: Array,
    masked: Array,
    first_image: int,
    data: Array,
    cross: Array,
    share_of: Array,
) -> None:
    """Add images to the slices of their orientations, moved by their offsets, as their poses have weight.

    Parameters
    ----------
    block, slices
        Orientations, int64 ``(U,)``, ascending, and their slices, float32 ``(U, 2P)``, real parts first.
    orientations, orientation_start, offsets, offset_start
        The images' own lists, as in `PosesToCompare`: all 8 children of some orientations, ascending, and all 4
        of some offsets.
    weights, value_start
        Flat, each image's table (own orientations × own offsets).
    of_orientations
        The sum of each row of these tables.
    ramps, unmasked, masked
        Phase ramps ``(T, 2P)``, and the images as they are reconstructed from and as they are compared,
        ``(B, 2P)``; float32, real parts first.
    first_image
        The images are this one and as many as `cross` has.
    data
        The moved images are added to it, ``(U, 2P)``.
    cross
        Re(moved image · conj(slice)) is added to it, in parts that do not depend on the number of threads,
        ``(C, some of B, P)``.
    share_of
        Set: the weight of each slice in each image, ``(B, U)``.
    """
    count = slices.shape[1] // 2
    parts, images = cross.shape[0], cross.shape[1]
    for part in numba.prange(parts):
        moved = np.empty((_CHILDREN, 2 * count), np.float32)
        child = np.empty(_CHILDREN, np.int64)
        u = part * len(block) // parts
        last = (part + 1) * len(block) // parts
        while u < last:
            parent = block[u] // _CHILDREN
            end = u
            while end < last and block[end] // _CHILDREN == parent:
                end += 1
            for i in range(images):
                b = first_image + i
                o0, o1 = orientation_start[b], orientation_start[b + 1]
                place = _first_not_below(orientations, o0, o1, parent * _CHILDREN)
                if place == o1 or orientations[place] // _CHILDREN != parent:
                    continue
                width = offset_start[b + 1] - offset_start[b]
                used = 0
                for v in range(u, end):
                    own = place + block[v] - parent * _CHILDREN
                    share_of[b, v] = of_orientations[own]
                    if of_orientations[own] > 0:
                        child[used] = v
                        used += 1
                for begin in range(0, 2 * count, _BLOCK):
                    stop = min(begin + _BLOCK, 2 * count)
                    moved[:used, begin:stop] = 0
                    for t in range(0, width, 8):
                        o = offsets[offset_start[b] + t : offset_start[b] + min(t + 8, width)]
                        for k in range(used):
                            row = place - o0 + block[child[k]] - parent * _CHILDREN
                            at = value_start[b] + row * width + t
                            w = weights[at : at + len(o)]
                            to = moved[k, begin:stop]
                            one, other = _any_of_four(w[:4]), len(o) == 8 and _any_of_four(w[4:])
                            if one and other:
                                _add_eight(to, ramps, o, begin, stop, w)
                            elif one:
                                _add_four(to, ramps, o[:4], begin, stop, w[:4])
                            elif other:
                                _add_four(to, ramps, o[4:], begin, stop, w[4:])
                for k in range(used):
                    v = child[k]
                    re, im = moved[k, :count], moved[k, count:]
                    _add_product(
                        data[v, :count], data[v, count:], re, im, unmasked[b, :count], unmasked[b, count:]
                    )
                    _add_overlap(
                        cross[part, i],
                        re,
                        im,
                        masked[b, :count],
                        masked[b, count:],
                        slices[v, :count],
                        slices[v, count:],
                    )
            u = end
