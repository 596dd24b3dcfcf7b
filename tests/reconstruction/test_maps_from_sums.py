"""The division by weights, τ², priors: each against its formula, component by component."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from random_sums import random_sums
from scipy.spatial.transform import Rotation

from blushcore.projection import FourierVolume, SliceSums, map_of, sinc_squared
from blushcore.protocol import BlushError
from blushcore.reconstruction import (
    HalfSums,
    Reconstruction,
    Unit,
    WienerPrior,
    flatten_solvent,
    fsc,
    mean_weight,
    ssnr,
    tau2_from_fsc,
    unfiltered_map,
    unregularised_map,
    wiener_map,
)
from blushcore.shells import fsc as fsc_of_maps
from blushcore.shells.plane import PlaneComponents
from blushcore.volumes import soft_sphere
from relion_projections import blobs


def radius_and_count(sums: HalfSums) -> tuple[np.ndarray, np.ndarray]:
    """|k| of each kept component, and how many of the sphere's components it stands for."""
    reach = sums.grid.reach
    axis = np.arange(-reach, reach + 1)
    radius = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis[reach:] ** 2)
    count = np.broadcast_to(np.where(axis[reach:] == 0, 1, 2), radius.shape)
    return radius, count


def by_formula(sums: HalfSums, divisor: np.ndarray) -> np.ndarray:
    """The map of data ÷ divisor, both over the kept components, worked out in float64."""
    grid = sums.grid
    radius, _ = radius_and_count(sums)
    data = sums.data.numpy().astype(complex)
    quotient = np.divide(
        data, divisor, out=np.zeros_like(data), where=(divisor > 0) & (radius <= 2 * grid.last_shell)
    )
    volume = map_of(torch.from_numpy(quotient), grid).numpy()
    sphere = soft_sphere((grid.n,) * 3, grid.n / 2, 3, dtype=torch.float64).numpy()
    level = np.average(volume, weights=1 - sphere)
    return (volume * sphere + level * (1 - sphere)) / sinc_squared(grid.n, grid.padding).numpy()


@pytest.mark.parametrize("size", [24, 16])
def test_the_mean_weight_counts_every_component_of_the_sphere_once(size: int) -> None:
    sums = random_sums(24, size)
    radius, count = radius_and_count(sums)
    shell = np.where(radius <= size, np.floor(radius / 2 + 0.5), -1)
    curve = mean_weight(sums)
    assert curve.shape == (13,)
    for s in range(size // 2 + 1):
        here = shell == s
        expected = np.average(sums.weight.numpy()[here].astype(float), weights=count[here])
        assert curve[s] == pytest.approx(expected, rel=1e-6)
    assert (curve[size // 2 + 1 :] == 0).all()


@pytest.mark.parametrize("size", [24, 16])
def test_the_divisions_are_their_formulas(size: int) -> None:
    sums = random_sums(24, size)
    sums.weight[sums.weight < 0.3 * float(sums.weight.mean())] *= 1e-4  # so that the floor matters
    radius, _ = radius_and_count(sums)
    shell = np.minimum(np.floor(radius / 2 + 0.5).astype(int), 12)
    weight, mean = sums.weight.numpy().astype(float), mean_weight(sums)[shell]
    tau2 = np.linspace(2.0, 0.1, 13) / 50
    prior = np.where(shell >= 5, 1 / (8 * 4.0 * tau2[shell]), 0)
    for got, divisor in (
        (unfiltered_map(sums), np.maximum(weight, mean / 1000)),
        (unregularised_map(sums), weight + mean / 1000),
        (wiener_map(sums, tau2, tau_fudge=4.0), np.maximum(weight + prior, mean / 1000)),
    ):
        expected = by_formula(sums, divisor)
        assert got.dtype == torch.float32
        assert np.abs(got.numpy() - expected).max() < 2e-5 * np.abs(expected).max()


def test_a_map_comes_back_from_its_slices() -> None:
    n = 48
    volume = torch.from_numpy(blobs(n, np.random.default_rng(1)))
    plane = PlaneComponents.of(n)
    poses = torch.from_numpy(Rotation.random(2000, random_state=1).as_matrix())
    slices = SliceSums(n)
    weights = torch.rand(2000, plane.count, generator=torch.Generator().manual_seed(0)) + 0.1
    slices.insert(poses, FourierVolume.of(volume).slices(poses, plane) * weights, weights, plane)
    curve = fsc_of_maps(unregularised_map(HalfSums.of(slices)), volume)
    assert curve[: int(0.9 * n / 2)].min() > 0.995


def test_a_shell_without_weight_is_empty_and_nan_is_not_hidden() -> None:
    sums = random_sums(24)
    shells = sums.grid.shells(slice(None))
    for tensor in (sums.data, sums.weight):
        tensor[shells == 7] = 0
    tau2 = tau2_from_fsc(np.full(13, 0.5), mean_weight(sums))
    assert tau2[7] == 0
    for volume in (unfiltered_map(sums), unregularised_map(sums), wiener_map(sums, tau2)):
        assert torch.isfinite(volume).all()
    sums.weight[sums.grid.reach + 4, sums.grid.reach, 4] = torch.nan
    for volume in (unfiltered_map(sums), unregularised_map(sums), wiener_map(sums, np.ones(13))):
        assert volume.isnan().all()


def test_tau2_follows_the_fsc() -> None:
    curve = np.array([1.0, 0.9995, 0.5, 0.1, 0.0, -0.3])
    weight = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 0.0])
    power = tau2_from_fsc(curve, weight, tau_fudge=3.0, padding=2)
    expected = 3.0 * np.array([999, 999, 1, 1 / 9, 1 / 999]) / (8 * weight[:5])
    assert power[:5] == pytest.approx(expected, rel=1e-6)
    assert power[5] == 0
    last = tau2_from_fsc(curve, weight, is_last=True, padding=2)
    joined = np.sqrt(2 * 0.5 / 1.5)
    assert last[2] == pytest.approx(joined / (1 - joined) / (8 * 4.0))
    assert ssnr(power, weight)[:5] == pytest.approx(power[:5] * 8 * weight[:5])


def test_the_fsc_is_that_of_the_unfiltered_maps() -> None:
    one, two = random_sums(24, 20, seed=1), random_sums(24, 20, seed=2)
    two.data.add_(one.data, alpha=2)
    curve = fsc(one, two)
    maps = fsc_of_maps(unfiltered_map(one), unfiltered_map(two))
    assert np.array_equal(curve[:11], maps[:11])
    assert (curve[11:] == 0).all()
    assert curve[1:5].min() > 0.5


def reconstruction(sums: HalfSums, **changes: object) -> Reconstruction:
    weight = mean_weight(sums)
    curve = np.linspace(0.99, 0.01, len(weight))
    facts = {"fsc": curve, "tau2": tau2_from_fsc(curve, weight), "voxel_size": 2.0, "diameter_angstrom": 30.0}
    return Reconstruction(sums, **(facts | changes))  # type: ignore[arg-type]


def test_a_reconstruction_knows_its_sums() -> None:
    sums = random_sums(24, 16)
    each = reconstruction(sums, unit=Unit("body", 2), half=1, tau_fudge=2.0)
    assert (each.box, each.current_size, each.padding) == (24, 16, 2)
    assert each.data is sums.data
    assert each.weight is sums.weight
    assert torch.equal(each.unregularised(), unregularised_map(sums))
    assert torch.equal(each.unfiltered(), unfiltered_map(sums))
    assert torch.equal(each.wiener(), wiener_map(sums, each.tau2, tau_fudge=2.0))


def test_the_wiener_prior_answers_each_in_order() -> None:
    first, second = reconstruction(random_sums(seed=1)), reconstruction(random_sums(seed=2), half=2)
    references = WienerPrior()([first, second])
    assert torch.equal(references[0].map, first.wiener())
    assert torch.equal(references[1].map, second.wiener())
    assert references[1].map_before is references[1].map
    assert references[0].cutoff_shell is None


def test_the_wiener_filter_damps_by_the_ssnr() -> None:
    # All weights alike: the filter is SSNR/(1 + SSNR), which at T = 1 is the FSC itself.
    sums = random_sums(24)
    sums.weight.fill_(3.0)
    curve = np.linspace(0.95, 0.05, 13)
    filtered = wiener_map(sums, tau2_from_fsc(curve, mean_weight(sums)))
    plain = by_formula(sums, sums.weight.numpy().astype(float))
    radius, _ = radius_and_count(sums)
    shell = np.minimum(np.floor(radius / 2 + 0.5).astype(int), 12)
    expected = by_formula(sums, 3.0 / np.where(shell >= 5, curve[shell], 1.0))
    assert np.abs(filtered.numpy() - expected).max() < 2e-5 * np.abs(expected).max()
    assert np.abs(filtered.numpy() - plain).max() > 0.1 * np.abs(plain).max()


def test_the_solvent_is_at_zero() -> None:
    n, size = 40, 2.0
    particle = torch.from_numpy(blobs(n, np.random.default_rng(0), reach=0.15))
    flat = flatten_solvent(particle + 0.7, voxel_size=size, diameter_angstrom=48.0)
    axis = np.arange(n) - n // 2
    radius = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
    assert (flat[torch.from_numpy(radius > 12 + 5)] == 0).all()
    assert torch.allclose(
        flat[torch.from_numpy(radius <= 12)], particle[torch.from_numpy(radius <= 12)], atol=1e-3
    )
    mask = torch.zeros(n, n, n)
    mask[10:30, 10:30, 10:30] = 1
    masked = flatten_solvent(particle + 0.7, voxel_size=size, diameter_angstrom=48.0, mask=mask)
    assert (masked[mask == 0] == 0).all()
    assert torch.allclose(masked[mask == 1], particle[mask == 1], atol=1e-2)
    whole = flatten_solvent(particle, voxel_size=size, diameter_angstrom=48.0, mask=torch.ones(n, n, n))
    assert torch.equal(whole, particle)
    with pytest.raises(BlushError, match="a box of 12 voxels, the map one of 40"):
        flatten_solvent(particle, voxel_size=size, diameter_angstrom=48.0, mask=torch.ones(12, 12, 12))
