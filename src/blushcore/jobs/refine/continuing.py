"""Going on from an iteration of another refinement, RELION's or ours, by its ``_optimiser.star``.

Poses, references, noise, scales, the search and its counters are taken from there. Before version 4, RELION's
noise spectra stand by micrograph group; their mean over particles is that of the optics groups.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from blushcore.jobs.expectation_maximisation.inputs import SAME_PIXEL_SIZE, Inputs
from blushcore.jobs.expectation_maximisation.model import ParticleModel
from blushcore.jobs.expectation_maximisation.model_star import on_other_shells
from blushcore.jobs.expectation_maximisation.poses import Changes, Poses
from blushcore.jobs.expectation_maximisation.search import Search
from blushcore.jobs.expectation_maximisation.star_files import UNKNOWN
from blushcore.jobs.refine.optimiser_files import list_block, located, reading, rows_of, table_block
from blushcore.jobs.refine.schedule import UNKNOWN_CHANGES, Course
from blushcore.jobs.refine.state import RefineState
from blushcore.particles import read_particles
from blushcore.particles.star_text import read_star
from blushcore.protocol import BlushError
from blushcore.volumes import read_map

if TYPE_CHECKING:
    import pandas as pd


def state_of(optimiser: Path, inputs: Inputs) -> RefineState:
    """Return the refinement as it stood after the iteration of an ``_optimiser.star``.

    Parameters
    ----------
    optimiser
        Of an auto-refinement with two halves. The files that it names are looked up as RELION has them, from
        the project's folder, or beside it.
    inputs
        The particles and the grid that it is to go on with.

    Raises
    ------
    BlushError
        If a file is missing or damaged, it is no auto-refinement, its particles are others, or its maps lie on
        another grid.
    """
    with reading(optimiser):
        return _state_of(optimiser, inputs)


def _state_of(optimiser: Path, inputs: Inputs) -> RefineState:
    settings = list_block(optimiser, "optimiser_general")
    if not int(settings.get("rlnDoSplitRandomHalves", 0)) or "rlnModelStarFile2" not in settings:
        raise BlushError(
            f"{optimiser} is not of an auto-refinement with two halves.",
            "Give the _optimiser.star of a Refine3D job.",
        )

    def beside(label: str) -> Path:
        return located(str(settings[label]), optimiser)

    table = read_particles(beside("rlnExperimentalDataStarFile"), needs_ctf=False)
    rows = rows_of(inputs.table, table)
    poses = Poses.of(table.take(rows))
    sampling = list_block(beside("rlnOrientSamplingStarFile"), "sampling_general")
    models = [_model(beside(label), inputs) for label in ("rlnModelStarFile", "rlnModelStarFile2")]
    general = models[0][1]
    size = inputs.size_angstrom
    curves = table_block(beside("rlnModelStarFile"), "model_class_1")
    changes, smallest = (
        _changes(settings, f"rln{name}Orientations", f"rln{name}Offsets")
        for name in ("ChangesOptimal", "SmallestChanges")
    )
    course = Course(
        search=Search(
            int(sampling["rlnHealpixOrder"]),
            float(sampling["rlnOffsetRange"]),
            float(sampling["rlnOffsetStep"]),
            is_local=bool(int(general["rlnOrientationalPriorMode"])),
        ),
        resolution_shell=max(1, round(size / float(general["rlnCurrentResolution"]))),
        increment_shells=int(settings["rlnIncrementImageSize"]),
        high_fsc_at_limit=bool(int(settings["rlnHasHighFscAtResolLimit"])),
        mean_p_max=float(general["rlnAveragePmax"]),
        changes=changes,
        smallest_changes=smallest,
        iterations_without_gain=int(settings["rlnNumberOfIterWithoutResolutionGain"]),
        iterations_without_change=int(settings["rlnNumberOfIterWithoutChangingAssignments"]),
    )
    return RefineState(
        iteration=int(settings["rlnCurrentIteration"]),
        course=course,
        perturbation=float(sampling["rlnSamplingPerturbInstance"]),
        halves=(models[0][0], models[1][0]),
        poses=poses,
        ssnr=curves["rlnSsnrMap"].to_numpy(np.float64, copy=True),
    )


def _model(path: Path, inputs: Inputs) -> tuple[ParticleModel, dict[str, Any]]:
    """Return the model of a half, and its general values."""
    general = list_block(path, "model_general")
    if int(general["rlnOriginalImageSize"]) != inputs.box or (
        abs(float(general["rlnPixelSize"]) / inputs.voxel_size - 1) > SAME_PIXEL_SIZE
    ):
        raise BlushError(
            f"{path} is of maps of {general['rlnOriginalImageSize']} voxels of {general['rlnPixelSize']} Å; "
            f"the particles have {inputs.box} pixels of {inputs.voxel_size:.5g} Å.",
            "Go on with the particles that the other refinement was of.",
        )
    name = located(str(table_block(path, "model_classes")["rlnReferenceImage"][0]), path)
    reference = read_map(name).data
    if reference.shape != (inputs.box,) * 3:
        raise BlushError(
            f"{name} has a box of {reference.shape[0]} voxels, not {inputs.box}: only a light copy was kept.",
            "Go on within that run (blush resume), or from one with --keep full.",
        )
    groups = table_block(path, "model_groups")
    by_name = dict(zip(groups["rlnGroupName"].astype(str), groups["rlnGroupScaleCorrection"], strict=True))
    scale = np.array([float(by_name.get(group, 1.0)) for group in inputs.table.group_names])
    prior = None
    blocks = read_star(path)
    is_global = not int(general["rlnOrientationalPriorMode"])
    if "model_pdf_orient_class_1" in blocks and is_global and inputs.symmetry.order == 1:
        prior = blocks["model_pdf_orient_class_1"]["rlnOrientationDistribution"].to_numpy(np.float64, copy=True)
    model = ParticleModel(
        reference,
        _noise(path, blocks, inputs),
        scale,
        float(general["rlnSigmaOffsetsAngst"]),
        float(general["rlnNormCorrectionAverage"]),
        prior,
    )
    return model, general


def _noise(path: Path, blocks: Mapping[str, pd.DataFrame], inputs: Inputs) -> tuple[NDArray[np.float64], ...]:
    """Return σ²(s) of each optics group, over the shells of its own box."""
    count = len(inputs.table.optics)
    by_optics = [f"model_optics_group_{number}" for number in range(1, count + 1)]
    if all(name in blocks for name in by_optics):
        spectra = [blocks[name]["rlnSigma2Noise"].to_numpy(np.float64, copy=True) for name in by_optics]
    else:
        spectra = [_mean_noise(path, blocks)] * count
    return tuple(
        on_other_shells(spectrum, inputs.voxel_size, group.box, group.pixel_size_angstrom)
        for spectrum, group in zip(spectra, inputs.optics, strict=True)
    )


def _mean_noise(path: Path, blocks: Mapping[str, pd.DataFrame]) -> NDArray[np.float64]:
    """Return σ²(s) of all micrograph groups, their mean over particles."""
    spectra = [
        block["rlnSigma2Noise"].to_numpy(np.float64, copy=True)
        for name, block in blocks.items()
        if name.startswith("model_group_")
    ]
    if not spectra:
        raise BlushError(f"{path} has no noise spectra.", "Is it damaged?")
    sizes = blocks["model_groups"]["rlnGroupNrParticles"].to_numpy(np.float64, copy=True)
    mean: NDArray[np.float64] = np.average(np.stack(spectra), axis=0, weights=sizes[: len(spectra)])
    return mean


def _changes(settings: Mapping[str, Any], angle: str, offset: str) -> Changes:
    values = float(settings[angle]), float(settings[offset])
    return (
        UNKNOWN_CHANGES if min(values) >= UNKNOWN or not all(map(math.isfinite, values)) else Changes(*values)
    )
