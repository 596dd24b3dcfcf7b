"""What an iteration of a classification leaves in STAR files, in the columns of RELION's Class3D.

Labels and units are those of RELION 3.1 and later. Noise spectra stand by optics group, as RELION 4 has them.
"""

from __future__ import annotations

import numpy as np

from blushcore.inference import Accuracy
from blushcore.jobs.classify.parameters import ClassifyParameters
from blushcore.jobs.classify.plan import ClassifyPlan
from blushcore.jobs.classify.state import ClassifyState
from blushcore.jobs.refine.map_curves import Grid, MapCurves, overall_coverage
from blushcore.jobs.refine.model_star import curves_block, image_model_blocks
from blushcore.jobs.refine.schedule import FIRST_INCREMENT_SHELLS
from blushcore.jobs.refine.star_files import Blocks, InRun
from blushcore.particles import ParticleTable

_UNKNOWN = 999.0
"""RELION's word for an accuracy or a resolution that is not known."""


def class_model_blocks(
    *,
    params: ClassifyParameters,
    table: ParticleTable,
    grid: Grid,
    plan: ClassifyPlan,
    state: ClassifyState,
    curves: tuple[MapCurves, ...],
    log_likelihood: float,
    reference_names: list[str],
) -> Blocks:
    """Return the blocks of a ``_model.star``; `reference_names` are those of the maps in the run directory."""
    import pandas as pd

    size = grid.box * grid.voxel_size
    classes, model = state.classes, state.model
    sigma = params.local_sigma_deg if params.alignment == "local" else 0.0
    shells = classes.resolution_shells.astype(np.float64)
    resolutions = np.divide(size, shells, out=np.full(classes.count, _UNKNOWN), where=shells > 0)
    blocks: Blocks = {
        "model_general": {
            "rlnReferenceDimensionality": 3,
            "rlnDataDimensionality": 2,
            "rlnOriginalImageSize": grid.box,
            "rlnCurrentResolution": size / max(1, state.resolution_shell),
            "rlnCurrentImageSize": grid.current_size,
            "rlnPaddingFactor": float(params.padding),
            "rlnIsHelix": 0,
            "rlnFourierSpaceInterpolator": 1,
            "rlnMinRadiusNnInterpolation": 10,
            "rlnPixelSize": grid.voxel_size,
            "rlnNrClasses": classes.count,
            "rlnNrBodies": 1,
            "rlnNrGroups": len(table.group_names),
            "rlnNrOpticsGroups": len(table.optics),
            "rlnTau2FudgeFactor": params.tau_fudge,
            "rlnNormCorrectionAverage": model.mean_norm,
            "rlnSigmaOffsetsAngst": model.offset_sigma_angstrom,
            "rlnOrientationalPriorMode": int(params.alignment == "local"),
            "rlnSigmaPriorRotAngle": sigma,
            "rlnSigmaPriorTiltAngle": sigma,
            "rlnSigmaPriorPsiAngle": sigma,
            "rlnLogLikelihood": log_likelihood,
            "rlnAveragePmax": float(state.poses.p_max.mean()),
        },
        "model_classes": pd.DataFrame(
            {
                "rlnReferenceImage": [InRun(name) for name in reference_names],
                "rlnClassDistribution": classes.distribution,
                "rlnAccuracyRotations": [angle_of(each) for each in plan.accuracies],
                "rlnAccuracyTranslationsAngst": [offset_of(each) for each in plan.accuracies],
                "rlnEstimatedResolution": resolutions,
                "rlnOverallFourierCompleteness": [
                    overall_coverage(each.coverage, int(shell))
                    for each, shell in zip(curves, classes.resolution_shells, strict=True)
                ],
            }
        ),
        **{f"model_class_{k}": curves_block(each, grid) for k, each in enumerate(curves, 1)},
        **image_model_blocks(table, model, np.ones(len(table), bool), grid),
    }
    if model.direction_prior is not None:
        for k, prior in enumerate(model.direction_prior.reshape(classes.count, -1), 1):
            blocks[f"model_pdf_orient_class_{k}"] = pd.DataFrame({"rlnOrientationDistribution": prior})
    return blocks


def class_optimiser_blocks(
    params: ClassifyParameters, plan: ClassifyPlan, state: ClassifyState, *, box_resolution: float, prefix: str
) -> Blocks:
    """Return the block of an ``_optimiser.star``.

    Parameters
    ----------
    box_resolution
        Å that shell 1 stands for: box times voxel size.
    prefix
        What the names of the iteration's files begin with.
    """
    best = min((each for each in plan.accuracies if each), key=lambda each: each.angle_deg, default=None)
    moves = state.moves
    return {
        "optimiser_general": {
            "rlnOutputRootName": InRun("run"),
            "rlnModelStarFile": InRun(f"{prefix}_model.star"),
            "rlnExperimentalDataStarFile": InRun(f"{prefix}_data.star"),
            "rlnOrientSamplingStarFile": InRun(f"{prefix}_sampling.star"),
            "rlnCurrentIteration": plan.iteration,
            "rlnNumberOfIterations": params.iterations,
            "rlnDoSplitRandomHalves": 0,
            "rlnJoinHalvesUntilThisResolution": -1.0,
            "rlnAdaptiveOversampleOrder": 1,
            "rlnAdaptiveOversampleFraction": params.adaptive_fraction,
            "rlnRandomSeed": params.seed,
            "rlnParticleDiameter": params.diameter,
            "rlnWidthMaskEdge": 5,
            "rlnDoZeroMask": int(params.zero_mask),
            "rlnDoSolventFlattening": int(params.flatten_solvent),
            "rlnSolventMaskName": str(params.mask) if params.mask else "None",
            "rlnCoarseImageSize": plan.sampling.coarse_size,
            "rlnHighresLimitExpectation": params.highest_resolution or -1.0,
            "rlnIncrementImageSize": FIRST_INCREMENT_SHELLS,
            "rlnDoAutoRefine": 0,
            "blushPrior": params.prior,
            "rlnBestResolutionThusFar": state.resolution_shell / box_resolution,
            "rlnDoSkipAlign": int(params.alignment == "none"),
            "rlnDoSkipRotate": int(params.alignment == "offsets"),
            "rlnOverallAccuracyRotations": angle_of(best),
            "rlnOverallAccuracyTranslationsAngst": offset_of(best),
            "rlnChangesOptimalOrientations": moves.angle_deg,
            "rlnChangesOptimalOffsets": moves.offset_angstrom,
            "rlnChangesOptimalClasses": moves.classes,
            "rlnDoCorrectNorm": int(params.norm_correction),
            "rlnDoCorrectScale": int(params.scale_correction),
            "rlnDoCorrectCtf": 1,
        }
    }


def angle_of(accuracy: Accuracy | None) -> float:
    """Return an accuracy of angles in degrees; 999 if it is not known."""
    return accuracy.angle_deg if accuracy else _UNKNOWN


def offset_of(accuracy: Accuracy | None) -> float:
    """Return an accuracy of offsets in Å; 999 if it is not known."""
    return accuracy.offset_angstrom if accuracy else _UNKNOWN
