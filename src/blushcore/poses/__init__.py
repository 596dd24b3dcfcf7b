"""Poses: Euler angles, point groups, the grids that a search goes through, distances between views."""

from blushcore.poses.differences import angular_distance_deg, mean_axis_distance_deg
from blushcore.poses.euler import direction_vectors, euler_to_matrix, matrix_to_euler
from blushcore.poses.neighbourhoods import LocalOrientations, nearby_orientations
from blushcore.poses.offsets import OFFSET_CHILDREN, OffsetGrid
from blushcore.poses.orientations import ORIENTATION_CHILDREN, OrientationGrid
from blushcore.poses.symmetry import SymmetryGroup

__all__ = [
    "OFFSET_CHILDREN",
    "ORIENTATION_CHILDREN",
    "LocalOrientations",
    "OffsetGrid",
    "OrientationGrid",
    "SymmetryGroup",
    "angular_distance_deg",
    "direction_vectors",
    "euler_to_matrix",
    "matrix_to_euler",
    "mean_axis_distance_deg",
    "nearby_orientations",
]
