"""What the events of a classification say and carry."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from blushcore.jobs.classify.loop import Classification, ClassifyIteration
from blushcore.jobs.classify.optimiser_star import optimiser_blocks
from blushcore.jobs.classify.parameters import ClassifyParameters
from blushcore.jobs.classify.state import ClassifyState
from blushcore.jobs.expectation_maximisation.figures import (
    network_figures,
    prior_figures,
    searched_figures,
)
from blushcore.jobs.expectation_maximisation.inputs import Inputs
from blushcore.jobs.expectation_maximisation.map_curves import Grid, overall_coverage
from blushcore.jobs.expectation_maximisation.model_star import ModelMap, model_blocks
from blushcore.jobs.expectation_maximisation.outputs import (
    ParticleFile,
    history_map,
    iteration_prefix,
    map_file,
)
from blushcore.jobs.expectation_maximisation.settings_star import sampling_blocks
from blushcore.jobs.expectation_maximisation.star_files import Blocks, StarFile, data_columns
from blushcore.protocol import Artefact

_DECIMALS = 4


def figures_of(done: ClassifyIteration, classification: Classification, why: str) -> dict[str, Any]:
    """Return the figures of an iteration, JSON values with the unit in the name; lists are over the classes."""
    plan, state, inputs = done.plan, done.state, classification.inputs
    accuracies = {
        "class_accuracy_angle_deg": [each.angle_deg if each else math.nan for each in plan.accuracies],
        "class_accuracy_offset_angstrom": [
            each.offset_angstrom if each else math.nan for each in plan.accuracies
        ],
    }
    figures = {
        **class_figures(state, inputs),
        **accuracies,
        "class_completeness": [
            round(overall_coverage(each.coverage, int(shell)), _DECIMALS)
            for each, shell in zip(done.maps.curves, state.classes.resolution_shells, strict=True)
        ],
        "class_ssnr": [[round(float(v), _DECIMALS) for v in each.ssnr] for each in done.maps.curves],
        "empty_classes": [index + 1 for index in done.maps.empty],
        "reseeded_classes": [index + 1 for index in done.reseeded],
        "change_classes": state.moves.classes,
        "change_angle_deg": state.moves.angle_deg,
        "change_offset_angstrom": state.moves.offset_angstrom,
        "is_last": plan.is_last,
        **searched_figures(plan.search, plan.sampling, state.poses),
        "sigma_offset_angstrom": state.model.offset_sigma_angstrom,
        "mean_norm": state.model.mean_norm,
        "seconds": round(state.seconds_of_iteration, 2),
        "stage_seconds": {name: round(seconds, 2) for name, seconds in done.stages.items()},
    }
    if why:
        figures["why"] = why
    return figures | prior_figures(inputs, done.stages)


def class_figures(state: ClassifyState, inputs: Inputs) -> dict[str, Any]:
    """Return what can be told of the classes from a state alone."""
    classes, size = state.classes, inputs.size_angstrom
    shells = classes.resolution_shells.tolist()
    return {
        "classes": classes.count,
        "class_distribution": [round(float(share), 6) for share in classes.distribution],
        "class_particles": classes.particles.tolist(),
        "class_resolution_angstrom": [size / shell if shell else math.nan for shell in shells],
        "resolution_angstrom": size / state.best_shell if state.best_shell else math.nan,
        "mean_p_max": float(state.poses.p_max.mean()),
        "mean_class_probability": float(classes.probability.mean()),
        "seconds_in_all": round(state.seconds, 2),
        "box": inputs.box,
        "voxel_size_angstrom": inputs.voxel_size,
    }


def summary(state: ClassifyState, inputs: Inputs, params: ClassifyParameters) -> dict[str, Any]:
    """Return the figures of a finished classification."""
    return {
        "iterations": state.iteration,
        "alignment": params.alignment,
        **class_figures(state, inputs),
        **network_figures(inputs),
    }


def first_artefacts(state: ClassifyState, inputs: Inputs, params: ClassifyParameters) -> tuple[Artefact, ...]:
    """Return what is handed out before the first iteration: the references as they are begun with."""
    prefix = iteration_prefix(state.iteration)
    return tuple(
        history_map(
            f"class{k:03d}", f"{prefix}_class{k:03d}.mrc", each, inputs.voxel_size, inputs.box, params.keep
        )
        for k, each in enumerate(state.model.reference, 1)
    )


def last_files(state: ClassifyState) -> dict[str, str]:
    """Return the names of the last iteration's files by role: the result, as RELION's Class3D leaves it."""
    prefix = iteration_prefix(state.iteration)
    maps = {f"class{k:03d}": f"{prefix}_class{k:03d}.mrc" for k in range(1, state.classes.count + 1)}
    return maps | {role: f"{prefix}_{role}.star" for role in ("data", "model", "sampling", "optimiser")}


def iteration_artefacts(
    done: ClassifyIteration, classification: Classification, params: ClassifyParameters, project: Path
) -> tuple[Artefact, ...]:
    """Return the files of an iteration; `project` is what paths in RELION's files are relative to."""
    inputs, plan, state = classification.inputs, done.plan, done.state
    prefix, names = iteration_prefix(plan.iteration), last_files(state)
    maps = [
        file
        for k in range(1, state.classes.count + 1)
        for file in _maps_of_class(done, inputs, params, k, names[f"class{k:03d}"])
    ]
    stars: dict[str, Blocks] = {
        "model": _model(done, inputs, params),
        "sampling": sampling_blocks(params, plan.search, plan.sampling, state.perturbation),
        "optimiser": optimiser_blocks(params, plan, state, box_resolution=inputs.size_angstrom, prefix=prefix),
    }
    files = [StarFile(role, names[role], blocks, project) for role, blocks in stars.items()]
    data = ParticleFile("data", names["data"], data_columns(inputs.table, state.poses, state.classes.index))
    return (*maps, data, *files)


def _maps_of_class(
    done: ClassifyIteration, inputs: Inputs, params: ClassifyParameters, number: int, name: str
) -> list[Artefact]:
    """Return the map of a class, and what the prior began with where that is another; whole at last."""
    label, voxel_size = inputs.denoised_label, inputs.voxel_size
    role, data = f"class{number:03d}", done.state.model.reference[number - 1]
    if done.plan.is_last:
        files: list[Artefact] = [map_file(role, name, data, voxel_size, label)]
    else:
        size = done.plan.sampling.current_size
        files = [history_map(role, name, data, voxel_size, size, params.keep, label)]
    before = done.maps.before_prior[number - 1]
    if before is not None:
        name = name.replace(".mrc", "_before_prior.mrc")
        size = inputs.box if done.plan.is_last else done.plan.sampling.current_size
        files.append(history_map(f"{role}_before_prior", name, before, voxel_size, size, params.keep))
    return files


def _model(done: ClassifyIteration, inputs: Inputs, params: ClassifyParameters) -> Blocks:
    plan, state, names = done.plan, done.state, last_files(done.state)
    maps = [
        ModelMap(names[f"class{number:03d}"], curves, int(shell), accuracy, share)
        for number, (curves, shell, accuracy, share) in enumerate(
            zip(
                done.maps.curves,
                state.classes.resolution_shells,
                plan.accuracies,
                state.classes.distribution,
                strict=True,
            ),
            1,
        )
    ]
    return model_blocks(
        params,
        inputs.table,
        state.model,
        maps,
        Grid(inputs.box, inputs.voxel_size, plan.sampling.current_size),
        members=np.ones(len(inputs.table), bool),
        resolution_shell=state.resolution_shell,
        local_sigma_deg=params.local_sigma_deg if params.alignment == "local" else None,
        log_likelihood=done.log_likelihood,
        mean_p_max=float(state.poses.p_max.mean()),
    )
