"""The orientations near each image's last one, and how likely each is beforehand: local searches.

The prior is a product of two Gaussians (Scheres 2012, J Struct Biol 180:519): in the great-circle distance of
the directions, and in the in-plane angle that is left once one direction is moved to the other along that
circle. Away from the poles and close by, the latter is the difference of the ψs; unlike that, it means the same
rotation of the image everywhere, also at the poles, where rot and ψ turn into one another. Both are cut at a
number of sigmas. An orientation near several mates of the last one counts with the nearest.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import KDTree
from torch import Tensor

from blushcore.poses.euler import direction_vectors
from blushcore.poses.orientations import OrientationGrid
from blushcore.poses.symmetry import SymmetryGroup

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
IMAGES_AT_ONCE = 2000


@dataclass(frozen=True)
class LocalOrientations:
    """For each image a list of coarse orientations with their prior probabilities, one list after the other.

    Attributes
    ----------
    start
        int64 ``(N + 1,)``: image i has the entries ``start[i]`` to ``start[i + 1]``, at least one.
    orientations
        Coarse orientations of the grid, int64 ``(E,)``, ascending for each image.
    log_prior
        Natural logarithm of the prior, float32 ``(E,)``; each image's probabilities sum to 1.
    """

    start: Tensor
    orientations: Tensor
    log_prior: Tensor


def nearby_orientations(
    grid: OrientationGrid,
    rotations: Tensor,
    sigma_direction_deg: float,
    sigma_psi_deg: float,
    *,
    cutoff_sigmas: float = 3.0,
) -> LocalOrientations:
    """List the grid's orientations near given ones, or near any of their symmetry mates.

    Parameters
    ----------
    grid
        The grid to search, perturbation included.
    rotations
        The images' last orientations, ``(N, 3, 3)``.
    sigma_direction_deg, sigma_psi_deg
        Standard deviations of the prior in degrees, above 0.
    cutoff_sigmas
        How many standard deviations from the last orientation the lists end. An image with no orientation of
        the grid that near (the cut smaller than the step) gets the nearest one alone.

    Returns
    -------
    LocalOrientations on the CPU; children inherit the prior of their coarse orientation.
    """
    if not (sigma_direction_deg > 0 and sigma_psi_deg > 0):
        raise ValueError(f"sigmas of {sigma_direction_deg} and {sigma_psi_deg} degrees")
    search = _Search(grid, sigma_direction_deg, sigma_psi_deg, cutoff_sigmas)
    views = rotations.detach().cpu().double().numpy()
    parts = [search.of(views[at : at + IMAGES_AT_ONCE]) for at in range(0, len(views), IMAGES_AT_ONCE)]
    counts = np.concatenate([np.zeros(1, np.int64), *(part[0] for part in parts)])
    return LocalOrientations(
        torch.from_numpy(np.cumsum(counts)),
        torch.from_numpy(np.concatenate([np.zeros(0, np.int64), *(part[1] for part in parts)])),
        torch.from_numpy(np.concatenate([np.zeros(0), *(part[2] for part in parts)])).float(),
    )


class _Search:
    """What does not depend on the images."""

    def __init__(self, grid: OrientationGrid, direction_deg: float, psi_deg: float, cutoff: float) -> None:
        self.grid = grid
        self.tree, self.axes = _direction_tree(grid.healpix_order, grid.symmetry)
        self.sigmas = np.radians([direction_deg, psi_deg])
        self.reach = np.minimum(self.sigmas * cutoff, np.pi)
        # A view A is in the grid's own frame, without its perturbation R, as A·Rᵀ; its mates as A·g·Rᵀ.
        self.mates = (grid.symmetry.matrices @ grid.perturbing_rotation().T).numpy()
        self.walls = grid.symmetry.unit_walls().numpy()

    def of(self, views: Floats) -> tuple[Integers, Integers, Floats]:
        """Return how many orientations each of the `views` has, which ones, and their log priors."""
        images, mates = self._mates_within_reach(views)
        pair, direction, distance = self._directions(mates)
        psi_of_pair = self._psi_in_line(mates[pair], direction)
        entry, psi, off = self._psis(psi_of_pair)
        log_prior = -0.5 * ((distance[entry] / self.sigmas[0]) ** 2 + (off / self.sigmas[1]) ** 2)
        key = images[pair[entry]] * self.grid.count + direction[entry] * self.grid.psi_count + psi
        missing = np.setdiff1d(np.arange(len(views)), images[pair[entry]])
        if len(missing):
            key = np.concatenate([key, missing * self.grid.count + self._nearest(views[missing])])
            log_prior = np.concatenate([log_prior, np.zeros(len(missing))])
        return self._lists(len(views), key, log_prior)

    def _mates_within_reach(self, views: Floats) -> tuple[Integers, Floats]:
        """Return the mates not too far from the asymmetric unit, ``(M, 3, 3)``, and whose they are."""
        mates = views[:, None] @ self.mates
        if len(self.walls) == 0 or self.reach[0] >= np.pi / 2:
            near = np.ones(mates.shape[:2], dtype=bool)
        else:
            # The unit is the pixels whose centres lie in it, before perturbation: the walls bound just these.
            near = (mates[..., 2, :] @ self.walls.T).min(-1) >= -np.sin(self.reach[0])
        return np.nonzero(near)[0], mates[near]

    def _directions(self, mates: Floats) -> tuple[Integers, Integers, Floats]:
        """Return pairs of a mate and a grid direction within reach, and their distance in radians."""
        chord = 2 * np.sin(self.reach[0] / 2)
        pairs = KDTree(mates[:, 2]).sparse_distance_matrix(self.tree, chord, output_type="ndarray")
        distance = 2 * np.arcsin(np.minimum(pairs["v"] / 2, 1))
        return pairs["i"].astype(np.int64), pairs["j"].astype(np.int64), distance

    def _psi_in_line(self, mates: Floats, direction: Integers) -> Floats:
        """Return the ψ in radians at which a direction's image is not turned against the mate's.

        With E the direction's rotation at ψ = 0, the rotation E·mateᵀ is a tilt of the view axis after a turn
        about it by t (swing and twist); ψ = −t undoes the turn.
        """
        along_x, along_y = self.axes[direction, 0], self.axes[direction, 1]
        x, y = mates[:, 0], mates[:, 1]
        cosine = np.einsum("ij,ij->i", along_x, x) + np.einsum("ij,ij->i", along_y, y)
        sine = np.einsum("ij,ij->i", along_x, y) - np.einsum("ij,ij->i", along_y, x)
        return np.asarray(-np.arctan2(sine, cosine))

    def _psis(self, psi: Floats) -> tuple[Integers, Integers, Floats]:
        """Return the pairs' ψs within reach: whose, which (index), and how far off in radians."""
        step = np.radians(self.grid.step_deg)
        reach = min(self.reach[1], np.pi)
        first = np.ceil((psi - reach) / step).astype(np.int64)
        width = min(self.grid.psi_count, int(2 * reach / step) + 1)
        index = first[:, None] + np.arange(width)
        off = index * step - psi[:, None]
        pair, column = np.nonzero(np.abs(off) <= reach)
        return pair, index[pair, column] % self.grid.psi_count, off[pair, column]

    def _nearest(self, views: Floats) -> Integers:
        """Return the grid's orientation of each view that has none within reach."""
        mates = (views[:, None] @ self.mates).reshape(-1, 3, 3)
        distance, direction = self.tree.query(mates[:, 2])
        count = self.mates.shape[0]
        best = np.asarray(distance).reshape(-1, count).argmin(1) + np.arange(len(views)) * count
        direction = np.asarray(direction, dtype=np.int64)[best]
        psi = np.rint(self._psi_in_line(mates[best], direction) / np.radians(self.grid.step_deg)).astype(
            np.int64
        )
        return np.asarray(direction * self.grid.psi_count + psi % self.grid.psi_count)

    def _lists(self, images: int, key: Integers, log_prior: Floats) -> tuple[Integers, Integers, Floats]:
        """Sort the entries by image and orientation, keep the nearest mate of each, normalise."""
        order = np.lexsort((-log_prior, key)) if self.grid.symmetry.order > 1 else np.argsort(key)
        key, log_prior = key[order], log_prior[order]
        kept = np.concatenate([np.ones(min(1, len(key)), bool), key[1:] != key[:-1]])
        key, log_prior = key[kept], log_prior[kept]
        image = key // self.grid.count
        totals = np.bincount(image, weights=np.exp(log_prior), minlength=images)
        counts = np.bincount(image, minlength=images)
        return counts, key % self.grid.count, log_prior - np.log(totals)[image]


@lru_cache(maxsize=2)
def _direction_tree(order: int, symmetry: SymmetryGroup) -> tuple[KDTree, Floats]:
    """Return a tree of the directions and their image axes at ψ = 0, ``(D, 2, 3)``, before perturbation."""
    grid = OrientationGrid(order, symmetry)
    at_psi_0 = torch.arange(grid.direction_count) * grid.psi_count
    axes = grid.rotations(at_psi_0, dtype=torch.float64)[:, :2]
    return KDTree(direction_vectors(grid.directions_deg).numpy()), axes.numpy()
