"""How near a map comes to the truth, once the truth is turned and moved into the map's own frame (`frames`)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import mrcfile
import numpy as np
from refine_scores import crossing, shell_correlation
from scipy import ndimage

from blushcore.simulation.run_frame import frame_of_run, in_frame

_WRONG_DEG = 10.0


@dataclass(frozen=True)
class FrameScores:
    """Of one run. Resolutions in Å, angles in degrees.

    Attributes
    ----------
    truth, truth_mean
        Where the FSC of the sum of the unfiltered halves with the truth falls below 0.5, and its mean over all
        shells, in the truth's mask.
    half
        Where that of the halves falls below 0.143 in the same mask.
    angle, shift
        Median pose errors, those of the offsets in Å and without the frame's own shift.
    wrong
        Share of the particles more than 10° off.
    frame
        How far the frame has turned.
    """

    truth: float
    truth_mean: float
    half: float
    angle: float
    shift: float
    wrong: float
    frame: float


def frame_scores(run: Path, dataset: Path, *, prefix: str = "run", copies: int = 1) -> FrameScores:
    """Score the final maps and poses of a run; kept beside them, as it takes seconds."""
    kept = run / "frame_scores.json"
    if kept.exists():
        return FrameScores(**json.loads(kept.read_text(encoding="utf-8")))
    with mrcfile.open(dataset / "truth.mrc") as file:
        truth, size = np.asarray(file.data, np.float32), float(file.voxel_size.x) * len(file.data)
    halves = [np.asarray(mrcfile.read(run / f"{prefix}_half{h}_class001_unfil.mrc")) for h in (1, 2)]
    frame = frame_of_run(run / f"{prefix}_data.star", dataset / "true.star", copies)
    turned = in_frame(truth, frame, size / len(truth))
    inside = ndimage.gaussian_filter(turned, 2) > 0.05 * turned.max()
    mask = ndimage.gaussian_filter(inside.astype(np.float32), 1.5)
    with_truth = shell_correlation((halves[0] + halves[1]) * mask, turned * mask)
    between = shell_correlation(halves[0] * mask, halves[1] * mask)
    scores = FrameScores(
        truth=round(crossing(with_truth, size, 0.5), 3),
        truth_mean=round(float(with_truth[1:].mean()), 4),
        half=round(crossing(between, size, 0.143), 3),
        angle=round(float(np.median(frame.angles_deg)), 3),
        shift=round(float(np.median(frame.offsets_angstrom)), 3),
        wrong=round(float((frame.angles_deg > _WRONG_DEG).mean()), 4),
        frame=round(frame.turn_deg, 3),
    )
    kept.write_text(json.dumps(asdict(scores)) + "\n", encoding="utf-8")
    return scores
