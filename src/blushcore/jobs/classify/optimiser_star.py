"""The block of a classification's ``_optimiser.star``, in the columns of RELION's Class3D."""

from __future__ import annotations

from blushcore.jobs.classify.parameters import ClassifyParameters
from blushcore.jobs.classify.plan import ClassifyPlan
from blushcore.jobs.classify.state import ClassifyState
from blushcore.jobs.expectation_maximisation.search import FIRST_INCREMENT_SHELLS
from blushcore.jobs.expectation_maximisation.settings_star import (
    comparison_settings,
    correction_settings,
    file_settings,
    overall_accuracy,
)
from blushcore.jobs.expectation_maximisation.star_files import Blocks


def optimiser_blocks(
    params: ClassifyParameters, plan: ClassifyPlan, state: ClassifyState, *, box_resolution: float, prefix: str
) -> Blocks:
    """Return the block; `state` is that after the iteration, `prefix` what its files' names begin with.

    `box_resolution` is what shell 1 stands for: box times voxel size, Å.
    """
    best = min((each for each in plan.accuracies if each), key=lambda each: each.angle_deg, default=None)
    moves = state.moves
    return {
        "optimiser_general": {
            **file_settings(("_model.star",), prefix, plan.iteration),
            "rlnNumberOfIterations": params.iterations,
            "rlnDoSplitRandomHalves": 0,
            "rlnJoinHalvesUntilThisResolution": -1.0,
            **comparison_settings(params, plan.sampling.coarse_size),
            "rlnHighresLimitExpectation": params.highest_resolution or -1.0,
            "rlnIncrementImageSize": FIRST_INCREMENT_SHELLS,
            "rlnDoAutoRefine": 0,
            "blushPrior": params.prior,
            "rlnBestResolutionThusFar": state.resolution_shell / box_resolution,
            "rlnDoSkipAlign": int(params.alignment == "none"),
            "rlnDoSkipRotate": int(params.alignment == "offsets"),
            **overall_accuracy(best),
            "rlnChangesOptimalOrientations": moves.angle_deg,
            "rlnChangesOptimalOffsets": moves.offset_angstrom,
            "rlnChangesOptimalClasses": moves.classes,
            **correction_settings(params),
        }
    }
