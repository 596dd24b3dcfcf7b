"""Zernike polynomials and odd aberrations against closed forms."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from relion_optics import GROUP

from blushcore.optics import aberration_phases, even_zernike_sum, odd_zernike_sum
from blushcore.shells import PlaneComponents


def one_hot(index: int) -> list[float]:
    return [0.0] * index + [1.0]


@pytest.mark.parametrize(
    ("index", "form"),
    [
        (0, lambda x, y: 1 + 0 * (x + y)),
        (1, lambda x, y: 2 * x * y),
        (2, lambda x, y: 2 * (x**2 + y**2) - 1),
        (3, lambda x, y: x**2 - y**2),
        (4, lambda x, y: 4 * x**3 * y - 4 * x * y**3),
        (6, lambda x, y: 6 * (x**2 + y**2) ** 2 - 6 * (x**2 + y**2) + 1),
        (8, lambda x, y: x**4 - 6 * x**2 * y**2 + y**4),
    ],
)
def test_even_polynomials_are_the_cartesian_ones(index: int, form) -> None:
    x, y = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (2, 100)))
    torch.testing.assert_close(even_zernike_sum(one_hot(index), x, y), form(x, y))


@pytest.mark.parametrize(
    ("index", "form"),
    [
        (0, lambda x, y: y + 0 * x),
        (1, lambda x, y: x + 0 * y),
        (2, lambda x, y: 3 * x**2 * y - y**3),
        (3, lambda x, y: (3 * (x**2 + y**2) - 2) * y),
        (4, lambda x, y: (3 * (x**2 + y**2) - 2) * x),
        (5, lambda x, y: x**3 - 3 * x * y**2),
    ],
)
def test_odd_polynomials_are_the_cartesian_ones(index: int, form) -> None:
    x, y = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (2, 100)))
    torch.testing.assert_close(odd_zernike_sum(one_hot(index), x, y), form(x, y))
    torch.testing.assert_close(odd_zernike_sum(one_hot(index), -x, -y), -form(x, y))


def test_a_linear_aberration_is_a_shift() -> None:
    """φ = c·kx: the image holds e^(+iφ), content moved by −c/2π Å; undoing it moves by +c/2π."""
    shift_px = 1.5
    group = dataclasses.replace(GROUP, odd_zernike=(0.0, 2 * np.pi * shift_px * GROUP.pixel_size_angstrom))
    plane = PlaneComponents.of(GROUP.box)
    phases = aberration_phases(group, plane.kx, plane.ky)
    assert phases is not None
    torch.testing.assert_close(phases, plane.phase_ramps(torch.tensor([shift_px, 0.0])), atol=1e-5, rtol=0)


def test_beam_tilt_is_the_coma_polynomials() -> None:
    """|k|²·x = (Z₃¹ + 2 Z₁¹)/3, and the same for y."""
    group = dataclasses.replace(GROUP, beam_tilt_mrad=(1.5, -2.0), magnification=((1.02, 0.0), (0.01, 0.99)))
    strength = 2e-3 * np.pi * GROUP.spherical_aberration_angstrom * GROUP.wavelength_angstrom**2 / 3
    x, y = 1.5 * -strength, -2.0 * -strength
    as_zernikes = dataclasses.replace(
        group, beam_tilt_mrad=(0.0, 0.0), odd_zernike=(2 * y, 2 * x, 0.0, y, x, 0.0)
    )
    plane = PlaneComponents.of(GROUP.box)
    by_tilt = aberration_phases(group, plane.kx, plane.ky)
    by_zernikes = aberration_phases(as_zernikes, plane.kx, plane.ky)
    assert by_tilt is not None
    assert by_zernikes is not None
    torch.testing.assert_close(by_tilt, by_zernikes, atol=1e-5, rtol=0)
    assert (by_tilt - 1).abs().max() > 0.5


def test_without_odd_aberrations_there_is_nothing_to_undo() -> None:
    plane = PlaneComponents.of(16)
    assert aberration_phases(dataclasses.replace(GROUP, odd_zernike=(0.0, 0.0)), plane.kx, plane.ky) is None
