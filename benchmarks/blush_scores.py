"""How near a map comes to the truth, once the truth is turned and moved into the map's own frame.

Nothing fixes the frame of a refinement but its first reference, and it drifts: by degrees under a prior that is
no filter. Turned against the truth, a map as good as another scores lower. The frame is taken from the poses
alone (those found against the true ones), not fitted to the maps, so that noise cannot gain by it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import mrcfile
import numpy as np
from numpy.typing import NDArray
from refine_scores import Map, crossing, object_to_image, particle_table, shell_correlation
from scipy import ndimage
from scipy.spatial.transform import Rotation

_FINER = 3
"""Oversampling in Fourier space before the truth is interpolated."""
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
    true, found = particle_table(dataset / "true.star"), particle_table(run / f"{prefix}_data.star")
    number = found["rlnImageName"].str.partition("@")[0].astype(int)
    found = found.set_index(number).loc[true["rlnImageName"].str.partition("@")[0].astype(int)]
    a, b = object_to_image(found), object_to_image(true)
    turns = Rotation.from_euler("Z", 360 * np.arange(copies)[:, None] / copies, degrees=True).as_matrix()
    mates = a[None] @ turns[:, None]
    a = mates[np.einsum("knij,nij->kn", mates, b).argmax(0), np.arange(len(a))]
    frame, angle = common_rotation(a, b)
    columns = ["rlnOriginXAngst", "rlnOriginYAngst"]
    offset = found[columns].to_numpy(float) - true[columns].to_numpy(float)
    good = angle <= np.median(angle)
    moved = np.linalg.lstsq(a[good, :2].reshape(-1, 3), offset[good].reshape(-1), rcond=None)[0]
    left = np.hypot(*(offset - (a[:, :2] @ moved)).T)
    turned = in_frame(truth, frame, moved / (size / len(truth)))
    inside = ndimage.gaussian_filter(turned, 2) > 0.05 * turned.max()
    mask = ndimage.gaussian_filter(inside.astype(np.float32), 1.5)
    with_truth = shell_correlation((halves[0] + halves[1]) * mask, turned * mask)
    between = shell_correlation(halves[0] * mask, halves[1] * mask)
    scores = FrameScores(
        truth=round(crossing(with_truth, size, 0.5), 3),
        truth_mean=round(float(with_truth[1:].mean()), 4),
        half=round(crossing(between, size, 0.143), 3),
        angle=round(float(np.median(angle)), 3),
        shift=round(float(np.median(left)), 3),
        wrong=round(float((angle > _WRONG_DEG).mean()), 4),
        frame=round(float(np.degrees(Rotation.from_matrix(frame).magnitude())), 3),
    )
    kept.write_text(json.dumps(asdict(scores)) + "\n", encoding="utf-8")
    return scores


def common_rotation(
    a: NDArray[np.float64], b: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the rotation F with ``a @ F`` nearest to `b`, from the better half, and the angles left (°)."""
    angle = np.full(len(a), 180.0)
    frame = np.eye(3)
    for _ in range(8):
        good = angle <= np.median(angle)
        u, _, v = np.linalg.svd(np.einsum("nij,nik->jk", a[good], b[good]))
        frame = u @ np.diag([1, 1, np.linalg.det(u @ v)]) @ v
        cosine = (np.einsum("nij,nij->n", a @ frame, b) - 1) / 2
        angle = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    return frame, angle


def in_frame(truth: Map, frame: NDArray[np.float64], moved_px: NDArray[np.float64]) -> Map:
    """Return the truth in another frame: what is at x comes from Fᵀ(x − d); vectors are (x, y, z) in voxels."""
    n = len(truth)
    finer = _FINER * n
    spectrum = np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(truth)))
    first = finer // 2 - n // 2
    padded = np.pad(spectrum, [(first, finer - n - first)] * 3)
    fine = np.fft.fftshift(np.fft.ifftn(np.fft.ifftshift(padded))).real * _FINER**3
    turn = frame.T[::-1, ::-1]  # for (z, y, x)
    shift = moved_px[::-1]
    centre = np.full(3, n // 2)
    offset = _FINER * (n // 2) - _FINER * turn @ (centre + shift)
    turned = ndimage.affine_transform(fine, _FINER * turn, offset, output_shape=(n,) * 3, order=3)
    return np.asarray(turned, np.float32)
