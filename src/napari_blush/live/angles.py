"""The directions of a run's particles, from its STAR files; to be read beside the GUI's thread."""

from __future__ import annotations

from pathlib import Path

from blushcore.particles.star_text import read_star
from blushcore.protocol import BlushError
from napari_blush.plots.directions import DirectionCounts

_ROT, _TILT = "rlnAngleRot", "rlnAngleTilt"


def read_directions(path: Path, symmetry: str) -> DirectionCounts:
    """Read and count the directions in a STAR file of particles.

    Parameters
    ----------
    path
        ``run_it003_data.star`` or its like.
    symmetry
        The run's point group.

    Raises
    ------
    BlushError
        If the file cannot be read or has no angles.
    """
    particles = read_star(path).get("particles")
    if particles is None or _ROT not in particles or _TILT not in particles:
        raise BlushError(f"{path} has no {_ROT} and {_TILT} of particles.")
    rot, tilt = (particles[name].to_numpy(dtype="float64") for name in (_ROT, _TILT))
    return DirectionCounts.of(rot, tilt, symmetry)
