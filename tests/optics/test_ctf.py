"""The CTF against closed forms, a formula of its own in float64, and its two ways of being computed."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from relion_optics import GROUP

from blushcore.optics import CtfParameters, OpticsGroup, ctf, even_zernike_sum, scaled_frequencies
from blushcore.optics.ctf_tensor_ops import ctf_by_tensors
from blushcore.optics.phase_terms import ComponentTerms
from blushcore.shells import PlaneComponents

EVERYTHING = dataclasses.replace(
    GROUP,
    magnification=((1.03, 0.01), (-0.004, 0.98)),
    even_zernike=(0.1, 0.3, -0.2, 0.5, 1.0, -2.0, 0.7, 0.4, 1.5),
    amplitude_contrast=0.07,
)


def random_parameters(count: int, *, highest_defocus: float = 40_000.0) -> CtfParameters:
    rng = np.random.default_rng(5)
    u = rng.uniform(-2000, highest_defocus, count)
    return CtfParameters.of(
        u,
        u - rng.uniform(-2000, 2000, count),
        rng.uniform(-180, 180, count),
        rng.uniform(0, 180, count),
        rng.uniform(-20, 100, count) * (rng.random(count) < 0.5),
        rng.uniform(0.5, 1.5, count),
    )


def by_formula(group: OpticsGroup, parameters: CtfParameters, plane: PlaneComponents) -> np.ndarray:
    """The textbook's formula, an angle and a radius at a time, in float64."""
    extent = group.box * group.pixel_size_angstrom
    x, y = plane.kx.numpy() / extent, plane.ky.numpy() / extent
    if group.magnification is not None:
        x, y = np.asarray(group.magnification) @ np.stack((x, y))
    k, azimuth = np.hypot(x, y), np.arctan2(y, x)
    aberrations = even_zernike_sum(group.even_zernike, torch.from_numpy(x), torch.from_numpy(y)).numpy()
    u, v, angle, shift, b, scale = (
        getattr(parameters, field.name).numpy()[:, None] for field in dataclasses.fields(parameters)
    )
    volts = group.voltage_kilovolts * 1e3
    wavelength = 12.2643247 / math.sqrt(volts + 0.978466e-6 * volts**2)
    defocus = 0.5 * ((u + v) + (u - v) * np.cos(2 * (azimuth - np.radians(angle))))
    phase = np.pi * wavelength * defocus * k**2
    phase = phase - 0.5 * np.pi * group.spherical_aberration_mm * 1e7 * wavelength**3 * k**4
    phase = phase + np.radians(shift) + math.asin(group.amplitude_contrast) - aberrations
    return np.sin(phase) * np.exp(-b * k**2 / 4) * scale


@pytest.mark.parametrize("group", [GROUP, EVERYTHING], ids=["plain", "everything"])
def test_it_is_the_formula(group: OpticsGroup) -> None:
    plane, parameters = PlaneComponents.of(group.box), random_parameters(50)
    ours = ctf(group, parameters, plane.kx, plane.ky)
    assert ours.dtype == torch.float32
    expected = by_formula(group, parameters, plane)
    np.testing.assert_allclose(ours, expected, atol=3e-6, rtol=1e-6)  # negative B factors grow up to ×3


@pytest.mark.parametrize("group", [GROUP, EVERYTHING], ids=["plain", "everything"])
@pytest.mark.parametrize("intact", [False, True])
@pytest.mark.parametrize("highest_defocus", [4e4, 1e6])
def test_other_devices_compute_the_same(
    group: OpticsGroup, intact: bool, highest_defocus: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blushcore.optics.ctf_tensor_ops.VALUES_AT_ONCE", 7 * 1604)
    plane = PlaneComponents.of(group.box)
    parameters = random_parameters(30, highest_defocus=highest_defocus)
    expected = ctf(group, parameters, plane.kx, plane.ky, intact_first_peak=intact)
    terms = ComponentTerms.of(group, plane.kx, plane.ky)
    ours = ctf_by_tensors(terms, parameters, torch.device("cpu"), intact_first_peak=intact)
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.cuda
def test_a_gpu_computes_the_same() -> None:
    plane, parameters = PlaneComponents.of(EVERYTHING.box), random_parameters(30)
    expected = ctf(EVERYTHING, parameters, plane.kx, plane.ky)
    ours = ctf(EVERYTHING, parameters.to("cuda"), plane.kx.cuda(), plane.ky.cuda())
    assert ours.device.type == "cuda"
    torch.testing.assert_close(ours.cpu(), expected, atol=1e-5, rtol=1e-5)


def test_at_focus_without_aberration_only_the_amplitude_contrast_is_left() -> None:
    perfect = dataclasses.replace(GROUP, spherical_aberration_mm=0.0, amplitude_contrast=0.2)
    plane = PlaneComponents.of(16)
    values = ctf(perfect, CtfParameters.of([0.0]), plane.kx, plane.ky, box=16)
    torch.testing.assert_close(values, torch.full_like(values, 0.2))


def test_the_first_zero_of_pure_defocus_lies_where_it_has_to() -> None:
    """sin(πλΔf k²) = 0 at k = 1/√(λΔf): defocus chosen so that this is component 20 of x."""
    perfect = dataclasses.replace(GROUP, spherical_aberration_mm=0.0, amplitude_contrast=0.0)
    extent = GROUP.box * GROUP.pixel_size_angstrom
    defocus = (extent / 20) ** 2 / perfect.wavelength_angstrom
    along_x = ctf(perfect, CtfParameters.of([defocus]), torch.arange(22), torch.zeros(22, dtype=torch.int64))[0]
    assert abs(along_x[20]) < 1e-6
    assert (along_x[1:20] > 0).all()
    assert along_x[21] < 0


def test_underfocus_makes_low_frequencies_positive() -> None:
    plane = PlaneComponents.of(64, 4)
    assert (ctf(GROUP, CtfParameters.of([15_000.0]), plane.kx, plane.ky) > 0).all()


def test_the_larger_defocus_lies_along_the_angle() -> None:
    """u along y: what u alone gives along x, this gives along y."""
    steps, zeros = torch.arange(1, 30), torch.zeros(29, dtype=torch.int64)
    turned = CtfParameters.of([20_000.0], [10_000.0], [90.0])
    only_u, only_v = CtfParameters.of([20_000.0]), CtfParameters.of([10_000.0])
    torch.testing.assert_close(ctf(GROUP, turned, zeros, steps), ctf(GROUP, only_u, steps, zeros))
    torch.testing.assert_close(ctf(GROUP, turned, steps, zeros), ctf(GROUP, only_v, steps, zeros))


def test_a_phase_plate_of_90_degrees_turns_sine_to_cosine() -> None:
    perfect = dataclasses.replace(GROUP, amplitude_contrast=0.0)
    plane = PlaneComponents.of(64)
    without = ctf(perfect, CtfParameters.of([12_000.0]), plane.kx, plane.ky)
    plate = ctf(perfect, CtfParameters.of([12_000.0], phase_shift_deg=90.0), plane.kx, plane.ky)
    torch.testing.assert_close(without**2 + plate**2, torch.ones_like(plate), atol=2e-6, rtol=0)


@pytest.mark.parametrize(("kilovolts", "picometres"), [(100, 3.701), (200, 2.508), (300, 1.969)])
def test_wavelengths_are_the_textbooks(kilovolts: float, picometres: float) -> None:
    group = dataclasses.replace(GROUP, voltage_kilovolts=kilovolts)
    assert 100 * group.wavelength_angstrom == pytest.approx(picometres, abs=1e-3)


def test_an_image_of_another_box_samples_the_same_curve() -> None:
    steps = torch.arange(1, 15)
    parameters = random_parameters(3)
    in_small = ctf(GROUP, parameters, steps, -steps, box=32)
    torch.testing.assert_close(in_small, ctf(GROUP, parameters, 2 * steps, -2 * steps, box=64))


def test_frequencies_are_in_reciprocal_angstroms() -> None:
    x, y = scaled_frequencies(GROUP, torch.tensor([64, 0]), torch.tensor([0, -32]))
    assert x.tolist() == [pytest.approx(1 / 1.7), 0]
    assert y.tolist() == [0, pytest.approx(-0.5 / 1.7)]


def test_parameters_are_spread_taken_and_moved() -> None:
    parameters = CtfParameters.of([1.0, 2.0, 3.0], b_factor=4.0)
    assert parameters.count == 3
    assert parameters.defocus_v_angstrom.tolist() == [1, 2, 3]
    assert parameters.scale.tolist() == [1, 1, 1]
    some = parameters.take(torch.tensor([2, 0])).to("cpu")
    assert some.defocus_u_angstrom.tolist() == [3, 1]
    assert some.b_factor.tolist() == [4, 4]
    assert parameters.take(slice(0, 0)).count == 0


def test_no_particles_have_no_ctf() -> None:
    plane = PlaneComponents.of(16)
    assert ctf(GROUP, CtfParameters.of(np.zeros(0)), plane.kx, plane.ky).shape == (0, plane.count)
