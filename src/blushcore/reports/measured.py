"""What a report works out from a run's files: FSC of the final halves, FSC with a truth, views."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from blushcore.jobs.simulate.file_names import TRUE
from blushcore.particles.star_text import read_star
from blushcore.poses import SymmetryGroup
from blushcore.protocol import BlushError
from blushcore.reports.directions import DirectionCounts
from blushcore.reports.facts import RunFacts
from blushcore.shells import FscCurves, fsc, mask_warnings, resolution, solvent_corrected_fsc
from blushcore.shells.resolution import MAP_MODEL_THRESHOLD
from blushcore.simulation.run_frame import Frame, frame_of_run, in_frame
from blushcore.volumes import Volume, mask_from_map, read_map, read_mask, require_same_grid

_ROT, _TILT = "rlnAngleRot", "rlnAngleTilt"
_TRUTH_THRESHOLD = 0.05
"""Of the truth's largest value, above which its mask is drawn."""


@dataclass(frozen=True, eq=False)
class HalvesMeasured:
    """The FSC of the final halves; the name of the mask it is corrected for, if any; what is odd about it."""

    curves: FscCurves
    mask_name: str
    warnings: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class AgainstTruth:
    """The final map against what it was simulated from, in a soft mask of that.

    Attributes
    ----------
    name
        File of the truth.
    with_truth, between
        FSC of the mean of the undenoised halves with the truth, and of the halves; float64 ``(n // 2 + 1,)``.
    size_angstrom
        Side of the box.
    angstrom, half_angstrom
        Where they fall below 0.5 and 0.143.
    frame
        How the run's poses lie against the true ones, where ``true.star`` lies beside the truth: taken out.
    """

    name: str
    with_truth: NDArray[np.float64]
    between: NDArray[np.float64]
    size_angstrom: float
    angstrom: float
    half_angstrom: float
    frame: Frame | None = None

    @property
    def mean(self) -> float:
        """Mean FSC with the truth over all shells but the first."""
        return float(self.with_truth[1:].mean())


def measure_halves(facts: RunFacts, mask: Path | None) -> HalvesMeasured | None:
    """Return the FSC of the final halves; None if there are none.

    Parameters
    ----------
    facts
        The run.
    mask
        Given by the user; otherwise the run's own.

    Raises
    ------
    BlushError
        If a file cannot be read or does not fit.
    """
    halves = _halves(facts)
    if halves is None:
        if mask is not None:
            raise _without_halves(facts, mask)
        return None
    one, two = halves
    gone: tuple[str, ...] = ()
    given = facts.parameter("mask")
    if mask is None and given:
        mask = Path(str(given))
        if not mask.is_file():
            gone = (f"The run's mask {mask} is not there any more: the FSC is without one.",)
            mask = None
    size = one.isotropic_voxel_size
    if mask is None:
        curves = FscCurves(box=one.shape[0], voxel_size=size, unmasked=fsc(one.data, two.data))
        return HalvesMeasured(curves, "", gone)
    window = read_mask(mask, facts.files["half1_unfil"], one)
    curves = solvent_corrected_fsc(one.data, two.data, window.data, voxel_size=size)
    return HalvesMeasured(curves, mask.name, (*window.warnings, *mask_warnings(curves)))


def measure_truth(facts: RunFacts, truth: Path) -> AgainstTruth:
    """Hold the mean of the final halves against a truth.

    Nothing but its first reference fixes the frame of a refinement, and it drifts a little: where the true
    poses are known, the truth is first turned and moved as the run's poses have it.

    Raises
    ------
    BlushError
        If there are no final halves, or the truth is on another grid.
    """
    halves = _halves(facts)
    if halves is None:
        raise _without_halves(facts, truth)
    one, two = halves
    wanted = read_map(truth)
    require_same_grid(facts.files["half1_unfil"], one, truth, wanted)
    size = wanted.isotropic_voxel_size
    frame = _frame(facts, truth.with_name(TRUE))
    if frame is not None:
        wanted = dataclasses.replace(wanted, data=in_frame(wanted.data, frame, size))
    mask = mask_of_truth(wanted)
    with_truth = fsc((one.data + two.data) / 2 * mask, wanted.data * mask)
    between = fsc(one.data * mask, two.data * mask)
    across = one.shape[0] * size
    return AgainstTruth(
        truth.name,
        with_truth,
        between,
        across,
        resolution(with_truth, across, MAP_MODEL_THRESHOLD).interpolated_angstrom,
        resolution(between, across).interpolated_angstrom,
        frame,
    )


def _frame(facts: RunFacts, true_poses: Path) -> Frame | None:
    """Return the frame of a run; None where the true poses are not known, or symmetry leaves nothing free."""
    group = SymmetryGroup.of(str(facts.parameter("symmetry") or "C1"))
    found = facts.files.get("data")
    if found is None or not true_poses.is_file() or not group.name.startswith("C"):
        return None
    return frame_of_run(found, true_poses, len(group.matrices))


def mask_of_truth(truth: Volume) -> NDArray[np.float32]:
    """Return a soft mask around what a truth shows, ``(n, n, n)``."""
    size = truth.isotropic_voxel_size
    return mask_from_map(
        truth,
        threshold=_TRUTH_THRESHOLD * float(truth.data.max()),
        extend_angstrom=2 * size,
        soft_edge_angstrom=5 * size,
    ).data


def measure_views(facts: RunFacts) -> DirectionCounts | None:
    """Count the directions of the newest particle table; None if there is none with angles."""
    path = facts.files.get("data")
    if path is None:
        return None
    particles = read_star(path).get("particles")
    if particles is None or _ROT not in particles or _TILT not in particles:
        return None
    rot, tilt = (particles[name].to_numpy(dtype="float64") for name in (_ROT, _TILT))
    return DirectionCounts.of(rot, tilt, str(facts.parameter("symmetry") or "C1"))


def _without_halves(facts: RunFacts, given: Path) -> BlushError:
    """Return what to say of a map that was given for final halves which there are not."""
    if facts.job == "classify":
        return BlushError(
            f"A classification has no half-maps, so there is no FSC for {given}.",
            "Leave it out, or refine a class on its own.",
        )
    remedy = "Wait for the run's end." if facts.tone == "open" else "Leave it out, or restore the run's files."
    return BlushError(f"{facts.directory} has no final half-maps, so there is no FSC for {given}.", remedy)


def _halves(facts: RunFacts) -> tuple[Volume, Volume] | None:
    names = ("half1_unfil", "half2_unfil")
    if any(name not in facts.files for name in names):
        return None
    one, two = (read_map(facts.files[name]) for name in names)
    return one, two
