"""The Blush prior: what it gives to the denoiser, what it cuts off, and what it leaves to the Wiener filter."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from stand_in_denoisers import Constant, Identity, Inventing, TooLarge

from blushcore.denoiser import denoise_map
from blushcore.denoiser.region import particle_sphere
from blushcore.projection import FourierVolume, SliceSums
from blushcore.protocol import BlushError
from blushcore.reconstruction import (
    BlushPrior,
    HalfSums,
    Reconstruction,
    Unit,
    crossover_weights,
    cutoff_shell,
    fsc,
    last_denoised_shell,
    mean_weight,
    tau2_from_fsc,
    trailing_weights,
)
from blushcore.shells import fsc as fsc_of_maps
from blushcore.shells import power_spectrum, solvent_corrected_fsc
from blushcore.shells.plane import PlaneComponents
from blushcore.volumes import soft_sphere
from relion_projections import blobs

BOX, SIZE, DIAMETER = 32, 3.0, 48.0


def sums_of(volume: torch.Tensor, seed: int, noise: float, size: int | None = None) -> HalfSums:
    """Noisy slices of a map, of unit weight."""
    n = volume.shape[0]
    plane = PlaneComponents.of(n)
    poses = torch.from_numpy(Rotation.random(300, random_state=seed).as_matrix()).float()
    rng = torch.Generator().manual_seed(seed)
    images = FourierVolume.of(volume, n).slices(poses, plane)
    images += noise * images.abs().mean() * torch.complex(*torch.randn(2, *images.shape, generator=rng))
    slices = SliceSums(n, size)
    slices.insert(poses, images, torch.ones(images.shape), plane)
    return HalfSums.of(slices)


def halves_of(
    voxel_size: float = SIZE, noise: float = 3.0, size: int | None = None, **changes: object
) -> list[Reconstruction]:
    volume = torch.from_numpy(blobs(BOX, np.random.default_rng(4), reach=0.15))
    sums = [sums_of(volume, seed, noise, size) for seed in (1, 2)]
    curve = fsc(*sums)
    tau2 = [tau2_from_fsc(curve, mean_weight(one)) for one in sums]
    facts = {"voxel_size": voxel_size, "diameter_angstrom": DIAMETER, "fsc": curve, **changes}
    return [
        Reconstruction(one, tau2=power, half=half, **facts)  # type: ignore[arg-type]
        for half, one, power in zip((1, 2), sums, tau2, strict=True)
    ]


@pytest.fixture(scope="module")
def halves() -> list[Reconstruction]:
    return halves_of()


def joined_from(halves: list[Reconstruction]) -> Reconstruction:
    both = halves[0].sums.plus(halves[1].sums)
    tau2 = tau2_from_fsc(halves[0].fsc, mean_weight(both), is_last=True)
    return dataclasses.replace(halves[0], sums=both, tau2=tau2, half=None, is_last=True)


def test_the_cut_off_is_two_shells_below_the_first_without_agreement() -> None:
    curve = np.ones(17)
    assert cutoff_shell(curve) == 14  # never below: two below the last
    curve[9:] = 0.0
    assert cutoff_shell(curve) == 7
    curve[9] = 1 / 7  # at the threshold is not below it
    assert cutoff_shell(curve) == 8
    curve[5], curve[10] = 0.1, 0.9  # the first one counts
    assert cutoff_shell(curve) == 3
    assert cutoff_shell(np.zeros(17)) == 1
    assert cutoff_shell(np.append(-1.0, np.ones(16))) == 14  # shell 0 says nothing


def test_trailing_leaves_nothing_above_the_cut_off() -> None:
    assert trailing_weights(4, 9).tolist() == [1, 1, 1, 1, 0.5, 0, 0, 0, 0]


@pytest.mark.parametrize(("box", "voxel_size"), [(64, 1.0), (128, 1.2), (96, 0.83)])
def test_the_wiener_map_takes_over_below_the_denoisers_nyquist(box: int, voxel_size: float) -> None:
    last = last_denoised_shell(box, voxel_size)
    grid = 2 * round(box * voxel_size / 3)  # the even box nearest to 1.5 Å
    assert last == grid // 2 - 2
    weights = crossover_weights(last, box // 2 + 1)
    assert weights[: last - 1].min() == 1
    assert weights[last - 1 : last + 2].tolist() == [0.75, 0.5, 0.25]
    assert (weights[last + 2 :] == 0).all()


def test_with_the_identity_the_reference_is_the_unregularised_map_up_to_the_cut_off(halves) -> None:
    denoiser = Identity()
    references = BlushPrior(denoiser)(halves)
    assert denoiser.calls > 0
    for half, reference in zip(halves, references, strict=True):
        cutoff = cutoff_shell(half.fsc)
        assert 4 < cutoff < BOX // 2 - 2
        assert reference.cutoff_shell == cutoff
        assert torch.equal(reference.map_before, half.unregularised())
        denoised = denoise_map(Identity(), half.unregularised(), (SIZE,) * 3, diameter=DIAMETER).map
        got, uncut = power_spectrum(reference.map), power_spectrum(denoised)
        assert got[:cutoff] == pytest.approx(uncut[:cutoff], rel=1e-4)
        assert got[cutoff] == pytest.approx(uncut[cutoff] / 4, rel=1e-4)
        assert got[cutoff + 1 :].max() < 1e-9 * uncut[1]
        inside = soft_sphere((BOX,) * 3, DIAMETER / 2 / SIZE, 0.0)
        assert fsc_of_maps(denoised * inside, reference.map_before * inside)[1:cutoff].min() > 0.99
        assert reference.diagnostics["denoising_seconds"] > 0
        assert reference.diagnostics["denoised_blocks"] >= 1


def test_each_half_is_denoised_without_the_other(halves) -> None:
    alone = BlushPrior(Identity())([halves[1]])[0]
    together = BlushPrior(Identity())(halves)[1]
    assert torch.equal(alone.map, together.map)


def test_a_constant_prior_leaves_nothing_and_an_inventing_one_nothing_beyond_the_cut_off(halves) -> None:
    for half, reference in zip(halves, BlushPrior(Constant())(halves), strict=True):
        before = half.unregularised()
        assert float(reference.map.std()) < 0.05 * float(before.std())
    first, second = BlushPrior(Inventing(6.0))(halves)
    free = BlushPrior(Inventing(6.0), spectral_trailing=False)(halves)
    cutoff = first.cutoff_shell
    assert cutoff is not None
    beyond = slice(cutoff + 2, BOX // 2)
    # What it invents makes the halves agree where they do not; cut off, there is nothing left of it.
    assert halves[0].fsc[beyond].max() < 0.4
    assert fsc_of_maps(free[0].map, free[1].map)[beyond].min() > 0.6
    for one in (first, second):
        assert power_spectrum(one.map)[cutoff + 1 :].max() < 1e-9 * power_spectrum(one.map)[1]
    assert free[0].cutoff_shell is None


def test_of_the_controls_only_the_inventing_one_loses_against_the_raw_halves(halves) -> None:
    def measured(denoiser):
        first, second = BlushPrior(denoiser)(halves)
        assert first.safeguards is second.safeguards is not None
        return first.safeguards

    identity, inventing = measured(Identity()), measured(Inventing(6.0))
    sphere = particle_sphere((BOX,) * 3, (SIZE,) * 3, DIAMETER)
    within = [half.unregularised() * sphere for half in halves]
    np.testing.assert_allclose(identity.crossed.raw, fsc_of_maps(*within), atol=1e-6)
    assert abs(identity.gain) < 0.01  # the mask of blocks has an edge of its own
    shells = slice(1, identity.last_shell + 1)
    np.testing.assert_allclose(identity.transfer.signal[shells], 1, atol=0.03)
    assert inventing.gain < -0.05
    # A constant takes everything away and adds nothing: its agreement is none, not a wrong one.
    constant = measured(Constant())
    assert np.abs(constant.transfer.signal[shells]).max() < 0.1
    assert BlushPrior(Identity(), safeguards=False)(halves)[0].safeguards is None
    assert BlushPrior(Identity())(halves[:1])[0].safeguards is None


def test_under_a_mask_the_solvent_corrected_fsc_decides() -> None:
    halves = halves_of(noise=4.0)
    mask = soft_sphere((BOX,) * 3, 7.0, 3.0)
    masked = [dataclasses.replace(half, mask=mask) for half in halves]
    references = BlushPrior(Identity())(masked)
    curve = solvent_corrected_fsc(
        halves[0].unfiltered(), halves[1].unfiltered(), mask, voxel_size=SIZE
    ).corrected
    assert curve is not None
    expected = cutoff_shell(curve)
    assert expected > cutoff_shell(halves[0].fsc)
    assert [one.cutoff_shell for one in references] == [expected] * 2


def test_under_a_mask_shells_beyond_the_images_count_as_no_agreement() -> None:
    halves = halves_of(noise=0.2, size=20, mask=soft_sphere((BOX,) * 3, 7.0, 3.0))
    assert BlushPrior(Identity())(halves)[0].cutoff_shell == 9  # shell 11 is the first without images


def test_above_the_denoisers_nyquist_the_wiener_map_stays() -> None:
    halves = halves_of(voxel_size=1.0, noise=0.05, diameter_angstrom=20.0)
    last = last_denoised_shell(BOX, 1.0)
    assert cutoff_shell(halves[0].fsc) > last == 9
    reference = BlushPrior(Identity())(halves)[0]
    assert reference.cutoff_shell is None
    wiener, before = halves[0].wiener(), reference.map_before
    denoised = denoise_map(Identity(), before, (1.0,) * 3, diameter=20.0).map

    def differs(one: torch.Tensor) -> np.ndarray:
        return power_spectrum(reference.map - one) / power_spectrum(wiener)

    assert differs(wiener)[last + 2 :].max() < 1e-8
    assert differs(denoised)[1 : last - 1].max() < 1e-8
    assert differs(wiener)[1 : last - 1].max() > 1e-4
    # At N the two have half each.
    middle = power_spectrum(reference.map - (wiener + denoised) / 2)[last] / power_spectrum(wiener)[last]
    assert middle < 1e-8
    without = BlushPrior(Identity(), spectral_trailing=False)(halves)[0]
    assert torch.equal(without.map, reference.map)


def test_the_last_map_is_wieners_and_the_denoised_one_is_beside_it(halves) -> None:
    joined = joined_from(halves)
    reference = BlushPrior(Constant())([joined])[0]
    assert torch.equal(reference.map, joined.wiener())
    assert reference.map_before is reference.map
    assert reference.denoised is not None
    assert float(reference.denoised.std()) < 0.05 * float(joined.unregularised().std())
    assert reference.cutoff_shell is None


@pytest.mark.parametrize("is_last", [False, True])
def test_a_class_is_its_wiener_map_denoised_without_a_low_pass(halves, is_last: bool) -> None:
    one = dataclasses.replace(
        halves[0], fsc=np.zeros(BOX // 2 + 1), half=None, unit=Unit("class", 2), is_last=is_last
    )
    reference = BlushPrior(Identity())([one])[0]
    assert torch.equal(reference.map_before, one.wiener())
    expected = denoise_map(Identity(), one.wiener(), (SIZE,) * 3, diameter=DIAMETER).map
    assert torch.equal(reference.map, expected)
    fine = dataclasses.replace(one, voxel_size=1.0, diameter_angstrom=20.0)
    last = last_denoised_shell(BOX, 1.0)
    above = power_spectrum(BlushPrior(Constant())([fine])[0].map - fine.wiener())[last + 2 :]
    assert above.max() < 1e-8 * power_spectrum(fine.wiener())[last + 2 :].min()


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_the_scale_of_the_data_is_that_of_the_reference(halves, factor: float) -> None:
    half = halves[0]
    data = half.data * factor
    scaled = dataclasses.replace(half, sums=HalfSums(half.sums.grid, data, half.weight))
    one, other = BlushPrior(Inventing())([half])[0].map, BlushPrior(Inventing())([scaled])[0].map
    assert float((other / factor - one).abs().max()) < 1e-4 * float(one.abs().max())


def test_short_memory_is_told_and_too_little_is_an_error(halves) -> None:
    wide = [dataclasses.replace(half, diameter_angstrom=90.0) for half in halves]
    denoiser = TooLarge(2)
    first, second = BlushPrior(denoiser)(wide)
    assert first.warnings == ("cpu ran short of memory for the denoiser; it goes on with 2 blocks at a time.",)
    assert second.warnings == ()
    assert torch.equal(first.map, BlushPrior(Identity())(wide)[0].map)
    with pytest.raises(BlushError, match="too little memory for a single 64³ block"):
        BlushPrior(TooLarge(0))(halves)


def test_a_map_of_nothing_is_refused_by_its_name(halves) -> None:
    nothing = HalfSums(halves[0].sums.grid, halves[0].data * 0, halves[0].weight)
    with pytest.raises(BlushError, match="The map of half 1 is constant"):
        BlushPrior(Identity())([dataclasses.replace(halves[0], sums=nothing)])


def test_finer_than_the_denoisers_grid_nothing_is_held_against_it() -> None:
    halves = halves_of(voxel_size=1.0, noise=0.05, diameter_angstrom=20.0)
    found = BlushPrior(Identity())(halves)[0].safeguards
    assert found is not None
    last = last_denoised_shell(BOX, 1.0)
    assert found.crossed.raw[last + 2 :].min() > 0.5  # the halves agree beyond 3 Å, where denoised maps end
    assert found.last_shell == last
    assert abs(found.gain) < 0.02  # a denoiser that does nothing is not blamed for it
    for curve in (found.crossed.cross, found.transfer.signal, found.transfer.noise):
        assert np.isnan(curve[last + 1 :]).all()


def test_a_class_of_nothing_is_refused_by_its_number(halves) -> None:
    nothing = HalfSums(halves[0].sums.grid, halves[0].data * 0, halves[0].weight)
    one = dataclasses.replace(halves[0], sums=nothing, fsc=np.zeros(BOX // 2 + 1), half=None)
    with pytest.raises(BlushError, match="The map of class 1 is constant"):
        BlushPrior(Identity())([one])
