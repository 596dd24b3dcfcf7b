"""What an iteration leaves in STAR files: particles, models, sampling and settings, in RELION's columns.

Labels and units are those of RELION 3.1 and later. Noise spectra stand by optics group, as RELION 4 has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from blushcore.inference import Accuracy
from blushcore.jobs.refine.parameters import RefineParameters, SamplingChoices
from blushcore.jobs.refine.schedule import Course, Search, angular_step_deg
from blushcore.jobs.refine.state import HalfModel, Poses
from blushcore.particles import ParticleTable
from blushcore.particles.star_text import write_star

if TYPE_CHECKING:
    import pandas as pd

Blocks: TypeAlias = "dict[str, pd.DataFrame | Mapping[str, Any]]"

_UNKNOWN = 999.0
"""RELION's word for an accuracy, a change or a ratio that is not known or beyond measure."""
_DECIMALS = 6


@dataclass(frozen=True, eq=False)
class MapCurves:
    """What is known of a map in each shell, float64 ``(box // 2 + 1,)`` each.

    Attributes
    ----------
    fsc
        Of the two halves.
    ssnr
        Signal-to-noise ratio of the map.
    tau2, sigma2
        Power of the signal and variance of the noise in the reconstruction.
    coverage
        Share of the shell's components that have data.
    """

    fsc: NDArray[np.float64]
    ssnr: NDArray[np.float64]
    tau2: NDArray[np.float64]
    sigma2: NDArray[np.float64]
    coverage: NDArray[np.float64]


@dataclass(frozen=True)
class Grid:
    """The map's grid: box in pixels, voxel size in Å, and the image size in use."""

    box: int
    voxel_size: float
    current_size: int


@dataclass(frozen=True)
class StarFile:
    """A STAR file to be: an `Artefact`. Names of maps in it become paths as RELION wants them.

    Attributes
    ----------
    role, name
        As every `Artefact` has them.
    blocks
        What it holds; made when it is written.
    project
        The folder that paths in RELION's files are relative to.
    """

    role: str
    name: str
    blocks: Blocks
    project: Path

    def write(self, path: Path) -> None:
        """Write the file to `path`."""
        folder = _relative(path.absolute().parent, self.project)
        write_star(path, {name: _placed(block, folder) for name, block in self.blocks.items()})


@dataclass(frozen=True)
class InRun:
    """The name of another file of the run, inside of a STAR file."""

    name: str


def data_columns(
    table: ParticleTable, poses: Poses, class_index: NDArray[np.int64] | None = None
) -> ParticleTable:
    """Return the table with what the last iteration found, as RELION's ``_data.star`` has it.

    Parameters
    ----------
    class_index
        Class of each particle from 0 on; without, it is a refinement's table, with half-sets.
    """
    numbers = {"rlnClassNumber": np.ones(len(table), np.int64) if class_index is None else class_index + 1}
    if class_index is None:
        numbers["rlnRandomSubset"] = table.half.astype(np.int64)
    return table.with_poses(poses.angles_deg, poses.offsets_angstrom).with_columns(
        {
            "rlnGroupNumber": table.group_index + 1,
            **numbers,
            "rlnNormCorrection": np.round(poses.norm, _DECIMALS),
            "rlnLogLikeliContribution": np.round(poses.log_likelihood, _DECIMALS),
            "rlnMaxValueProbDistribution": np.round(poses.p_max, _DECIMALS),
            "rlnNrOfSignificantSamples": poses.significant,
        }
    )


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
                "rlnAccuracyRotations": [accuracy.angle_deg if accuracy else _UNKNOWN],
                "rlnAccuracyTranslationsAngst": [accuracy.offset_angstrom if accuracy else _UNKNOWN],
                "rlnEstimatedResolution": [size / course.resolution_shell],
                "rlnOverallFourierCompleteness": [overall_coverage(curves.coverage, grid.current_size)],
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
        resolution = np.where(shells > 0, size / shells, _UNKNOWN)
    return pd.DataFrame(
        {
            "rlnSpectralIndex": shells,
            "rlnResolution": shells / size,
            "rlnAngstromResolution": resolution,
            "rlnSsnrMap": np.minimum(curves.ssnr, _UNKNOWN),
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
            "rlnOverallAccuracyRotations": accuracy.angle_deg if accuracy else _UNKNOWN,
            "rlnOverallAccuracyTranslationsAngst": accuracy.offset_angstrom if accuracy else _UNKNOWN,
            "rlnChangesOptimalOrientations": min(course.changes.angle_deg, _UNKNOWN),
            "rlnChangesOptimalOffsets": min(course.changes.offset_angstrom, _UNKNOWN),
            "rlnSmallestChangesOrientations": min(course.smallest_changes.angle_deg, _UNKNOWN),
            "rlnSmallestChangesOffsets": min(course.smallest_changes.offset_angstrom, _UNKNOWN),
            "rlnHasConverged": int(course.has_converged),
            "rlnHasHighFscAtResolLimit": int(course.high_fsc_at_limit),
            "rlnDoCorrectNorm": int(params.norm_correction),
            "rlnDoCorrectScale": int(params.scale_correction),
            "rlnDoCorrectCtf": 1,
        }
    }


def project_folder(table: ParticleTable) -> Path:
    """Return the folder that the table's image names are relative to; the working directory if they are not."""
    name = Path(table.stacks.names[0])
    if table.root is not None:
        return table.root.absolute()
    if name.is_absolute():
        return Path.cwd()
    folders = table.path.absolute().parents
    return next((folder for folder in folders if (folder / name).is_file()), Path.cwd())


def overall_coverage(coverage: NDArray[np.float64], current_size: int) -> float:
    """Mean coverage over the components up to the current size."""
    shells = np.arange(1, current_size // 2 + 1)
    return float(np.average(coverage[shells], weights=shells**2))


def _optics_names(table: ParticleTable) -> list[str]:
    optics = table.optics
    if "rlnOpticsGroupName" in optics:
        return [str(name) for name in optics["rlnOpticsGroupName"]]
    return [f"opticsGroup{number}" for number in optics["rlnOpticsGroup"]]


def _relative(folder: Path, project: Path) -> str:
    """Return `folder` as RELION names it: below the project, else in full; with a slash at its end."""
    try:
        inside = folder.relative_to(project).as_posix()
    except ValueError:
        return folder.as_posix() + "/"
    return "" if inside == "." else inside + "/"


def _placed(block: pd.DataFrame | Mapping[str, Any], folder: str) -> pd.DataFrame | Mapping[str, Any]:
    def path_of(value: Any) -> Any:
        return f"{folder}{value.name}" if isinstance(value, InRun) else value

    if isinstance(block, Mapping):
        return {label: path_of(value) for label, value in block.items()}
    if "rlnReferenceImage" in block:
        return block.assign(rlnReferenceImage=[path_of(value) for value in block["rlnReferenceImage"]])
    return block
