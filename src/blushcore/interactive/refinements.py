"""Refinements before they begin: are the inputs fit, and what will it take; and particles to try it with."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from blushcore.devices import describe_device, host_memory
from blushcore.interactive.messages import (
    CheckRefinement,
    Event,
    MakeDemoParticles,
    ParticlesMade,
    RefinementChecked,
    Working,
)
from blushcore.jobs.classify import preflight as classify
from blushcore.jobs.classify.duration import predicted_seconds as classification_seconds
from blushcore.jobs.classify.parameters import ClassifyParameters
from blushcore.jobs.expectation_maximisation.disk_need import check_disk
from blushcore.jobs.expectation_maximisation.inputs import Inputs
from blushcore.jobs.refine import preflight as refine
from blushcore.jobs.refine.duration import predicted_seconds
from blushcore.jobs.refine.parameters import RefineParameters
from blushcore.jobs.simulate import (
    DEMO_DIAMETER_ANGSTROM,
    DEMO_SYMMETRY,
    JOB,
    demo_parameters,
    is_made,
)
from blushcore.jobs.simulate.file_names import PARTICLES, REFERENCE, truth_name
from blushcore.protocol import Progress, blaming
from blushcore.runs import run_unrecorded

_CPU = "cpu"


def check_refinement(request: CheckRefinement) -> RefinementChecked:
    """Do what a refinement or classification does before it begins, and say what was found.

    Raises
    ------
    BlushError
        When it could not begin; its ``field`` names the parameter, or ``"output"``.
    """
    inputs, disk, seconds = (_classification if request.job == "classify" else _refinement)(request)
    with blaming("output"):
        check_disk(request.output, disk, request.parameters.get("keep", "light"))
    device = describe_device(inputs.device)
    half = inputs.table.half
    return RefinementChecked(
        id=request.id,
        particles=len(inputs.table),
        half_sizes=None if request.job == "classify" else (int((half == 1).sum()), int((half == 2).sum())),
        box=inputs.box,
        pixel_size=inputs.voxel_size,
        optics_groups=len(inputs.table.optics),
        device=device.device,
        device_name=device.name,
        host_peak=inputs.need.host,
        host_free=host_memory().available,
        device_peak=inputs.need.device,
        device_free=0 if inputs.device.type == _CPU else device.memory.available,
        disk=disk,
        disk_free=shutil.disk_usage(_existing(request.output)).free,
        seconds=seconds,
        warnings=inputs.warnings,
    )


def _refinement(request: CheckRefinement) -> tuple[Inputs, int, tuple[float, float]]:
    """Return what a refinement reads, and the disk (bytes) and the time (s) that it needs."""
    params = RefineParameters.parse(request.parameters, "The refinement")
    inputs = refine.check_inputs(params)
    disk = refine.predicted_disk_bytes(params, len(inputs.table), inputs.box)
    return inputs, disk, predicted_seconds(params, inputs)


def _classification(request: CheckRefinement) -> tuple[Inputs, int, tuple[float, float]]:
    """Return what a classification reads, and the disk (bytes) and the time (s) that it needs."""
    params = ClassifyParameters.parse(request.parameters, "The classification")
    inputs = classify.check_inputs(params)
    disk = classify.predicted_disk_bytes(params, len(inputs.table), inputs.box)
    return inputs, disk, classification_seconds(params, inputs)


def make_demo_particles(request: MakeDemoParticles) -> Iterator[Event]:
    """Make the built-in set where it is not there yet; ends with `ParticlesMade`."""
    simulation = demo_parameters(request.folder)
    if not is_made(simulation):
        for event in run_unrecorded(JOB, simulation, request.folder, overwrite=True):
            if isinstance(event, Progress):
                yield Working(id=request.id, stage=event.stage, done=event.done, total=event.total)
    folder = request.folder
    parameters = RefineParameters(
        particles=folder / PARTICLES,
        reference=folder / REFERENCE,
        diameter=DEMO_DIAMETER_ANGSTROM,
        symmetry=DEMO_SYMMETRY,
    )
    yield ParticlesMade(
        id=request.id,
        folder=folder,
        truth=folder / truth_name(0),
        parameters=parameters.with_absolute_paths().model_dump(mode="json"),
    )


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest above it that exists."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
