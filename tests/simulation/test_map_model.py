"""A model on a map's grid: at its place, whatever the origin, and the FSC with it."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest

from blushcore.protocol import BlushError
from blushcore.simulation.map_model import density_on_grid_of, map_model_fsc
from blushcore.volumes import MapHeader, Volume

BOX, SIZE = 32, 2.0


def model_of(positions: np.ndarray) -> gemmi.Model:
    chain = gemmi.Chain("A")
    for number, position in enumerate(positions, 1):
        residue, atom = gemmi.Residue(), gemmi.Atom()
        residue.name, residue.seqid = "ALA", gemmi.SeqId(str(number))
        atom.name, atom.element, atom.b_iso = "CA", gemmi.Element("C"), 30.0
        atom.pos = gemmi.Position(*position)
        residue.add_atom(atom)
        chain.add_residue(residue)
    model = gemmi.Model(1)
    model.add_chain(chain)
    return model


@pytest.mark.parametrize("origin", [(0.0, 0.0, 0.0), (40.0, -10.0, 3.0)])
def test_an_atom_lies_where_the_header_puts_it(origin):
    empty = Volume(np.zeros((BOX,) * 3, np.float32), (SIZE,) * 3, MapHeader(origin=origin))
    voxel = np.array([12, 20, 17])  # z, y, x
    place = np.array(origin) + SIZE * voxel
    density = density_on_grid_of(model_of([place[::-1]]), empty)
    assert np.unravel_index(density.argmax(), density.shape) == tuple(voxel)


def test_the_fsc_is_one_for_the_models_own_map_and_falls_with_noise():
    rng = np.random.default_rng(0)
    model = model_of(rng.uniform(16, 48, (60, 3)))
    empty = Volume(np.zeros((BOX,) * 3, np.float32), (SIZE,) * 3)
    own = empty.with_data(density_on_grid_of(model, empty))
    assert map_model_fsc(own.data, density_on_grid_of(model, own)).min() > 0.999
    noisy = own.with_data(own.data + own.data.std() * rng.normal(size=own.data.shape).astype(np.float32))
    curve = map_model_fsc(noisy.data, density_on_grid_of(model, noisy))
    assert curve[1:4].mean() > 0.6
    assert curve[13:].mean() < 0.8
    mask = (own.data > own.data.std()).astype(np.float32)
    masked = map_model_fsc(noisy.data, density_on_grid_of(model, noisy), mask)
    assert masked[3:12].mean() > curve[3:12].mean()


def test_a_model_elsewhere_is_refused():
    empty = Volume(np.zeros((BOX,) * 3, np.float32), (SIZE,) * 3)
    with pytest.raises(BlushError, match="does not lie within the map, whose centre is at"):
        density_on_grid_of(model_of([[300.0, 0.0, 0.0]]), empty)
    with pytest.raises(BlushError, match="no cube"):
        density_on_grid_of(model_of([[30.0, 30.0, 30.0]]), Volume(np.zeros((8, 8, 9), np.float32), (SIZE,) * 3))
