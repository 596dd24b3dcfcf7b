"""What the particles of a simulated set are: densities of atomic models, or maps as they are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import gemmi
import numpy as np
import torch
from scipy import fft
from torch import Tensor

from blushcore.protocol import BlushError
from blushcore.simulation.assemblies import ring_of_copies
from blushcore.simulation.density import electron_density, in_solvent
from blushcore.simulation.micelle import MembraneSlab, add_micelle, find_membrane
from blushcore.simulation.structures import atom_positions, read_structure
from blushcore.volumes import Volume, fourier_resample, pad_or_crop, read_map

_MAP_ENDINGS = (".mrc", ".map", ".ccp4", ".rec")
_COMPRESSED = (".gz", ".bz2")
_BOX_OVER_EXTENT = 1.5
_SMALLEST_BOX = 32
_PARTICLE_SHARE_OF_BOX = 0.7
"""How much of a map's box its particle is taken to fill."""
_SAME_VOXEL_SIZE = 1e-3


class Truth(Protocol):
    """A noise-free particle."""

    @property
    def extent_angstrom(self) -> float:
        """Its longest side in Å."""
        ...

    def density(self, box: int, voxel_size: float) -> Tensor:
        """Return its density, float32 ``(box, box, box)``, voxels in Å."""
        ...


@dataclass(frozen=True)
class ModelTruth:
    """A particle made of atoms."""

    model: gemmi.Model
    centre: np.ndarray | None = None
    """What lies on the map's centre, x, y, z in Å; by default the middle of the bounding box."""
    solvent_contrast: float = 1.0
    relative_b_factors: bool = False
    membrane: MembraneSlab | None = None
    """Where a micelle lies, in the model's coordinates; None for none."""

    @property
    def extent_angstrom(self) -> float:
        """Longest side of the bounding box in Å."""
        return float(np.ptp(atom_positions(self.model), axis=0).max())

    def density(self, box: int, voxel_size: float) -> Tensor:
        """Draw the atoms, put them into solvent, add the micelle."""
        vacuum = electron_density(
            self.model, box, voxel_size, centre=self.centre, relative_b_factors=self.relative_b_factors
        )
        density = in_solvent(vacuum, voxel_size, self.solvent_contrast)
        if self.membrane is None:
            return density
        positions = atom_positions(self.model)
        centre = (positions.min(0) + positions.max(0)) / 2 if self.centre is None else self.centre
        here = MembraneSlab(
            self.membrane.normal, self.membrane.offset_angstrom - float(centre @ self.membrane.normal)
        )
        return add_micelle(density, vacuum, voxel_size, here, self.solvent_contrast)


@dataclass(frozen=True)
class MapTruth:
    """A particle given as a map, used as it is."""

    name: str
    volume: Volume

    @property
    def extent_angstrom(self) -> float:
        """0.7 of the box's side in Å: a guess, for nothing tells particle from solvent in any map."""
        return _PARTICLE_SHARE_OF_BOX * self.volume.shape[0] * self.volume.isotropic_voxel_size

    def density(self, box: int, voxel_size: float) -> Tensor:
        """Resample the map in Fourier space, then pad or crop its box.

        Raises
        ------
        BlushError
            When its box does not hold a whole, even number of such voxels.
        """
        n, own = self.volume.shape[0], self.volume.isotropic_voxel_size
        size = n * own
        new = n if math.isclose(own, voxel_size, rel_tol=_SAME_VOXEL_SIZE) else 2 * round(size / voxel_size / 2)
        if abs(size / new - voxel_size) > _SAME_VOXEL_SIZE * voxel_size:
            raise BlushError(
                f"{self.name} has a box of {size:.4g} Å: not an even number of voxels of {voxel_size:g} Å.",
                f"Use voxels of {size / new:.5g} Å.",
            )
        resampled = fourier_resample(torch.from_numpy(self.volume.data), (new,) * 3)
        return pad_or_crop(resampled, (box,) * 3)


def open_truth(
    path: Path,
    *,
    copies: int = 1,
    micelle: bool = False,
    solvent_contrast: float = 1.0,
    relative_b_factors: bool = False,
) -> ModelTruth | MapTruth:
    """Read what a particle is made of: an atomic model, or a map told by its ending.

    Parameters
    ----------
    path
        ``.pdb``, ``.cif``, ``.mrc``, ``.map`` …, also compressed.
    copies
        How many copies of a model make the particle, as a ring about z.
    micelle
        Put a micelle around a model.
    solvent_contrast, relative_b_factors
        See `in_solvent` and `electron_density`; models only.

    Raises
    ------
    BlushError
        When the file cannot be read, a map is not cubic, or a map is to have copies or a micelle.
    """
    if is_map(path):
        if copies > 1 or micelle:
            raise BlushError(
                f"{path.name} is a map: it is used as it is, without copies or a micelle.",
                "Give an atomic model, or leave those options out.",
            )
        volume = read_map(path)
        if len(set(volume.shape)) > 1 or volume.shape[0] % 2:
            shape = " × ".join(str(n) for n in volume.shape[::-1])
            raise BlushError(f"{path} is a map of {shape} voxels.", "Give one with an even, cubic box.")
        return MapTruth(path.name, volume)
    model = read_structure(path)
    membrane = None
    if micelle and copies > 1:
        raise BlushError("A ring of copies cannot have a micelle.", "Leave out one of the two.")
    if micelle:
        membrane = find_membrane(model)
    centre = None
    if copies > 1:
        model = ring_of_copies(model, copies)
        positions = atom_positions(model)
        # The axis goes through the box's middle whether or not the bounding box does.
        centre = np.array([0.0, 0.0, (positions[:, 2].min() + positions[:, 2].max()) / 2])
    return ModelTruth(model, centre, solvent_contrast, relative_b_factors, membrane)


def is_map(path: Path) -> bool:
    """Whether a file's name says that it holds a map."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _COMPRESSED:
        suffixes.pop()
    return bool(suffixes) and suffixes[-1] in _MAP_ENDINGS


def usual_box(extent: float, voxel_size: float) -> int:
    """Return the even box, quick to transform, that leaves a quarter of the particle (Å) free around it."""
    half = math.ceil(_BOX_OVER_EXTENT * extent / voxel_size / 2)
    return max(_SMALLEST_BOX, 2 * fft.next_fast_len(half))
