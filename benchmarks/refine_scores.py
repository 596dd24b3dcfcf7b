"""How good a finished refinement of a set with known truth is: RELION's run folders and ours alike."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import mrcfile
import numpy as np
import starfile
from numpy.typing import NDArray
from pandas import DataFrame
from scipy import ndimage
from scipy.spatial.transform import Rotation

Curve = NDArray[np.float64]
Map = NDArray[np.float32]


@dataclass(frozen=True)
class Scores:
    """Of one run. Resolutions and shifts in Å, angles in degrees."""

    truth: float
    """Where the FSC of the sum of the unfiltered halves with the truth falls below 0.5, in the truth's mask."""
    truth_mean: float
    """Mean of that FSC over all shells: tells maps apart whose curve stays above 0.5 to Nyquist."""
    half: float
    """Where the FSC of the halves in the same mask falls below 0.143."""
    angle: float
    """Median error of the orientations, one rotation between the frames and symmetry mates allowed for."""
    shift: float
    """Median error of the offsets."""


def score_run(run: Path, dataset: Path, *, prefix: str = "run", copies: int = 1) -> Scores:
    """Score the final maps and poses in `run` against ``truth.mrc`` and ``true.star`` of `dataset`."""
    with mrcfile.open(dataset / "truth.mrc") as file:
        truth = np.asarray(file.data, np.float32)
        size = float(file.voxel_size.x) * len(truth)
    halves = [np.asarray(mrcfile.read(run / f"{prefix}_half{h}_class001_unfil.mrc")) for h in (1, 2)]
    inside = ndimage.gaussian_filter(truth, 2) > 0.05 * truth.max()
    mask = ndimage.gaussian_filter(inside.astype(np.float32), 1.5)
    with_truth = shell_correlation((halves[0] + halves[1]) * mask, truth * mask)
    between = shell_correlation(halves[0] * mask, halves[1] * mask)

    true = particle_table(dataset / "true.star")
    found = particle_table(run / f"{prefix}_data.star")
    number = found["rlnImageName"].str.partition("@")[0].astype(int)
    found = found.set_index(number).loc[true["rlnImageName"].str.partition("@")[0].astype(int)]
    angle, shift = pose_errors(found, true, copies)
    return Scores(
        truth=round(crossing(with_truth, size, 0.5), 2),
        truth_mean=round(float(with_truth[1:].mean()), 4),
        half=round(crossing(between, size, 0.143), 2),
        angle=round(angle, 3),
        shift=round(shift, 3),
    )


def particle_table(path: Path) -> DataFrame:
    """Read the particles of a STAR file with or without an optics block."""
    content = starfile.read(path)
    table = content["particles"] if isinstance(content, dict) else content
    assert isinstance(table, DataFrame)
    return table


def shell_correlation(first: Map, second: Map) -> Curve:
    """FSC of two cubic maps for shells 0 to n/2 − 1."""
    n = len(first)
    k = np.fft.fftfreq(n, 1 / n)
    radius = np.sqrt(k[:, None, None] ** 2 + k[None, :, None] ** 2 + k[None, None] ** 2)
    shell = np.rint(radius).astype(int).ravel()
    a, b = np.fft.fftn(first).ravel(), np.fft.fftn(second).ravel()
    products = ((a * b.conj()).real, np.abs(a) ** 2, np.abs(b) ** 2)
    cross, power_a, power_b = (np.bincount(shell, product)[: n // 2] for product in products)
    return np.asarray(cross / np.sqrt(power_a * power_b + 1e-30))


def crossing(curve: Curve, size_angstrom: float, threshold: float) -> float:
    """Resolution (Å) at which a curve first falls below a threshold, interpolated; else its last shell's."""
    below = np.flatnonzero(curve[1:] < threshold)
    if not len(below):
        return size_angstrom / (len(curve) - 1)
    s = int(below[0]) + 1
    return float(size_angstrom / (s - 1 + (curve[s - 1] - threshold) / (curve[s - 1] - curve[s])))


def pose_errors(found: DataFrame, true: DataFrame, copies: int) -> tuple[float, float]:
    """Median errors of orientations (degrees) and offsets (Å) of tables in the same order."""
    a, b = object_to_image(found), object_to_image(true)
    turns = Rotation.from_euler("Z", 360 * np.arange(copies)[:, None] / copies, degrees=True).as_matrix()
    mates = a[None] @ turns[:, None]
    a = mates[np.einsum("knij,nij->kn", mates, b).argmax(0), np.arange(len(a))]
    angle = np.full(len(a), 180.0)
    for _ in range(5):  # the rotation between the two frames, from the better half of the particles
        good = angle <= np.median(angle)
        u, _, v = np.linalg.svd(np.einsum("nij,nik->jk", a[good], b[good]))
        frame = u @ np.diag([1, 1, np.linalg.det(u @ v)]) @ v
        cosine = (np.einsum("nij,nij->n", a @ frame, b) - 1) / 2
        angle = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    columns = ["rlnOriginXAngst", "rlnOriginYAngst"]
    offset = found[columns].to_numpy(float) - true[columns].to_numpy(float)
    return float(np.median(angle)), float(np.median(np.hypot(*offset.T)))


def object_to_image(table: DataFrame) -> NDArray[np.float64]:
    """Return RELION's matrices A from rot, tilt, psi, ``(N, 3, 3)``."""
    angles = table[["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]].to_numpy(float)
    return np.asarray(Rotation.from_euler("ZYZ", angles, degrees=True).as_matrix().transpose(0, 2, 1))
