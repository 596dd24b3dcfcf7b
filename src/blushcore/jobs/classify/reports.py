"""What the events of a classification say and carry."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from blushcore.denoiser.provenance import denoised_label
from blushcore.jobs.classify.loop import Classification, ClassifyIteration
from blushcore.jobs.classify.parameters import ClassifyParameters
from blushcore.jobs.classify.preflight import ClassifyInputs
from blushcore.jobs.classify.star_files import class_model_blocks, class_optimiser_blocks
from blushcore.jobs.classify.state import ClassifyState
from blushcore.jobs.refine.expectation_inputs import poses_searched
from blushcore.jobs.refine.map_curves import Grid, overall_coverage
from blushcore.jobs.refine.outputs import ParticleFile, history_map, iteration_prefix, map_file
from blushcore.jobs.refine.settings_star import sampling_blocks
from blushcore.jobs.refine.star_files import Blocks, StarFile, data_columns
from blushcore.protocol import Artefact

_DECIMALS = 4


def figures_of(done: ClassifyIteration, classification: Classification, why: str) -> dict[str, Any]:
    """Return the figures of an iteration, JSON values with the unit in the name; lists are over the classes."""
    plan, state, inputs = done.plan, done.state, classification.inputs
    sampling, search = plan.sampling, plan.search
    searched = {
        "current_size": sampling.current_size,
        "coarse_size": sampling.coarse_size,
        "healpix_order": search.healpix_order,
        "angular_step_deg": search.step_deg,
        "fine_angular_step_deg": search.fine_step_deg,
        "local_search": sampling.local is not None,
        "offset_range_angstrom": search.offset_range_angstrom,
        "offset_step_angstrom": search.offset_step_angstrom,
        "poses_per_image": _poses(done),
        "significant_poses": float(state.poses.significant.mean()),
    }
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
        **searched,
        "sigma_offset_angstrom": state.model.offset_sigma_angstrom,
        "mean_norm": state.model.mean_norm,
        "seconds": round(state.seconds_of_iteration, 2),
        "stage_seconds": {name: round(seconds, 2) for name, seconds in done.stages.items()},
    }
    if why:
        figures["why"] = why
    if inputs.weights is not None:
        figures |= {
            "prior": "blush",
            "weights": inputs.weights.name,
            "weights_sha256": inputs.weights.sha256,
        }
    return figures


def class_figures(state: ClassifyState, inputs: ClassifyInputs) -> dict[str, Any]:
    """Return what can be told of the classes from a state alone."""
    classes, size = state.classes, inputs.box * inputs.voxel_size
    shells = classes.resolution_shells.tolist()
    return {
        "classes": classes.count,
        "class_distribution": [round(float(share), 6) for share in classes.distribution],
        "class_particles": classes.particles.tolist(),
        "class_resolution_angstrom": [size / shell if shell else math.nan for shell in shells],
        "resolution_angstrom": size / max(1, state.resolution_shell),
        "mean_p_max": float(state.poses.p_max.mean()),
        "mean_class_probability": float(classes.probability.mean()),
        "seconds_in_all": round(state.seconds, 2),
        "box": inputs.box,
        "voxel_size_angstrom": inputs.voxel_size,
    }


def summary(state: ClassifyState, inputs: ClassifyInputs, params: ClassifyParameters) -> dict[str, Any]:
    """Return the figures of a finished classification."""
    return {"iterations": state.iteration, "alignment": params.alignment, **class_figures(state, inputs)}


def first_artefacts(
    state: ClassifyState, inputs: ClassifyInputs, params: ClassifyParameters
) -> tuple[Artefact, ...]:
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
    grid = Grid(inputs.box, inputs.voxel_size, plan.sampling.current_size)
    maps = [
        file
        for k in range(1, state.classes.count + 1)
        for file in _maps_of_class(done, inputs, params, k, names[f"class{k:03d}"])
    ]
    stars: dict[str, Blocks] = {
        "model": class_model_blocks(
            params=params,
            table=inputs.table,
            grid=grid,
            plan=plan,
            state=state,
            curves=done.maps.curves,
            log_likelihood=done.log_likelihood,
            reference_names=[names[f"class{k:03d}"] for k in range(1, state.classes.count + 1)],
        ),
        "sampling": sampling_blocks(
            params,
            plan.search,
            state.perturbation,
            plan.sampling.orientations.directions_deg.numpy(),
        ),
        "optimiser": class_optimiser_blocks(
            params, plan, state, box_resolution=inputs.box * inputs.voxel_size, prefix=prefix
        ),
    }
    files = [StarFile(role, names[role], blocks, project) for role, blocks in stars.items()]
    data = ParticleFile("data", names["data"], data_columns(inputs.table, state.poses, state.classes.index))
    return (*maps, data, *files)


def _maps_of_class(
    done: ClassifyIteration, inputs: ClassifyInputs, params: ClassifyParameters, number: int, name: str
) -> list[Artefact]:
    """Return the map of a class, and what the prior began with where that is another; whole at last."""
    weights, voxel_size = inputs.weights, inputs.voxel_size
    label = None if weights is None else denoised_label(weights.name, weights.sha256)
    role, data = f"class{number:03d}", done.maps.references[number - 1]
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


def _poses(done: ClassifyIteration) -> int:
    """Return how many coarse poses each image is compared with in each class."""
    sampling = done.plan.sampling
    if sampling.keeps == "pose":
        return 1
    if sampling.keeps == "orientation":
        return len(sampling.offsets.children())
    return poses_searched(sampling)
