"""Aberrations as sums of Zernike polynomials, in RELION's order and normalisation.

Zivanov 2020 (IUCrJ 7:253). ``Z(n, m) = R(n, |m|)(k) · cos(m φ)`` for m ≥ 0 and ``· sin(−m φ)`` for m < 0, with
R(1) = 1, where the radius is |k| in 1/Å itself, not a fraction of a largest one. ``rlnEvenZernike`` lists
(n, m) = (0, 0), (2, −2), (2, 0), (2, 2), (4, −4) …; ``rlnOddZernike`` (1, −1), (1, 1), (3, −3), (3, −1) …
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import factorial

import torch
from torch import Tensor


def even_zernike_sum(coefficients: Sequence[float], x: Tensor, y: Tensor) -> Tensor:
    """Return ``Σ c Z(k)`` in radians over even orders, float64 ``(P,)``, at frequencies x, y in 1/Å."""
    return _zernike_sum(coefficients, 0, x, y)


def odd_zernike_sum(coefficients: Sequence[float], x: Tensor, y: Tensor) -> Tensor:
    """Return ``Σ c Z(k)`` in radians over odd orders, float64 ``(P,)``, at frequencies x, y in 1/Å."""
    return _zernike_sum(coefficients, 1, x, y)


def _zernike_sum(coefficients: Sequence[float], first_order: int, x: Tensor, y: Tensor) -> Tensor:
    x, y = x.double(), y.double()
    radius, angle = torch.hypot(x, y), torch.atan2(y, x)
    total = torch.zeros_like(radius)
    for coefficient, (order, frequency) in zip(coefficients, _orders(first_order), strict=False):
        if coefficient:
            around = torch.cos(frequency * angle) if frequency >= 0 else torch.sin(-frequency * angle)
            total += coefficient * _radial(order, abs(frequency), radius) * around
    return total


def _orders(first_order: int) -> Iterator[tuple[int, int]]:
    """Yield (n, m) of orders n = `first_order`, `first_order` + 2, …"""
    order = first_order
    while True:
        for frequency in range(-order, order + 1, 2):
            yield order, frequency
        order += 2


def _radial(order: int, frequency: int, radius: Tensor) -> Tensor:
    """Return the radial polynomial R(n, m)."""
    total = torch.zeros_like(radius)
    for k in range((order - frequency) // 2 + 1):
        lower = factorial(k) * factorial((order + frequency) // 2 - k) * factorial((order - frequency) // 2 - k)
        total += (-1) ** k * factorial(order - k) / lower * radius ** (order - 2 * k)
    return total
