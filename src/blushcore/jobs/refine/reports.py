"""What the events of a refinement say and carry."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blushcore.jobs.expectation_maximisation.figures import prior_figures, searched_figures
from blushcore.jobs.expectation_maximisation.map_curves import Grid
from blushcore.jobs.expectation_maximisation.model_star import ModelMap, model_blocks
from blushcore.jobs.expectation_maximisation.outputs import (
    ParticleFile,
    history_map,
    iteration_prefix,
    map_file,
)
from blushcore.jobs.expectation_maximisation.settings_star import sampling_blocks
from blushcore.jobs.expectation_maximisation.star_files import UNKNOWN, Blocks, StarFile, data_columns
from blushcore.jobs.refine.loop import Iteration, Refinement
from blushcore.jobs.refine.optimiser_star import optimiser_blocks
from blushcore.jobs.refine.parameters import RefineParameters
from blushcore.jobs.refine.state import HALVES, RefineState
from blushcore.protocol import Artefact
from blushcore.shells import HALF_MAP_THRESHOLD, resolution

_FSC_DECIMALS = 4


def figures_of(done: Iteration, refinement: Refinement, why: str) -> dict[str, Any]:
    """Return the figures of an iteration, JSON values with the unit in the name.

    ``resolution_angstrom`` is where the halves' FSC falls below 0.143, without a mask; the decisions go by
    ``resolution_in_use_angstrom``, where the map's signal-to-noise ratio falls to 1.
    """
    plan, state, inputs = done.plan, done.state, refinement.inputs
    course, accuracy, size = state.course, plan.accuracy, inputs.size_angstrom
    by_fsc = resolution(done.maps.fsc, size, HALF_MAP_THRESHOLD)
    figures = {
        "resolution_angstrom": by_fsc.angstrom,
        "resolution_in_use_angstrom": size / course.resolution_shell,
        "is_last": plan.is_last,
        **searched_figures(course.search, plan.sampling, state.poses),
        "accuracy_angle_deg": accuracy.angle_deg if accuracy else None,
        "accuracy_offset_angstrom": accuracy.offset_angstrom if accuracy else None,
        "change_angle_deg": course.changes.angle_deg,
        "change_offset_angstrom": course.changes.offset_angstrom,
        "iterations_without_gain": course.iterations_without_gain,
        "iterations_without_change": course.iterations_without_change,
        "mean_p_max": course.mean_p_max,
        "sigma_offset_angstrom": float(np.mean([half.offset_sigma_angstrom for half in state.halves])),
        "mean_norm": float(np.mean([half.mean_norm for half in state.halves])),
        "seconds": round(state.seconds_of_iteration, 2),
        "seconds_in_all": round(state.seconds, 2),
        "stage_seconds": {name: round(seconds, 2) for name, seconds in done.stages.items()},
        "fsc": [round(float(value), _FSC_DECIMALS) for value in done.maps.fsc],
        "box": inputs.box,
        "voxel_size_angstrom": inputs.voxel_size,
    }
    if why:
        figures["why"] = why
    return figures | _of_denoiser(done, refinement)


def _of_denoiser(done: Iteration, refinement: Refinement) -> dict[str, Any]:
    """Return what is to be known of an iteration whose prior is the denoiser; nothing for the Wiener filter."""
    inputs, cutoff = refinement.inputs, done.maps.cutoff_shell
    if inputs.weights is None:
        return {}
    return {
        **prior_figures(inputs, done.stages),
        "spectral_trailing": done.spectral_trailing,
        "cutoff_shell": cutoff,
        "cutoff_angstrom": None if cutoff is None else inputs.size_angstrom / cutoff,
        **_of_safeguards(done),
    }


def _of_safeguards(done: Iteration) -> dict[str, Any]:
    """Return whether the denoiser keeps to the data, shell by shell; nothing where it was not measured.

    Curves end with the image size in use; a transfer is None where there is nothing to tell it by.
    """
    found = done.maps.safeguards
    if found is None:
        return {}
    shells = done.plan.sampling.current_size // 2 + 1

    def rounded(values: NDArray[np.float64]) -> list[float | None]:
        return [round(float(v), _FSC_DECIMALS) if math.isfinite(v) else None for v in values[:shells]]

    return {
        "denoiser_gain": round(found.gain, _FSC_DECIMALS),
        "denoiser_raw_fsc": rounded(found.crossed.raw),
        "denoiser_cross_fsc": rounded(found.crossed.cross),
        "denoiser_transfer_signal": rounded(found.transfer.signal),
        "denoiser_transfer_noise": rounded(found.transfer.noise),
        "safeguards_seconds": round(found.seconds, 3),
    }


def first_artefacts(
    state: RefineState, refinement: Refinement, params: RefineParameters
) -> tuple[Artefact, ...]:
    """Return what is handed out before the first iteration: the reference of half 1 as it is begun with."""
    inputs = refinement.inputs
    reference = history_map(
        "reference",
        f"{iteration_prefix(state.iteration)}_class001.mrc",
        state.halves[0].reference,
        inputs.voxel_size,
        inputs.box,
        params.keep,
    )
    return (reference,)


def iteration_artefacts(
    done: Iteration, refinement: Refinement, params: RefineParameters, project: Path
) -> tuple[Artefact, ...]:
    """Return the files of an iteration; `project` is what paths in RELION's files are relative to."""
    inputs, plan, state = refinement.inputs, done.plan, done.state
    prefix, size = iteration_prefix(plan.iteration), plan.sampling.current_size
    maps: list[Artefact] = []
    stars: dict[str, Blocks] = {}
    for half, reference, unfiltered in zip(HALVES, done.maps.references, done.maps.before_prior, strict=True):
        name = f"{prefix}_half{half}_class001"
        maps.append(
            history_map(
                f"half{half}",
                f"{name}.mrc",
                reference,
                inputs.voxel_size,
                size,
                params.keep,
                inputs.denoised_label,
            )
        )
        if unfiltered is not None:
            maps.append(
                history_map(
                    f"half{half}_before_prior",
                    f"{name}_before_prior.mrc",
                    unfiltered,
                    inputs.voxel_size,
                    size,
                    params.keep,
                )
            )
        stars[f"half{half}_model"] = _model(done, refinement, params, half, f"{name}.mrc")
    stars["sampling"] = _sampling(done, params)
    stars["optimiser"] = optimiser_blocks(
        params,
        plan,
        state.course,
        box_resolution=inputs.size_angstrom,
        prefix=prefix,
    )
    files = [StarFile(role, f"{prefix}_{role}.star", blocks, project) for role, blocks in stars.items()]
    data = ParticleFile("data", f"{prefix}_data.star", data_columns(inputs.table, state.poses))
    return (*maps, data, *files)


def final_artefacts(
    done: Iteration, refinement: Refinement, params: RefineParameters, project: Path
) -> tuple[Artefact, ...]:
    """Return the final files; `done` is the last iteration."""
    inputs, maps = refinement.inputs, done.maps
    assert maps.joined is not None
    unfiltered = [
        map_file(f"half{half}_unfil", f"run_half{half}_class001_unfil.mrc", data, inputs.voxel_size)
        for half, data in zip(HALVES, maps.unfiltered, strict=True)
    ]
    model = _model(done, refinement, params, 0, "run_class001.mrc")
    denoised: list[Artefact] = []
    if maps.denoised is not None:
        name, label = "run_class001_denoised.mrc", inputs.denoised_label
        denoised.append(map_file("denoised", name, maps.denoised, inputs.voxel_size, label))
    return (
        map_file("map", "run_class001.mrc", maps.joined, inputs.voxel_size),
        *unfiltered,
        *denoised,
        ParticleFile("data", "run_data.star", data_columns(inputs.table, done.state.poses)),
        StarFile("model", "run_model.star", model, project),
        StarFile("sampling", "run_sampling.star", _sampling(done, params), project),
    )


def _sampling(done: Iteration, params: RefineParameters) -> Blocks:
    state = done.state
    return sampling_blocks(params, state.course.search, done.plan.sampling, state.perturbation)


def _model(
    done: Iteration, refinement: Refinement, params: RefineParameters, half: int, reference_name: str
) -> Blocks:
    """Return the model of half 1 or 2; 0: of both, whose image model is that of half 1."""
    inputs, course, which = refinement.inputs, done.state.course, max(half - 1, 0)
    reference = ModelMap(reference_name, done.maps.curves[which], course.resolution_shell, done.plan.accuracy)
    blocks = model_blocks(
        params,
        inputs.table,
        done.state.halves[which],
        [reference],
        Grid(inputs.box, inputs.voxel_size, done.plan.sampling.current_size),
        members=np.isin(inputs.table.half, (half,) if half else HALVES),
        resolution_shell=course.resolution_shell,
        local_sigma_deg=course.search.sigma_deg,
        log_likelihood=done.log_likelihood[half - 1] if half else sum(done.log_likelihood),
        mean_p_max=course.mean_p_max,
    )
    if params.prior == "blush":  # the final files have no optimiser's file to be marked in
        mark = {"blushPrior": "blush", "blushSpectralTrailing": int(params.spectral_trailing)}
        blocks["model_general"] = {**blocks["model_general"], **mark}
    return blocks | _safeguard_blocks(done)


def _safeguard_blocks(done: Iteration) -> Blocks:
    """Return what the denoiser did to the halves, in a block of its own that RELION passes over."""
    import pandas as pd

    found = done.maps.safeguards
    if found is None:
        return {}
    curves = {
        "blushFscRaw": found.crossed.raw,
        "blushFscCrossValidation": found.crossed.cross,
        "blushTransferSignal": found.transfer.signal,
        "blushTransferNoise": found.transfer.noise,
    }
    shells = {"rlnSpectralIndex": np.arange(len(found.crossed.raw))}
    return {
        "blush_class_1": pd.DataFrame(
            shells | {name: np.nan_to_num(c, nan=UNKNOWN) for name, c in curves.items()}
        )
    }


def summary(state: RefineState, figures: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of a finished refinement."""
    kept = ("resolution_angstrom", "resolution_in_use_angstrom", "mean_p_max", "angular_step_deg", "fsc")
    return {
        "iterations": state.iteration,
        **{name: figures[name] for name in kept},
        **{name: figures[name] for name in ("prior", "weights", "spectral_trailing") if name in figures},
        "box": figures["box"],
        "voxel_size_angstrom": figures["voxel_size_angstrom"],
        "seconds_in_all": figures["seconds_in_all"],
    }
