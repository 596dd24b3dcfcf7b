"""The block of a refinement's ``_optimiser.star``: what decides on the next iteration."""

from __future__ import annotations

from blushcore.jobs.expectation_maximisation.settings_star import (
    comparison_settings,
    correction_settings,
    file_settings,
    overall_accuracy,
)
from blushcore.jobs.expectation_maximisation.star_files import UNKNOWN, Blocks
from blushcore.jobs.refine.parameters import RefineParameters
from blushcore.jobs.refine.planning import Plan
from blushcore.jobs.refine.schedule import Course


def optimiser_blocks(
    params: RefineParameters, plan: Plan, course: Course, *, box_resolution: float, prefix: str
) -> Blocks:
    """Return the block; `course` is that after the iteration, `prefix` what its files' names begin with.

    `box_resolution` is what shell 1 stands for: box times voxel size, Å.
    """
    blush = params.prior == "blush"
    return {
        "optimiser_general": {
            **file_settings(("_half1_model.star", "_half2_model.star"), prefix, plan.iteration),
            "rlnNumberOfIterations": params.max_iterations,
            "rlnDoSplitRandomHalves": 1,
            "rlnJoinHalvesUntilThisResolution": params.low_resolution_join,
            **comparison_settings(params, plan.sampling.coarse_size),
            "rlnIncrementImageSize": course.increment_shells,
            "rlnDoAutoRefine": 1,
            "blushPrior": params.prior,
            **({"blushSpectralTrailing": int(params.spectral_trailing)} if blush else {}),
            "rlnAutoLocalSearchesHealpixOrder": params.local_from_order,
            "rlnNumberOfIterWithoutResolutionGain": course.iterations_without_gain,
            "rlnBestResolutionThusFar": course.resolution_shell / box_resolution,
            "rlnNumberOfIterWithoutChangingAssignments": course.iterations_without_change,
            **overall_accuracy(plan.accuracy),
            "rlnChangesOptimalOrientations": min(course.changes.angle_deg, UNKNOWN),
            "rlnChangesOptimalOffsets": min(course.changes.offset_angstrom, UNKNOWN),
            "rlnSmallestChangesOrientations": min(course.smallest_changes.angle_deg, UNKNOWN),
            "rlnSmallestChangesOffsets": min(course.smallest_changes.offset_angstrom, UNKNOWN),
            "rlnHasConverged": int(course.has_converged),
            "rlnHasHighFscAtResolLimit": int(course.high_fsc_at_limit),
            **correction_settings(params),
        }
    }
