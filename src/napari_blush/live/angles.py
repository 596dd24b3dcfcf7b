"""The directions of a run's particles, from its STAR files; to be read beside the GUI's thread."""

from __future__ import annotations

from pathlib import Path

from blushcore.particles.star_text import read_star
from blushcore.protocol import BlushError
from napari_blush.plots.directions import DirectionCounts

_ROT, _TILT, _CLASS = "rlnAngleRot", "rlnAngleTilt", "rlnClassNumber"


def read_directions(path: Path, symmetry: str, class_number: int | None = None) -> DirectionCounts:
    """Read and count the directions in a STAR file of particles.

    Parameters
    ----------
    path
        ``run_it003_data.star`` or its like.
    symmetry
        The run's point group.
    class_number
        Count the particles of this class only, from 1.

    Raises
    ------
    BlushError
        If the file cannot be read or has no angles.
    """
    particles = read_star(path).get("particles")
    if particles is None or _ROT not in particles or _TILT not in particles:
        raise BlushError(f"{path} has no {_ROT} and {_TILT} of particles.")
    if class_number is not None and _CLASS in particles:
        particles = particles[particles[_CLASS].astype("int64") == class_number]
    rot, tilt = (particles[name].to_numpy(dtype="float64") for name in (_ROT, _TILT))
    return DirectionCounts.of(rot, tilt, symmetry)
