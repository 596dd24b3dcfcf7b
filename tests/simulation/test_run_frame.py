"""The frame that a run's poses ended in, and the pose errors that are left without it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import starfile
from scipy.spatial.transform import Rotation

from blushcore.simulation.run_frame import Frame, angles_between, frame_of, frame_of_run, in_frame
from gaussian_blobs import blobs

N, VOXEL = 24, 3.0
PLACES = np.array([[4.0, 0, 0], [0, 3, 2], [-3, -2, 4], [0, -4, -3]])


def matrices(rotations: Rotation) -> np.ndarray:
    return rotations.as_matrix()


def write_poses(
    path: Path, to_object: Rotation, origins: np.ndarray, *, order: np.ndarray | None = None
) -> None:
    angles = to_object.as_euler("ZYZ", degrees=True)
    table = pd.DataFrame(angles, columns=["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"])
    table[["rlnOriginXAngst", "rlnOriginYAngst"]] = origins
    table["rlnImageName"] = [f"{i + 1:06d}@some/particles.mrcs" for i in range(len(table))]
    if order is not None:
        table = table.iloc[order]
    starfile.write({"optics": pd.DataFrame({"rlnOpticsGroup": [1]}), "particles": table}, path, overwrite=True)


@pytest.mark.parametrize(
    ("copies", "turn", "shift"),
    [
        (1, Rotation.from_euler("ZYZ", [20, 5, -13], degrees=True), (1.0, -2.0, 0.5)),
        (4, Rotation.from_euler("Z", 7, degrees=True), (0.0, 0.0, 2.0)),
        (4, Rotation.from_euler("Z", 45, degrees=True), (0.0, 0.0, -1.0)),  # between two mates
        (3, Rotation.from_euler("Z", 59, degrees=True), (0.0, 0.0, 0.0)),
    ],
)
def test_the_frame_is_found_and_the_errors_that_are_left(copies, turn, shift):
    rng = np.random.default_rng(2)
    count, bad = 300, 30
    true = Rotation.random(count, random_state=3)
    errors = Rotation.from_rotvec(rng.normal(0, 1.0, (count, 3)), degrees=True)
    errors = Rotation.concatenate([errors[bad:], Rotation.random(bad, random_state=4)])
    mates = Rotation.from_euler("Z", 360 / copies * rng.integers(0, copies, (count, 1)), degrees=True)
    found = errors * true * turn.inv()  # A_found F = A_true
    moved = np.einsum("nij,j->ni", matrices(found), np.array(shift))[:, :2]
    offset = moved + rng.normal(0, 0.2, (count, 2))
    frame = frame_of(matrices(found * mates), matrices(true), offset, copies)
    whole = matrices(turn) @ matrices(
        Rotation.from_euler("Z", -360 / copies * np.arange(copies)[:, None], degrees=True)
    )
    assert min(angles_between(whole, np.broadcast_to(frame.rotation, whole.shape))) < 0.3
    np.testing.assert_allclose(frame.shift_angstrom, shift, atol=0.1)
    left = np.degrees(errors.magnitude())
    assert np.median(frame.angles_deg) == pytest.approx(np.median(left), rel=0.05)
    assert np.median(frame.offsets_angstrom) == pytest.approx(0.2 * np.sqrt(2 * np.log(2)), rel=0.2)
    assert (frame.angles_deg > 10).mean() == pytest.approx((left > 10).mean(), abs=0.01 if copies == 1 else 0.1)


def test_a_map_is_turned_as_the_poses_say():
    turn, shift = Rotation.from_euler("ZYZ", [30, 10, -5], degrees=True), np.array([0.5, -1.0, 0.25])
    frame = Frame(turn.as_matrix(), shift * VOXEL, np.zeros(1), np.zeros(1))
    turned = in_frame(blobs(PLACES, N), frame, VOXEL)
    np.testing.assert_allclose(turned, blobs(turn.apply(PLACES) + shift, N), atol=0.02)
    nothing = Frame(np.eye(3), np.zeros(3), np.zeros(1), np.zeros(1))
    assert in_frame(turned, nothing, VOXEL) is turned


def test_pose_errors_are_told_apart_from_the_frame_and_symmetry(tmp_path):
    rng = np.random.default_rng(1)
    true, count = tmp_path / "true.star", 200
    to_object = Rotation.random(count, random_state=5)
    origins = rng.normal(0, 4, (count, 2))
    write_poses(true, to_object, origins)
    errors = Rotation.from_rotvec(rng.normal(0, 1.5, (count, 3)), degrees=True)
    mates = Rotation.from_euler("Z", 90 * rng.integers(0, 4, (count, 1)), degrees=True)
    found = tmp_path / "run_data.star"
    write_poses(found, mates * to_object * errors, origins + np.array([0.7, 0]), order=rng.permutation(count))
    frame = frame_of_run(found, true, 4)
    median = np.median(np.degrees(errors.magnitude()))
    assert np.median(frame.angles_deg) == pytest.approx(median, rel=0.05)
    # Nearly all: a little passes for a shift along the axis.
    assert np.median(frame.offsets_angstrom) == pytest.approx(0.7, rel=0.1)
    turn = Rotation.from_euler("ZYZ", [20, 50, 70], degrees=True)
    write_poses(found, turn * to_object * errors, origins)
    assert np.median(frame_of_run(found, true).angles_deg) == pytest.approx(median, rel=0.05)
