"""The frame that a run's poses ended in: how far it is turned and moved against the truth's.

Nothing fixes the frame of a refinement but its first reference at 40 Å, and it drifts: by tenths of a degree
with the Wiener filter and in RELION, by degrees under a prior that is no filter. A map that is turned by 2° is
as good a map as the other, but its correlation with the truth falls at high frequencies, and offsets of 1 Å
along an axis of symmetry cost as much. Users do not see that: a map is fitted to its model before anybody
compares the two. So the frame is taken out before a run is scored.

Is that fair? Three things speak for it.

- The frame comes from the poses alone, those found against the true ones, never from the map: no noise in a
  map can be fitted to the truth, and three angles and three shifts are the means of hundreds of poses. The
  better half of the particles decides, so that wrong ones cannot pull at it.
- It is done in the same way to every run, whichever prior or program made it: the truth is interpolated for
  all, from a grid three times as fine. Where nothing has turned or moved, nothing is interpolated.
- Nothing that a refinement may do wrongly is taken out with it: single particles that are off, a wrong hand,
  bent or stretched maps and a wrong pixel size are no rotation of the whole.

What speaks against it: that a prior lets the frame drift at all is a property of the prior. So the drift is
told beside the scores, and the table has a column for it.

With symmetry Cn the axis is fixed by it, along z through the centre: what is free is a turn about z and a shift
along it. Each pose has n mates, and which one is meant depends on the turn, so both are found together.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from blushcore.particles.star_text import read_star
from blushcore.protocol import BlushError

if TYPE_CHECKING:
    from pandas import DataFrame

Floats = NDArray[np.float64]
_FINER = 3
"""Oversampling in Fourier space before a map is interpolated."""
_ROUNDS = 8
_NOTHING_DEG, _NOTHING_PX = 0.05, 0.02
_ANGLES = ["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]
_ORIGINS = ["rlnOriginXAngst", "rlnOriginYAngst"]


@dataclass(frozen=True, eq=False)
class Frame:
    """How a run's frame lies against the truth's, and the pose errors that are left then.

    Attributes
    ----------
    rotation
        F with ``found @ F`` nearest to the true matrices, ``(3, 3)``: object vectors (x, y, z).
    shift_angstrom
        How far the object has moved in the run's frame, ``(3,)``.
    angles_deg, offsets_angstrom
        What is left of each particle's error, ``(N,)``.
    """

    rotation: Floats
    shift_angstrom: Floats
    angles_deg: Floats
    offsets_angstrom: Floats

    @property
    def turn_deg(self) -> float:
        """How far it has turned."""
        return float(np.degrees(Rotation.from_matrix(self.rotation).magnitude()))


def frame_of_run(found: Path, true: Path, copies: int = 1) -> Frame:
    """Return the frame of the poses in a run's STAR file of particles, against those in a simulated set's.

    Particles are matched by their numbers in the stack; those that only one of the files has are left out.
    `copies` as for `frame_of`.

    Raises
    ------
    BlushError
        If a file cannot be read, has a number twice, or they have no particles in common.
    """
    one, other = (_particles(path) for path in (found, true))
    both = other.index.intersection(one.index)
    if both.empty:
        raise BlushError(f"{found} and {true} have no particles in common.", "Is it the run's own set?")
    return frame_of_tables(one.loc[both], other.loc[both], copies)


def frame_of_tables(found: DataFrame, true: DataFrame, copies: int = 1) -> Frame:
    """Return the frame of poses in tables of RELION's columns, the same particles in the same order."""
    offset = found[_ORIGINS].to_numpy(float) - true[_ORIGINS].to_numpy(float)
    return frame_of(_object_to_image(found), _object_to_image(true), offset, copies)


def frame_of(found: Floats, true: Floats, offset: Floats, copies: int = 1) -> Frame:
    """Return the frame of poses.

    Parameters
    ----------
    found, true
        RELION's matrices A of the same particles, ``(N, 3, 3)``.
    offset
        Found less true offsets in Å, ``(N, 2)``.
    copies
        n of the symmetry Cn about z; 1 for none.
    """
    # With the turn half-way between two mates, either would do, and half of the particles would take each.
    starts = (0.0,) if copies == 1 else (0.0, 180.0 / copies)
    tried = [_turned(found, true, copies, start) for start in starts]
    rotation, mates, angles = min(tried, key=lambda one: float(np.median(one[2])))
    good = angles <= np.median(angles)
    axes = slice(0, 3) if copies == 1 else slice(2, 3)
    rows = mates[:, :2, axes]
    shift = np.zeros(3)
    shift[axes] = np.linalg.lstsq(rows[good].reshape(-1, rows.shape[2]), offset[good].reshape(-1), rcond=None)[
        0
    ]
    left = np.hypot(*(offset - mates[:, :2] @ shift).T)
    return Frame(rotation, shift, angles, left)


def _particles(path: Path) -> DataFrame:
    """Read the particles of a STAR file with or without an optics block, by their numbers in the stack."""
    blocks = read_star(path)
    table = blocks["particles"] if "particles" in blocks else next(iter(blocks.values()))
    numbered = table.set_index(table["rlnImageName"].str.partition("@")[0].astype(int))
    if not numbered.index.is_unique:
        raise BlushError(f"{path} has particles of more than one stack.", "Poses can be compared of one stack.")
    return numbered


def _object_to_image(table: DataFrame) -> Floats:
    """Return RELION's matrices A from rot, tilt, psi, ``(N, 3, 3)``."""
    angles = table[_ANGLES].to_numpy(float)
    return np.asarray(Rotation.from_euler("ZYZ", angles, degrees=True).as_matrix().transpose(0, 2, 1))


def _turned(found: Floats, true: Floats, copies: int, start_deg: float) -> tuple[Floats, Floats, Floats]:
    """Return the rotation, each particle's mate, and the angles left (°), from a turn about z to begin with."""
    turns = Rotation.from_euler("Z", 360 * np.arange(copies)[:, None] / copies, degrees=True).as_matrix()
    all_mates = found[None] @ turns[:, None]
    frame = Rotation.from_euler("Z", start_deg, degrees=True).as_matrix()
    mates, angles = found, np.full(len(found), 180.0)
    for _ in range(_ROUNDS):
        nearest = np.einsum("knij,jl,nil->kn", all_mates, frame, true).argmax(0)
        mates = all_mates[nearest, np.arange(len(found))]
        angles = angles_between(mates @ frame, true)
        good = angles <= np.median(angles)
        frame = _best_rotation(np.einsum("nij,nik->jk", mates[good], true[good]), about_z=copies > 1)
    return frame, mates, angles_between(mates @ frame, true)


def _best_rotation(products: Floats, *, about_z: bool) -> Floats:
    """Return the rotation F (about z only, if so) of greatest ``trace(products.T @ F)``: Kabsch 1976."""
    if about_z:
        turn = np.arctan2(products[1, 0] - products[0, 1], products[0, 0] + products[1, 1])
        return np.asarray(Rotation.from_euler("Z", turn).as_matrix())
    u, _, v = np.linalg.svd(products)
    return np.asarray(u @ np.diag([1, 1, np.linalg.det(u @ v)]) @ v)


def angles_between(one: Floats, other: Floats) -> Floats:
    """Return the angles of the rotations between matrices, ``(N,)`` in degrees."""
    cosine = (np.einsum("nij,nij->n", one, other) - 1) / 2
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def in_frame(truth: NDArray[np.float32], frame: Frame, voxel_size: float) -> NDArray[np.float32]:
    """Return a map as it lies in a run's frame: what is at x comes from Fᵀ(x − d), about index ``n // 2``."""
    shift_px = frame.shift_angstrom / voxel_size
    if frame.turn_deg < _NOTHING_DEG and np.abs(shift_px).max() < _NOTHING_PX:
        return truth
    n = len(truth)
    finer = _FINER * n
    spectrum = np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(truth)))
    first = finer // 2 - n // 2
    padded = np.pad(spectrum, [(first, finer - n - first)] * 3)
    fine = np.fft.fftshift(np.fft.ifftn(np.fft.ifftshift(padded))).real * _FINER**3
    turn = frame.rotation.T[::-1, ::-1]  # for (z, y, x)
    centre = np.full(3, n // 2)
    offset = _FINER * (n // 2) - _FINER * turn @ (centre + shift_px[::-1])
    turned = ndimage.affine_transform(fine, _FINER * turn, offset, output_shape=(n,) * 3, order=3)
    return np.asarray(turned, np.float32)
