"""How good a finished refinement of a set with known truth is: RELION's run folders and ours alike.

The frame that a run ended in is taken out first, in the same way for all: see `blushcore.simulation.run_frame`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import mrcfile
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from blushcore.simulation.run_frame import frame_of_run, in_frame

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
    frame = frame_of_run(run / f"{prefix}_data.star", dataset / "true.star", copies)
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
