"""Atoms as arrays: the potential drawn of them, and many of them in one file."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from blushcore.protocol import BlushError
from blushcore.simulation import electron_density, random_rotation, read_model_table, read_structure
from blushcore.simulation.atoms import Atoms, atomic_potential, atoms_of
from blushcore.simulation.model_pack import atoms_of_entry, read_models, write_model_pack
from synthetic_models import write_bundle, write_model_table


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return read_structure(write_bundle(tmp_path_factory.mktemp("model") / "bundle.pdb", seed=3))


@pytest.mark.parametrize(("box", "voxel_size", "relative"), [(48, 1.5, False), (50, 1.4, True)])
def test_the_potential_is_that_of_the_library(model, box, voxel_size, relative):
    turn = random_rotation(np.random.default_rng(4))
    expected = electron_density(model, box, voxel_size, rotation=turn, relative_b_factors=relative)
    found = atomic_potential(atoms_of(model), box, voxel_size, rotation=turn, relative_b_factors=relative)
    assert (found - expected).std() < 0.003 * expected.std()
    assert float(found.sum()) == pytest.approx(float(expected.sum()), rel=2e-3)


def test_one_atom_is_five_gaussians():
    """Against the closed form of carbon, well within the band of a fine grid."""
    import gemmi

    box, voxel_size = 40, 0.5
    one = Atoms(np.zeros((1, 3), np.float32), np.array([6], np.uint8), np.zeros(1, np.float32))
    found = atomic_potential(one, box, voxel_size)
    line = (torch.arange(box) - box // 2) * voxel_size
    squared = line[:, None, None] ** 2 + line[:, None] ** 2 + line**2
    coefficients = gemmi.Element("C").c4322.get_coefs()
    expected = torch.zeros_like(found)
    for a, b in zip(coefficients[:5], coefficients[5:], strict=True):
        expected += a * (4 * np.pi / (b + 40)) ** 1.5 * torch.exp(-4 * np.pi**2 * squared / (b + 40))
    assert (found - expected).abs().max() < 3e-3 * expected.max()


def test_a_particle_that_does_not_fit_is_refused(model):
    with pytest.raises(BlushError, match=r"does not fit the box \(30 Å\)"):
        atomic_potential(atoms_of(model), 20, 1.5)


def test_atoms_in_small_batches_add_up_to_the_same(model, monkeypatch):
    whole = atomic_potential(atoms_of(model), 40, 1.5, relative_b_factors=True)
    monkeypatch.setattr("blushcore.simulation.atoms._CELLS_AT_A_TIME", 20_000)
    assert torch.allclose(atomic_potential(atoms_of(model), 40, 1.5, relative_b_factors=True), whole, atol=2e-3)


def test_a_pack_holds_what_the_files_hold(tmp_path):
    table = write_model_table(tmp_path, train=2, validation=1)
    entries = read_model_table(table)
    pack = tmp_path / "models.npz"
    assert [entry.name for entry in write_model_pack(pack, entries)] == [entry.name for entry in entries]
    assert pack.stat().st_size < 3 * 378 * 8
    found = read_models(pack)
    assert [(one.name, one.split, one.extent_angstrom) for one in found] == [
        (one.name, one.split, one.extent_angstrom) for one in entries
    ]
    assert [one.name for one in read_models(pack, "validation")] == [entries[2].name]
    assert read_models(table, "train") == read_model_table(table, "train")
    for one, other in zip(found, entries, strict=True):
        packed, own = atoms_of_entry(one), atoms_of_entry(other)
        middle = (own.positions.min(0) + own.positions.max(0)) / 2
        np.testing.assert_allclose(packed.positions, own.positions - middle, atol=0.0251)
        np.testing.assert_array_equal(packed.elements, own.elements)
        np.testing.assert_allclose(packed.b_factors, own.b_factors, atol=0.51)


def test_what_is_no_pack_is_refused(tmp_path):
    with pytest.raises(BlushError, match="There is no pack of models"):
        read_models(tmp_path / "none.npz")
    (tmp_path / "bad.npz").write_bytes(b"nothing of the kind")
    with pytest.raises(BlushError, match="cannot be read as a pack"):
        read_models(tmp_path / "bad.npz")


@pytest.mark.cuda
def test_half_maps_are_made_on_the_device(model, tmp_path):
    """The potential is the processor's to rounding; half-maps and examples stay where they were made."""
    from blushcore.training.atom_pairs import AtomPairs
    from blushcore.training.samples import TrainingBlocks

    device = torch.device("cuda")
    there = atomic_potential(atoms_of(model), 48, 1.5, device=device)
    here = atomic_potential(atoms_of(model), 48, 1.5)
    assert torch.allclose(there.cpu(), here, atol=1e-3 * float(here.max()))
    entries = read_models(write_model_table(tmp_path, train=2))
    blocks = TrainingBlocks(AtomPairs(entries, device), 0, 0, device=device)
    example = blocks[0]
    assert {part.device.type for part in example} == {"cuda"}
    assert all(torch.isfinite(part).all() for part in example)
