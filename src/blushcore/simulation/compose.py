"""Particles put together from atomic models: pairs, pieces, moving parts, belts of detergent.

Crystal structures are whole, rigid and naked; what lies on a grid often is not. `compose_particle` draws which
of four things happens to a model: another is put in contact with it, a part is missing, a part moves about a
hinge and is blurred, and a membrane protein gets its micelle.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import gemmi
import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from blushcore.protocol import BlushError
from blushcore.simulation.density import electron_density, in_solvent, particle_mask
from blushcore.simulation.micelle import MembraneSlab, add_micelle, find_membrane
from blushcore.simulation.rotations import random_rotation
from blushcore.simulation.structures import ModelEntry, atom_positions, read_structure

_CONTACT_ANGSTROM = 3.5
"""Nearest atoms of two molecules in contact."""
_FEWEST_RESIDUES = 30
"""Of a molecule that was cut: less is no particle."""
_FEWEST_MOVING = 8
_CONFORMERS = 5
_EDGE_ANGSTROM = 8.0
"""Free space at each face of the box beside the micelle."""


@dataclass(frozen=True)
class Composition:
    """How often each thing happens, 0 to 1; nothing by default."""

    partner: float = 0.0
    """A second model in contact, where the two stay below `largest_extent`."""
    cut: float = 0.0
    """A part beyond a plane is missing: 10 to 50 % of the residues."""
    motion: float = 0.0
    """A part beyond a plane, 15 to 45 % of the atoms, turns about a hinge and is blurred."""
    micelle: float = 0.0
    """A belt around models whose kind is ``membrane``, thin as of detergent up to wide as of lipids."""
    largest_extent: float = 220.0
    """Å."""

    @property
    def changes_nothing(self) -> bool:
        """Whether models stay as they are."""
        return not any((self.partner, self.cut, self.motion, self.micelle))


USUAL = Composition(partner=0.15, cut=0.15, motion=0.25, micelle=0.8)
"""What training sets may take."""


@dataclass(frozen=True)
class ComposedParticle:
    """A noise-free particle on its grid.

    Attributes
    ----------
    density
        In solvent, with its micelle, float32 ``(z, y, x)``.
    mask
        Around the molecules, 0 to 1: a micelle lies outside.
    extent_angstrom
        Longest edge of the molecules' bounding box as they lie.
    made_of
        Names of the models and of what was done to them.
    """

    density: Tensor
    mask: Tensor
    extent_angstrom: float
    made_of: tuple[str, ...]


def compose_particle(
    entry: ModelEntry,
    others: Sequence[ModelEntry],
    generator: np.random.Generator,
    composition: Composition,
    *,
    voxel_size: float,
    smallest_box: int,
    size_factor: float,
    relative_b_factors: bool = False,
    solvent_contrast: float = 1.0,
) -> ComposedParticle:
    """Draw what happens to a model, turn it at random and draw its density.

    Parameters
    ----------
    entry
        The model.
    others
        From which a partner is drawn.
    generator
        Source of all that is drawn.
    composition
        How often what happens.
    voxel_size
        Å.
    smallest_box
        In voxels; the box is even and at least this large.
    size_factor
        Box over extent.
    relative_b_factors, solvent_contrast
        See `electron_density` and `in_solvent`.

    Raises
    ------
    BlushError
        When a model cannot be read.
    """
    model, made_of = read_structure(entry.path), [entry.name]
    membrane = None
    if "membrane" in entry.kind and generator.random() < composition.micelle:
        membrane = _membrane(model)
    if generator.random() < composition.cut:
        model, was_cut = _cut(model, generator)
        made_of += ["cut"] * was_cut
    if others and generator.random() < composition.partner:
        partner = others[int(generator.integers(len(others)))]
        joined = in_contact(model, read_structure(partner.path), generator)
        if _extent(atom_positions(joined)) <= composition.largest_extent:
            model, membrane = joined, None
            made_of.append(partner.name)
    rotation = random_rotation(generator)
    parts = [[model]]
    if generator.random() < composition.motion:
        parts = _moving(model, generator)
        made_of += ["moving"] * (len(parts) > 1)

    positions = np.concatenate([atom_positions(copy) for copies in parts for copy in copies]) @ rotation.T
    centre, extent = (positions.min(0) + positions.max(0)) / 2, _extent(positions)
    width = float(generator.uniform(18, 32)) if membrane is not None else 0.0
    needed = max(extent * size_factor, extent + 2 * (width + _EDGE_ANGSTROM))
    box = max(smallest_box, math.ceil(needed / voxel_size))
    box += box % 2
    vacuum = torch.zeros((box,) * 3)
    for copies in parts:
        for copy in copies:
            vacuum += electron_density(
                copy, box, voxel_size, rotation=rotation, centre=centre, relative_b_factors=relative_b_factors
            ) / len(copies)
    density = in_solvent(vacuum, voxel_size, solvent_contrast)
    if membrane is not None:
        normal = rotation @ membrane.normal
        slab = MembraneSlab(normal, membrane.offset_angstrom - float(centre @ normal))
        density = add_micelle(density, vacuum, voxel_size, slab, solvent_contrast, width_angstrom=width)
        made_of.append("micelle")
    return ComposedParticle(density, particle_mask(vacuum, voxel_size), extent, tuple(made_of))


def in_contact(one: gemmi.Model, other: gemmi.Model, generator: np.random.Generator) -> gemmi.Model:
    """Turn a second model at random and move it along a random direction until it touches the first.

    Nearest atoms come to lie 3.5 Å apart.
    """
    fixed = atom_positions(one)
    turn = random_rotation(generator)
    moving = atom_positions(other) @ turn.T
    moving += fixed.mean(0) - moving.mean(0)
    direction = random_rotation(generator)[0]
    tree = cKDTree(fixed)
    near, far = 0.0, _extent(fixed) * 2 + _extent(moving) * 2
    while far - near > 0.25:  # beyond `far` they are apart; the contact found is one, if not the innermost
        middle = (near + far) / 2
        places = moving + middle * direction
        distance = np.min(tree.query(places, distance_upper_bound=_CONTACT_ANGSTROM)[0])
        near, far = (near, middle) if distance > _CONTACT_ANGSTROM else (middle, far)
    shift = fixed.mean(0) + far * direction - turn @ atom_positions(other).mean(0)
    placed = other.clone()
    placed.transform_pos_and_adp(gemmi.Transform(gemmi.Mat33(turn.tolist()), gemmi.Vec3(*shift)))
    joined = one.clone()
    for chain in placed:
        joined.add_chain(chain)
    return joined


def split_by_plane(
    model: gemmi.Model, normal: np.ndarray, offset_angstrom: float
) -> tuple[gemmi.Model, gemmi.Model]:
    """Return the residues below and above the plane p·normal = offset, whole, by their atoms' mean position."""
    below, above = model.clone(), model.clone()
    for part, wanted in ((below, False), (above, True)):
        for chain in part:
            for index in reversed(range(len(chain))):
                middle = np.mean([atom.pos.tolist() for atom in chain[index]], axis=0)
                if bool(middle @ normal > offset_angstrom) != wanted:
                    del chain[index]
    return below, above


def _cut(model: gemmi.Model, generator: np.random.Generator) -> tuple[gemmi.Model, bool]:
    normal = random_rotation(generator)[0]
    kept = generator.uniform(0.5, 0.9)
    below, above = split_by_plane(model, normal, float(np.quantile(atom_positions(model) @ normal, kept)))
    enough = _residues(below) >= _FEWEST_RESIDUES and _residues(above) > 0
    return (below, True) if enough else (model, False)


def _moving(model: gemmi.Model, generator: np.random.Generator) -> list[list[gemmi.Model]]:
    """Return the fixed part, and copies of the moving one turned about a hinge where the two meet."""
    positions = atom_positions(model)
    normal = random_rotation(generator)[0]
    heights = positions @ normal
    offset = float(np.quantile(heights, generator.uniform(0.55, 0.85)))
    fixed, moving = split_by_plane(model, normal, offset)
    if min(_residues(fixed), _residues(moving)) < _FEWEST_MOVING:
        return [[model]]
    hinge = positions[np.argsort(np.abs(heights - offset))[:50]].mean(0)
    axis = np.cross(normal, random_rotation(generator)[0])
    axis /= np.linalg.norm(axis)
    spread = math.radians(float(generator.uniform(1.5, 8.0)))
    copies = []
    for angle in spread * np.linspace(-1.6, 1.6, _CONFORMERS):  # of variance about 1
        turn = _about(axis, float(angle))
        copy = moving.clone()
        shift = hinge - turn @ hinge
        copy.transform_pos_and_adp(gemmi.Transform(gemmi.Mat33(turn.tolist()), gemmi.Vec3(*shift)))
        copies.append(copy)
    return [[fixed], copies]


def _membrane(model: gemmi.Model) -> MembraneSlab | None:
    try:
        return find_membrane(model)
    except BlushError:  # too few amino acids to tell: it goes without
        return None


def _about(axis: np.ndarray, angle: float) -> np.ndarray:
    """Rotation by `angle` (radians) about a unit vector (Rodrigues)."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross)


def _residues(model: gemmi.Model) -> int:
    return sum(len(chain) for chain in model)


def _extent(positions: np.ndarray) -> float:
    return float(np.ptp(positions, axis=0).max())
