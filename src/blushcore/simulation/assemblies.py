"""Complexes built from copies of one model."""

from __future__ import annotations

import gemmi
import numpy as np

from blushcore.simulation.structures import atom_positions

_CLOSER_THAN_TOUCHING = 0.9
"""Copies' bounding boxes overlap by a tenth, so that neighbours are in contact."""


def ring_of_copies(model: gemmi.Model, copies: int) -> gemmi.Model:
    """Put copies of a model around the z axis, neighbours in contact: a complex of symmetry C_n about z.

    Parameters
    ----------
    model
        Atoms in Å, anywhere: the mean of their positions is moved to z = 0, a ring's radius away from the axis.
    copies
        n, at least 2.

    Returns
    -------
    gemmi.Model
        The copies, with the axis through the origin.
    """
    if copies < 2:
        raise ValueError(f"a ring has at least two members, not {copies}")
    positions = atom_positions(model)
    width = float(np.ptp(positions, axis=0)[:2].max())
    radius = _CLOSER_THAN_TOUCHING * 0.5 * width / np.sin(np.pi / copies)
    middle = positions.mean(0)
    complex_ = gemmi.Model(1)
    for copy in range(copies):
        angle = 2 * np.pi * copy / copies
        cosine, sine = float(np.cos(angle)), float(np.sin(angle))
        turn = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
        shift = turn @ (np.array([radius, 0.0, 0.0]) - middle)
        placed = model.clone()
        placed.transform_pos_and_adp(gemmi.Transform(gemmi.Mat33(turn.tolist()), gemmi.Vec3(*shift)))
        for chain in placed:
            complex_.add_chain(chain)
    return complex_
