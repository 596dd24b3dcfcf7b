"""Densities of atoms against the sum of their form factors, computed directly."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest
import torch

from blushcore.protocol import BlushError
from blushcore.simulation import electron_density, in_solvent, particle_mask, random_rotation
from blushcore.volumes import fourier_resample

ELEMENTS = ("C", "N", "O", "P", "S")


def model_of(atoms: list[tuple[str, np.ndarray]], b_factors: list[float] | None = None) -> gemmi.Model:
    model, residue = gemmi.Model(1), gemmi.Residue()
    for index, (element, position) in enumerate(atoms):
        atom = gemmi.Atom()
        atom.element, atom.name, atom.occ = gemmi.Element(element), f"A{index}", 1.0
        atom.pos = gemmi.Position(*position)
        atom.b_iso = b_factors[index] if b_factors else 30.0
        residue.add_atom(atom)
    chain = gemmi.Chain("A")
    chain.add_residue(residue)
    model.add_chain(chain)
    return model


def transform(density: torch.Tensor, voxel_size: float) -> np.ndarray:
    """F(k) = ∫ρ e^{−2πi k·r} about the centre n//2, on numpy's full frequency grid (z, y, x)."""
    shifted = np.fft.ifftshift(density.double().numpy())
    if density.shape[0] % 2:  # ifftshift takes index n//2 to 0 for odd n as well
        assert shifted[0, 0, 0] == density[(density.shape[0] // 2,) * 3]
    return np.fft.fftn(shifted) * voxel_size**3


def expected_transform(
    atoms: list[tuple[str, np.ndarray]], b_factors: list[float], n: int, voxel_size: float
) -> tuple[np.ndarray, np.ndarray]:
    """Σ f(k) exp(−B k²/4) exp(−2πi k·r) with the International Tables' five Gaussians; and |k|."""
    k = np.fft.fftfreq(n, voxel_size)
    kz, ky, kx = np.meshgrid(k, k, k, indexing="ij")
    squared = kx**2 + ky**2 + kz**2
    total = np.zeros((n, n, n), complex)
    for (element, (x, y, z)), b_factor in zip(atoms, b_factors, strict=True):
        table = gemmi.Element(element).c4322
        form = sum(a * np.exp(-b * squared / 4) for a, b in zip(table.a, table.b, strict=True))
        total += form * np.exp(-b_factor * squared / 4 - 2j * np.pi * (kx * x + ky * y + kz * z))
    return total, np.sqrt(squared)


@pytest.mark.parametrize(("n", "voxel_size"), [(32, 1.5), (31, 1.2), (24, 0.8)])
def test_one_atom_lies_on_the_centre_and_has_its_form_factor(n, voxel_size):
    atoms = [("C", np.array([12.3, -4.5, 6.7]))]
    density = electron_density(model_of(atoms), n, voxel_size, b_factor=50)
    assert density.dtype == torch.float32
    found = transform(density, voxel_size)
    expected, k = expected_transform([("C", np.zeros(3))], [50.0], n, voxel_size)
    inside = k < 0.45 / voxel_size  # the corners and Nyquist planes are cut by the resampling
    assert np.abs(found - expected)[inside].max() < 0.004 * expected[0, 0, 0].real


def test_the_integral_is_the_sum_of_form_factors_at_zero():
    atoms = [(element, np.array([3.0 * i, 0.0, 0.0])) for i, element in enumerate(ELEMENTS)]
    density = electron_density(model_of(atoms), 48, 1.0)
    total = sum(sum(gemmi.Element(element).c4322.a) for element in ELEMENTS)
    assert float(density.double().sum()) == pytest.approx(total, rel=2e-3)


@pytest.mark.parametrize("seed", range(3))
def test_a_rotation_turns_the_atoms_and_keeps_their_hand(seed):
    rng = np.random.default_rng(seed)
    atoms = [(ELEMENTS[i % 5], rng.uniform(-9, 9, 3)) for i in range(7)]
    rotation = random_rotation(rng)
    density = electron_density(model_of(atoms), 32, 1.2, rotation=rotation, b_factor=60)
    turned = [rotation @ position for _, position in atoms]
    middle = (np.min(turned, axis=0) + np.max(turned, axis=0)) / 2
    moved = [(element, position - middle) for (element, _), position in zip(atoms, turned, strict=True)]
    expected, k = expected_transform(moved, [60.0] * 7, 32, 1.2)
    error = np.abs(transform(density, 1.2) - expected)[k < 0.37]
    assert error.max() < 0.004 * expected[0, 0, 0].real


def test_relative_b_factors_blur_the_flexible_atoms():
    atoms = [("C", np.array([-6.0, 0, 0])), ("C", np.array([6.0, 0, 0]))]
    model = model_of(atoms, [10.0, 60.0])  # the lower decile is 15
    density = electron_density(model, 32, 1.2, relative_b_factors=True)
    expected, k = expected_transform(atoms, [40.0, 85.0], 32, 1.2)
    assert np.abs(transform(density, 1.2) - expected)[k < 0.37].max() < 0.004 * expected[0, 0, 0].real
    assert [site.atom.b_iso for site in model.all()] == [10.0, 60.0]  # the model given is left alone


def test_a_coarser_grid_holds_the_same_map_up_to_its_own_band():
    rng = np.random.default_rng(4)
    model = model_of([(ELEMENTS[i % 5], rng.uniform(-9, 9, 3)) for i in range(9)])
    fine = electron_density(model, 48, 1.0)
    coarse = electron_density(model, 32, 1.5)
    cropped = fourier_resample(fine, (32, 32, 32))
    assert (coarse - cropped).std() < 0.01 * coarse.std()


def test_what_cannot_be_drawn_is_refused():
    atoms = [("C", np.zeros(3)), ("C", np.array([60.0, 0, 0]))]
    with pytest.raises(BlushError, match=r"60 Å across\) does not fit the box \(48 Å\)"):
        electron_density(model_of(atoms), 32, 1.5)
    with pytest.raises(BlushError, match="at least 40"):
        electron_density(model_of(atoms), 64, 1.5, b_factor=10)


@pytest.fixture(scope="module")
def ball() -> torch.Tensor:
    """A protein-like crowd of carbon atoms in a ball of 14 Å radius, at 1.5 Å."""
    rng = np.random.default_rng(0)
    points = rng.uniform(-14, 14, (2400, 3))
    points = points[np.linalg.norm(points, axis=1) < 14]
    return electron_density(model_of([("C", point) for point in points]), 40, 1.5)


def radius(n: int, voxel_size: float) -> np.ndarray:
    z, y, x = (np.indices((n, n, n)) - n // 2) * voxel_size
    return np.sqrt(z**2 + y**2 + x**2)


def test_solvent_lowers_the_contrast_and_ends_at_the_particle(ball):
    inside, outside = radius(40, 1.5) < 9, radius(40, 1.5) > 24
    steps = [in_solvent(ball, 1.5, contrast).numpy() for contrast in (0.0, 0.5, 1.0)]
    assert np.array_equal(steps[0], ball.numpy())
    means = [float(step[inside].mean()) for step in steps]
    assert means[0] > means[1] > means[2] > 0
    assert means[0] - means[1] == pytest.approx(means[1] - means[2], rel=1e-3)
    # Ice has 0.7 of the particle's mean potential, which its soft border makes lower than that deep inside.
    assert 0.3 < means[2] / means[0] < 0.6
    for step in steps[1:]:
        assert np.abs(step - steps[0])[outside].max() < 0.01 * means[0]


def test_the_mask_is_one_on_the_particle_and_zero_away_from_it(ball):
    mask = particle_mask(ball, 1.5).numpy()
    assert mask.min() >= 0
    assert mask.max() <= 1
    assert mask[radius(40, 1.5) < 13].min() > 0.97
    assert mask[radius(40, 1.5) > 28].max() < 0.01
    assert 15 < (3 / (4 * np.pi) * mask.sum() * 1.5**3) ** (1 / 3) < 21  # radius of its volume
