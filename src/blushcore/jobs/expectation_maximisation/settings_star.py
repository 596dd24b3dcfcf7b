"""The blocks of ``_sampling.star``, and what ``_optimiser.star`` files of all kinds have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from blushcore.inference import Accuracy, Sampling
from blushcore.jobs.expectation_maximisation.parameters import SearchParameters
from blushcore.jobs.expectation_maximisation.search import Search, angular_step_deg
from blushcore.jobs.expectation_maximisation.star_files import UNKNOWN, Blocks, InRun


def sampling_blocks(
    params: SearchParameters, search: Search, sampling: Sampling, perturbation: float
) -> Blocks:
    """Return the blocks of a ``_sampling.star``: the search, and the directions of its grid."""
    import pandas as pd

    directions_deg = sampling.orientations.directions_deg.numpy()
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


def file_settings(models: Sequence[str], prefix: str, iteration: int) -> dict[str, Any]:
    """Return where an iteration's other files are; `models` is what the models' names end with."""
    labels = ("rlnModelStarFile", "rlnModelStarFile2")
    return {
        "rlnOutputRootName": InRun("run"),
        **{label: InRun(f"{prefix}{model}") for label, model in zip(labels, models, strict=False)},
        "rlnExperimentalDataStarFile": InRun(f"{prefix}_data.star"),
        "rlnOrientSamplingStarFile": InRun(f"{prefix}_sampling.star"),
        "rlnCurrentIteration": iteration,
    }


def comparison_settings(params: SearchParameters, coarse_size: int) -> dict[str, Any]:
    """Return how images are compared with references."""
    return {
        "rlnAdaptiveOversampleOrder": 1,
        "rlnAdaptiveOversampleFraction": params.adaptive_fraction,
        "rlnRandomSeed": params.seed,
        "rlnParticleDiameter": params.diameter,
        "rlnWidthMaskEdge": 5,
        "rlnDoZeroMask": int(params.zero_mask),
        "rlnDoSolventFlattening": int(params.flatten_solvent),
        "rlnSolventMaskName": str(params.mask) if params.mask else "None",
        "rlnCoarseImageSize": coarse_size,
    }


def correction_settings(params: SearchParameters) -> dict[str, Any]:
    """Return what of the images is corrected."""
    return {
        "rlnDoCorrectNorm": int(params.norm_correction),
        "rlnDoCorrectScale": int(params.scale_correction),
        "rlnDoCorrectCtf": 1,
    }


def overall_accuracy(accuracy: Accuracy | None) -> dict[str, Any]:
    """Return how finely poses can be told."""
    return {
        "rlnOverallAccuracyRotations": angle_of(accuracy),
        "rlnOverallAccuracyTranslationsAngst": offset_of(accuracy),
    }


def angle_of(accuracy: Accuracy | None) -> float:
    """Return an accuracy of angles in degrees; 999 if it is not known."""
    return accuracy.angle_deg if accuracy else UNKNOWN


def offset_of(accuracy: Accuracy | None) -> float:
    """Return an accuracy of offsets in Å; 999 if it is not known."""
    return accuracy.offset_angstrom if accuracy else UNKNOWN
