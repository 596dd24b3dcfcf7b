"""How good a finished refinement of a set with known truth is: RELION's run folders and ours alike.

The frame that a run ended in is taken out first, in the same way for all: see `frames`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import mrcfile
import numpy as np
import starfile
from frames import frame_of, in_frame
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
    found, true = matched_tables(run / f"{prefix}_data.star", dataset / "true.star")
    frame = frame_of(object_to_image(found), object_to_image(true), offset_errors(found, true), copies)
    truth = in_frame(truth, frame, size / len(truth))
    inside = ndimage.gaussian_filter(truth, 2) > 0.05 * truth.max()
    mask = ndimage.gaussian_filter(inside.astype(np.float32), 1.5)
    with_truth = shell_correlation((halves[0] + halves[1]) * mask, truth * mask)
    between = shell_correlation(halves[0] * mask, halves[1] * mask)
    return Scores(
        truth=round(crossing(with_truth, size, 0.5), 2),
        truth_mean=round(float(with_truth[1:].mean()), 4),
        half=round(crossing(between, size, 0.143), 2),
        angle=round(float(np.median(frame.angles_deg)), 3),
        shift=round(float(np.median(frame.offsets_angstrom)), 3),
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


def matched_tables(found: Path, true: Path) -> tuple[DataFrame, DataFrame]:
    """Read the poses that were found, and the true ones, in the order of the latter; by the images' numbers."""
    truth, table = particle_table(true), particle_table(found)
    number = table["rlnImageName"].str.partition("@")[0].astype(int)
    order = truth["rlnImageName"].str.partition("@")[0].astype(int)
    return table.set_index(number).loc[order], truth


def pose_errors(found: DataFrame, true: DataFrame, copies: int) -> tuple[float, float]:
    """Median errors of orientations (°) and offsets (Å) of tables in one order, without those of the frame."""
    frame = frame_of(object_to_image(found), object_to_image(true), offset_errors(found, true), copies)
    return float(np.median(frame.angles_deg)), float(np.median(frame.offsets_angstrom))


def offset_errors(found: DataFrame, true: DataFrame) -> NDArray[np.float64]:
    """Found less true offsets in Å, ``(N, 2)``."""
    columns = ["rlnOriginXAngst", "rlnOriginYAngst"]
    return found[columns].to_numpy(float) - true[columns].to_numpy(float)


def object_to_image(table: DataFrame) -> NDArray[np.float64]:
    """Return RELION's matrices A from rot, tilt, psi, ``(N, 3, 3)``."""
    angles = table[["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]].to_numpy(float)
    return np.asarray(Rotation.from_euler("ZYZ", angles, degrees=True).as_matrix().transpose(0, 2, 1))
