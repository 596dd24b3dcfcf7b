"""Particles put together: contact, cuts, moving parts, belts, and that nothing happens unasked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from blushcore.simulation import (
    Composition,
    ModelEntry,
    atom_positions,
    compose_particle,
    electron_density,
    read_model_table,
    read_structure,
)
from blushcore.simulation.compose import in_contact, split_by_plane
from blushcore.training.samples import simulate_pair
from synthetic_models import write_bundle

VOXEL = 2.0


@pytest.fixture(scope="module")
def entry(tmp_path_factory) -> ModelEntry:
    return ModelEntry(
        "one", write_bundle(tmp_path_factory.mktemp("compose") / "b.pdb"), "train", 40.0, "membrane?"
    )


def composed(entry, seed=0, others=(), relative=False, **chances):
    options = {"voxel_size": VOXEL, "smallest_box": 40, "size_factor": 1.5}
    return compose_particle(entry, others, np.random.default_rng(seed), Composition(**chances), **options)


def electrons(particle) -> float:
    """In units of the whole bundle's, with no solvent around it."""
    return float(particle.density.sum())


def in_vacuum(entry, seed=0, others=(), **chances):
    options = {"voxel_size": VOXEL, "smallest_box": 40, "size_factor": 1.5, "solvent_contrast": 0.0}
    return compose_particle(entry, others, np.random.default_rng(seed), Composition(**chances), **options)


def test_molecules_in_contact_touch_and_do_not_overlap(entry):
    model = read_structure(entry.path)
    for seed in range(4):
        joined = atom_positions(in_contact(model, model, np.random.default_rng(seed)))
        half = len(joined) // 2
        nearest = cKDTree(joined[:half]).query(joined[half:])[0].min()
        assert 3.5 <= nearest < 4.2
        own = np.linalg.norm(joined[half:] - joined[half], axis=1)
        original = atom_positions(model)
        assert np.allclose(own, np.linalg.norm(original - original[0], axis=1), atol=1e-3)


def test_a_plane_splits_residues_and_loses_none(entry):
    model = read_structure(entry.path)
    below, above = split_by_plane(model, np.array([0.0, 0.0, 1.0]), 12.0)
    assert below.count_atom_sites() + above.count_atom_sites() == model.count_atom_sites()
    assert atom_positions(below)[:, 2].mean() < 12.0 < atom_positions(above)[:, 2].mean()
    assert {len(residue) for part in (below, above) for chain in part for residue in chain} == {6}


def test_a_partner_adds_its_atoms_and_a_cut_takes_some_away(entry):
    whole = electrons(in_vacuum(entry))
    pair = in_vacuum(entry, others=[replace(entry, name="two")], partner=1.0)
    assert pair.made_of == ("one", "two")
    assert electrons(pair) == pytest.approx(2 * whole, rel=0.01)
    assert pair.extent_angstrom > 45
    piece = in_vacuum(entry, cut=1.0)
    assert piece.made_of == ("one", "cut")
    assert 0.5 * whole < electrons(piece) < 0.95 * whole


def test_what_would_become_too_large_gets_no_partner(entry):
    alone = composed(entry, others=[entry], partner=1.0, largest_extent=45.0)
    assert alone.made_of == ("one",)


def test_a_moving_part_is_blurred_and_nothing_is_lost(entry):
    whole, moving = in_vacuum(entry), in_vacuum(entry, motion=1.0)
    assert moving.made_of == ("one", "moving")
    assert electrons(moving) == pytest.approx(electrons(whole), rel=0.01)
    # Blurring lowers the sum of squares of a part of it.
    assert 0.5 < float(moving.density.square().sum() / whole.density.square().sum()) < 0.99


def test_membrane_models_get_a_belt_outside_the_mask_and_others_none(entry):
    naked, belted = composed(entry), composed(entry, micelle=1.0)
    assert belted.made_of == ("one", "micelle")
    assert composed(replace(entry, kind="soluble"), micelle=1.0).made_of == ("one",)
    assert belted.density.shape[0] > naked.density.shape[0]  # it needs room
    outside = belted.mask < 0.01
    particle = belted.density[belted.mask > 0.5].std()
    assert float(belted.density[outside].abs().max()) > 0.1 * float(particle)
    rim = torch.cat([face.flatten() for axis in range(3) for face in belted.density.unbind(axis)[:: 10**6]])
    assert float(rim.abs().max()) < 0.02 * float(belted.density.max())


def test_without_chances_a_particle_is_the_model_as_it_is(entry):
    particle = composed(entry, seed=3)
    again = composed(entry, seed=3)
    assert torch.equal(particle.density, again.density)
    assert particle.made_of == ("one",)
    from_origin = electron_density(read_structure(entry.path), 40, VOXEL)
    assert float(in_vacuum(entry, 3).density.sum()) == pytest.approx(float(from_origin.sum()), rel=1e-3)


def test_training_pairs_can_be_composed(entry):
    pair = simulate_pair(
        replace(entry, kind=""),
        np.random.default_rng(0),
        resolution=8.0,
        composition=Composition(cut=1.0),
    )
    whole = simulate_pair(entry, np.random.default_rng(0), resolution=8.0)
    assert pair.truth is not None
    assert whole.truth is not None
    assert float(pair.mask.sum()) < float(whole.mask.sum())
    assert pair.diameter < 45


def test_tables_say_what_models_are(tmp_path):
    (tmp_path / "t.tsv").write_text(
        "pdb\tfile\tsplit\textent_A\tclass_guess\na\ta.pdb\ttrain\t40\tmembrane?\nb\tb.pdb\ttrain\t40\t\n"
    )
    assert [entry.kind for entry in read_model_table(tmp_path / "t.tsv")] == ["membrane?", ""]
