"""The blocks of a ``_model.star``: its maps, shell by shell, and what its images are taken to be.

In the columns of RELION's Refine3D and Class3D. Noise spectra stand by optics group, as RELION 4 has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from blushcore.inference import Accuracy
from blushcore.jobs.expectation_maximisation.map_curves import Grid, MapCurves, overall_coverage
from blushcore.jobs.expectation_maximisation.model import ParticleModel
from blushcore.jobs.expectation_maximisation.parameters import SearchParameters
from blushcore.jobs.expectation_maximisation.settings_star import angle_of, offset_of
from blushcore.jobs.expectation_maximisation.star_files import UNKNOWN, Blocks, InRun
from blushcore.particles import ParticleTable

if TYPE_CHECKING:
    import pandas as pd

_SAME_PIXEL_SIZE = 1e-6
"""Pixel sizes that differ by less than this, relatively, are the same."""


@dataclass(frozen=True, eq=False)
class ModelMap:
    """What a ``_model.star`` says of one of its maps.

    Attributes
    ----------
    name
        Of its file in the run directory.
    curves
        What is known of it in each shell.
    resolution_shell
        Where its signal-to-noise ratio falls to 1; 0 of a map that nothing is known of.
    accuracy
        Of poses against it; None where it was not estimated.
    share
        Of the particles.
    """

    name: str
    curves: MapCurves
    resolution_shell: int
    accuracy: Accuracy | None
    share: float = 1.0


def model_blocks(
    params: SearchParameters,
    table: ParticleTable,
    model: ParticleModel,
    maps: Sequence[ModelMap],
    grid: Grid,
    *,
    members: NDArray[np.bool_],
    resolution_shell: int,
    local_sigma_deg: float | None,
    log_likelihood: float,
    mean_p_max: float,
) -> Blocks:
    """Return the blocks of a ``_model.star``.

    Parameters
    ----------
    params
        T and padding.
    table, members
        All particles, and which of them the model is of, ``(N,)``.
    model, maps, grid
        The model, its maps, and where they lie.
    resolution_shell
        Of the best map.
    local_sigma_deg
        Standard deviation of the prior of local searches; None where they were global.
    log_likelihood, mean_p_max
        What the E-step found.
    """
    import pandas as pd

    size = grid.box * grid.voxel_size
    sigma = local_sigma_deg or 0.0
    blocks: Blocks = {
        "model_general": {
            "rlnReferenceDimensionality": 3,
            "rlnDataDimensionality": 2,
            "rlnOriginalImageSize": grid.box,
            "rlnCurrentResolution": size / max(1, resolution_shell),
            "rlnCurrentImageSize": grid.current_size,
            "rlnPaddingFactor": float(params.padding),
            "rlnIsHelix": 0,
            "rlnFourierSpaceInterpolator": 1,
            "rlnMinRadiusNnInterpolation": 10,
            "rlnPixelSize": grid.voxel_size,
            "rlnNrClasses": len(maps),
            "rlnNrBodies": 1,
            "rlnNrGroups": len(table.group_names),
            "rlnNrOpticsGroups": len(table.optics),
            "rlnTau2FudgeFactor": params.tau_fudge,
            "rlnNormCorrectionAverage": model.mean_norm,
            "rlnSigmaOffsetsAngst": model.offset_sigma_angstrom,
            "rlnOrientationalPriorMode": int(local_sigma_deg is not None),
            "rlnSigmaPriorRotAngle": sigma,
            "rlnSigmaPriorTiltAngle": sigma,
            "rlnSigmaPriorPsiAngle": sigma,
            "rlnLogLikelihood": log_likelihood,
            "rlnAveragePmax": mean_p_max,
        },
        "model_classes": pd.DataFrame(
            {
                "rlnReferenceImage": [InRun(each.name) for each in maps],
                "rlnClassDistribution": [each.share for each in maps],
                "rlnAccuracyRotations": [angle_of(each.accuracy) for each in maps],
                "rlnAccuracyTranslationsAngst": [offset_of(each.accuracy) for each in maps],
                "rlnEstimatedResolution": [
                    size / each.resolution_shell if each.resolution_shell else UNKNOWN for each in maps
                ],
                "rlnOverallFourierCompleteness": [
                    overall_coverage(each.curves.coverage, each.resolution_shell) for each in maps
                ],
            }
        ),
        **{f"model_class_{number}": _curves_block(each.curves, grid) for number, each in enumerate(maps, 1)},
        **_image_blocks(table, model, members, grid),
    }
    if model.direction_prior is not None:
        for number, prior in enumerate(model.direction_prior.reshape(len(maps), -1), 1):
            blocks[f"model_pdf_orient_class_{number}"] = pd.DataFrame({"rlnOrientationDistribution": prior})
    return blocks


def _curves_block(curves: MapCurves, grid: Grid) -> pd.DataFrame:
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


def _image_blocks(table: ParticleTable, model: ParticleModel, members: NDArray[np.bool_], grid: Grid) -> Blocks:
    """Return the blocks about images: scales by group, noise by optics group."""
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
    for number, (variance, pixel_size) in enumerate(
        zip(model.noise_variance, table.pixel_size_angstrom.tolist(), strict=True), 1
    ):
        blocks[f"model_optics_group_{number}"] = pd.DataFrame(
            {
                "rlnSpectralIndex": shells,
                "rlnResolution": shells / size,
                "rlnSigma2Noise": on_other_shells(variance, pixel_size, grid.box, grid.voxel_size),
            }
        )
    return blocks


def on_other_shells(
    variance: NDArray[np.float64], pixel_size: float, other_box: int, other_pixel_size: float
) -> NDArray[np.float64]:
    """Return a spectrum over the shells of another box: RELION's files have all over those of the reference.

    Parameters
    ----------
    variance
        ``(n // 2 + 1,)`` over the shells of a box of n pixels of `pixel_size` Å.
    other_box, other_pixel_size
        The other box: pixels, Å.

    Returns
    -------
    float64 ``(other_box // 2 + 1,)``: interpolated, and beyond the last shell the last value.
    """
    box = 2 * (len(variance) - 1)
    if box == other_box and abs(pixel_size / other_pixel_size - 1) < _SAME_PIXEL_SIZE:
        return variance
    frequency = np.arange(other_box // 2 + 1) / (other_box * other_pixel_size)
    return np.interp(frequency * box * pixel_size, np.arange(len(variance)), variance)


def _optics_names(table: ParticleTable) -> list[str]:
    optics = table.optics
    if "rlnOpticsGroupName" in optics:
        return [str(name) for name in optics["rlnOpticsGroupName"]]
    return [f"opticsGroup{number}" for number in optics["rlnOpticsGroup"]]
