"""The blocks of a ``_model.star``: a half's map, shell by shell, and what its images are taken to be.

Noise spectra stand by optics group, as RELION 4 has them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from blushcore.inference import Accuracy
from blushcore.jobs.refine.map_curves import Grid, MapCurves, overall_coverage
from blushcore.jobs.refine.parameters import RefineParameters
from blushcore.jobs.refine.schedule import Course
from blushcore.jobs.refine.star_files import UNKNOWN, Blocks, InRun
from blushcore.jobs.refine.state import HalfModel
from blushcore.particles import ParticleTable

if TYPE_CHECKING:
    import pandas as pd


def model_blocks(
    *,
    params: RefineParameters,
    table: ParticleTable,
    grid: Grid,
    course: Course,
    model: HalfModel,
    curves: MapCurves,
    accuracy: Accuracy | None,
    log_likelihood: float,
    reference_name: str,
    halves: tuple[int, ...],
) -> Blocks:
    """Return the blocks of a ``_model.star``.

    Parameters
    ----------
    halves
        Whose particles the model is of: 1, 2 or both.
    reference_name
        Name of the map in the run directory.
    """
    import pandas as pd

    size = grid.box * grid.voxel_size
    sigma = course.search.sigma_deg or 0.0
    blocks: Blocks = {
        "model_general": {
            "rlnReferenceDimensionality": 3,
            "rlnDataDimensionality": 2,
            "rlnOriginalImageSize": grid.box,
            "rlnCurrentResolution": size / course.resolution_shell,
            "rlnCurrentImageSize": grid.current_size,
            "rlnPaddingFactor": float(params.padding),
            "rlnIsHelix": 0,
            "rlnFourierSpaceInterpolator": 1,
            "rlnMinRadiusNnInterpolation": 10,
            "rlnPixelSize": grid.voxel_size,
            "rlnNrClasses": 1,
            "rlnNrBodies": 1,
            "rlnNrGroups": len(table.group_names),
            "rlnNrOpticsGroups": len(table.optics),
            "rlnTau2FudgeFactor": params.tau_fudge,
            "rlnNormCorrectionAverage": model.mean_norm,
            "rlnSigmaOffsetsAngst": model.offset_sigma_angstrom,
            "rlnOrientationalPriorMode": int(course.search.is_local),
            "rlnSigmaPriorRotAngle": sigma,
            "rlnSigmaPriorTiltAngle": sigma,
            "rlnSigmaPriorPsiAngle": sigma,
            "rlnLogLikelihood": log_likelihood,
            "rlnAveragePmax": course.mean_p_max,
        },
        "model_classes": pd.DataFrame(
            {
                "rlnReferenceImage": [InRun(reference_name)],
                "rlnClassDistribution": [1.0],
                "rlnAccuracyRotations": [accuracy.angle_deg if accuracy else UNKNOWN],
                "rlnAccuracyTranslationsAngst": [accuracy.offset_angstrom if accuracy else UNKNOWN],
                "rlnEstimatedResolution": [size / course.resolution_shell],
                "rlnOverallFourierCompleteness": [overall_coverage(curves.coverage, course.resolution_shell)],
            }
        ),
        "model_class_1": curves_block(curves, grid),
        **image_model_blocks(table, model, np.isin(table.half, halves), grid),
    }
    if model.direction_prior is not None:
        blocks["model_pdf_orient_class_1"] = pd.DataFrame({"rlnOrientationDistribution": model.direction_prior})
    return blocks


def curves_block(curves: MapCurves, grid: Grid) -> pd.DataFrame:
    """Return the block ``model_class_…``: what is known of a map in each shell."""
    import pandas as pd

    shells = np.arange(grid.box // 2 + 1)
    size = grid.box * grid.voxel_size
    with np.errstate(divide="ignore"):
        resolution = np.where(shells > 0, size / shells, UNKNOWN)
    return pd.DataFrame(
        {
            "rlnSpectralIndex": shells,
            "rlnResolution": shells / size,
            "rlnAngstromResolution": resolution,
            "rlnSsnrMap": np.minimum(curves.ssnr, UNKNOWN),
            "rlnGoldStandardFsc": curves.fsc,
            "rlnFourierCompleteness": curves.coverage,
            "rlnReferenceSigma2": curves.sigma2,
            "rlnReferenceTau2": curves.tau2,
        }
    )


def image_model_blocks(
    table: ParticleTable, model: HalfModel, members: NDArray[np.bool_], grid: Grid
) -> Blocks:
    """Return the blocks of a ``_model.star`` about images: scales by group, noise by optics group.

    Parameters
    ----------
    members
        Which particles of the table the model is of, ``(N,)``.
    """
    import pandas as pd

    shells, size = np.arange(grid.box // 2 + 1), grid.box * grid.voxel_size
    per_group = np.bincount(table.group_index[members], minlength=len(table.group_names))
    per_optics = np.bincount(table.optics_index[members], minlength=len(table.optics))
    blocks: Blocks = {
        "model_groups": pd.DataFrame(
            {
                "rlnGroupNumber": np.arange(1, len(table.group_names) + 1),
                "rlnGroupName": list(table.group_names),
                "rlnGroupNrParticles": per_group,
                "rlnGroupScaleCorrection": model.group_scale,
            }
        ),
        "model_optics_groups": pd.DataFrame(
            {
                "rlnOpticsGroup": np.arange(1, len(table.optics) + 1),
                "rlnOpticsGroupName": _optics_names(table),
                "rlnGroupNrParticles": per_optics,
            }
        ),
    }
    for number, variance in enumerate(model.noise_variance, 1):
        blocks[f"model_optics_group_{number}"] = pd.DataFrame(
            {
                "rlnSpectralIndex": shells[: len(variance)],
                "rlnResolution": shells[: len(variance)] / size,
                "rlnSigma2Noise": variance,
            }
        )
    return blocks


def _optics_names(table: ParticleTable) -> list[str]:
    optics = table.optics
    if "rlnOpticsGroupName" in optics:
        return [str(name) for name in optics["rlnOpticsGroupName"]]
    return [f"opticsGroup{number}" for number in optics["rlnOpticsGroup"]]
