"""The blocks of ``_sampling.star`` and ``_optimiser.star``: the search, and what decides on the next."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from blushcore.inference import Accuracy
from blushcore.jobs.refine.parameters import RefineParameters, SamplingChoices
from blushcore.jobs.refine.schedule import Course, Search, angular_step_deg
from blushcore.jobs.refine.star_files import UNKNOWN, Blocks, InRun


def sampling_blocks(
    params: SamplingChoices, search: Search, perturbation: float, directions_deg: NDArray[np.float64]
) -> Blocks:
    """Return the blocks of a ``_sampling.star``; `directions_deg` are the grid's rot and tilt, ``(D, 2)``."""
    import pandas as pd

    return {
        "sampling_general": {
            "rlnIs3DSampling": 1,
            "rlnIs3DTranslationalSampling": 0,
            "rlnHealpixOrder": search.healpix_order,
            "rlnSymmetryGroup": params.symmetry.upper(),
            "rlnTiltAngleLimit": -91.0,
            "rlnPsiStep": search.step_deg,
            "rlnOffsetRange": search.offset_range_angstrom,
            "rlnOffsetStep": search.offset_step_angstrom,
            "rlnHelicalOffsetStep": -1.0,
            "rlnSamplingPerturbInstance": perturbation,
            "rlnSamplingPerturbFactor": 0.5,
            "rlnHealpixOrderOriginal": params.healpix_order,
            "rlnPsiStepOriginal": angular_step_deg(params.healpix_order),
        },
        "sampling_directions": pd.DataFrame(
            {"rlnAngleRot": directions_deg[:, 0], "rlnAngleTilt": directions_deg[:, 1]}
        ),
    }


def optimiser_blocks(
    params: RefineParameters,
    iteration: int,
    course: Course,
    accuracy: Accuracy | None,
    *,
    coarse_size: int,
    box_resolution: float,
    prefix: str,
) -> Blocks:
    """Return the block of a ``_optimiser.star``.

    Parameters
    ----------
    box_resolution
        Å that shell 1 stands for: box times voxel size.
    prefix
        What the names of the iteration's files begin with.
    """
    return {
        "optimiser_general": {
            "rlnOutputRootName": InRun("run"),
            "rlnModelStarFile": InRun(f"{prefix}_half1_model.star"),
            "rlnModelStarFile2": InRun(f"{prefix}_half2_model.star"),
            "rlnExperimentalDataStarFile": InRun(f"{prefix}_data.star"),
            "rlnOrientSamplingStarFile": InRun(f"{prefix}_sampling.star"),
            "rlnCurrentIteration": iteration,
            "rlnNumberOfIterations": params.max_iterations,
            "rlnDoSplitRandomHalves": 1,
            "rlnJoinHalvesUntilThisResolution": params.low_resolution_join,
            "rlnAdaptiveOversampleOrder": 1,
            "rlnAdaptiveOversampleFraction": params.adaptive_fraction,
            "rlnRandomSeed": params.seed,
            "rlnParticleDiameter": params.diameter,
            "rlnWidthMaskEdge": 5,
            "rlnDoZeroMask": int(params.zero_mask),
            "rlnDoSolventFlattening": int(params.flatten_solvent),
            "rlnSolventMaskName": str(params.mask) if params.mask else "None",
            "rlnCoarseImageSize": coarse_size,
            "rlnIncrementImageSize": course.increment_shells,
            "rlnDoAutoRefine": 1,
            "blushPrior": params.prior,
            **({"blushSpectralTrailing": int(params.spectral_trailing)} if params.prior == "blush" else {}),
            "rlnAutoLocalSearchesHealpixOrder": params.local_from_order,
            "rlnNumberOfIterWithoutResolutionGain": course.iterations_without_gain,
            "rlnBestResolutionThusFar": course.resolution_shell / box_resolution,
            "rlnNumberOfIterWithoutChangingAssignments": course.iterations_without_change,
            "rlnOverallAccuracyRotations": accuracy.angle_deg if accuracy else UNKNOWN,
            "rlnOverallAccuracyTranslationsAngst": accuracy.offset_angstrom if accuracy else UNKNOWN,
            "rlnChangesOptimalOrientations": min(course.changes.angle_deg, UNKNOWN),
            "rlnChangesOptimalOffsets": min(course.changes.offset_angstrom, UNKNOWN),
            "rlnSmallestChangesOrientations": min(course.smallest_changes.angle_deg, UNKNOWN),
            "rlnSmallestChangesOffsets": min(course.smallest_changes.offset_angstrom, UNKNOWN),
            "rlnHasConverged": int(course.has_converged),
            "rlnHasHighFscAtResolLimit": int(course.high_fsc_at_limit),
            "rlnDoCorrectNorm": int(params.norm_correction),
            "rlnDoCorrectScale": int(params.scale_correction),
            "rlnDoCorrectCtf": 1,
        }
    }
