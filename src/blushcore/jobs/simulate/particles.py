"""A particle set: images with poses, offsets, CTF and noise, and the truth that they come from."""

from __future__ import annotations

import contextlib
import math
import shutil
import uuid
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from blushcore.jobs.json_file import JsonFile
from blushcore.jobs.map_file import MapFile
from blushcore.jobs.simulate.file_names import PARTICLES, RECORD, REFERENCE, STACK, TRUE, truth_name
from blushcore.jobs.simulate.parameters import SimulateParameters
from blushcore.jobs.simulate.particle_tables import ParticleStar
from blushcore.optics import OpticsGroup
from blushcore.protocol import BlushError, Control, Event, Finished, Message, Progress
from blushcore.simulation import (
    MapTruth,
    ModelTruth,
    ParticleDraws,
    StackWriter,
    draw_particles,
    open_truth,
    usual_box,
)
from blushcore.simulation.particle_images import ParticleImager, signal_variance
from blushcore.volumes import Volume, gaussian_lowpass

_REFERENCE_ANGSTROM = 40.0
_VOXEL_SIZE = 2.0
_DIAMETER_OVER_EXTENT = 1.1
_LARGEST_EXTENT = 0.9
"""Of the box: more, and projections with offsets are cut off."""


@dataclass(frozen=True)
class _Set:
    """What is known before the first image is made."""

    params: SimulateParameters
    group: OpticsGroup
    draws: ParticleDraws
    densities: tuple[Tensor, ...]
    extent_angstrom: float
    diameter_angstrom: float


@dataclass(frozen=True)
class SpooledStack:
    """A finished stack under a temporary name, as an artefact: keeping it is renaming it."""

    spool: Path
    role: str = "stack"
    name: str = STACK

    def write(self, path: Path) -> None:
        """Move the stack to `path`, in the same folder."""
        self.spool.replace(path)


def particle_events(params: SimulateParameters, control: Control) -> Iterator[Event]:
    """Make a particle set, and yield what follows `Started`.

    The files: ``particles.mrcs`` and ``particles.star``, what a refinement is given; ``true.star``, the same
    with poses, offsets and class numbers (0 for junk); ``truth.mrc`` (``truth_class2.mrc`` …); ``ref40.mrc``,
    the first truth at 40 Å; ``simulation.json``. Image names in the STAR files begin with the output folder as
    it was given, so RELION finds the images from the folder in which the command was run.

    Images are written as they are made: a set may be larger than memory.

    Raises
    ------
    BlushError
        When a model or map cannot be read or does not fit the box, or the disk has no room for the images.
    """
    made = yield from _prepare(params, control)
    imager = ParticleImager(
        made.densities,
        made.group,
        made.draws,
        diameter_angstrom=made.diameter_angstrom,
        seed=params.seed,
    )
    moments = np.zeros(3)
    for batch in imager.batches_that_set_the_noise():
        moments += imager.signal_moments(batch)
        yield from control.obey()
    noise_std = math.sqrt(signal_variance(moments) / params.snr)
    if noise_std == 0:
        raise BlushError("Not one image shows a particle.", "Make more images, or a smaller share of junk.")

    with _spool(params.output) as spool:
        with StackWriter(spool, made.group.box, made.group.pixel_size_angstrom) as writer:
            for batch in imager.batches():
                writer.append(imager.noisy(batch, noise_std).numpy())
                yield Progress(stage="images", done=batch.stop, total=params.count, unit="images")
                yield from control.obey()
        yield Message(text=_summary(made))
        yield _finished(made, noise_std, spool)


def _prepare(params: SimulateParameters, control: Control) -> Generator[Event, None, _Set]:
    """Read the models, draw densities and poses; the generator's value is a `_Set`."""
    truths: list[ModelTruth | MapTruth] = []
    for path, _ in params.components:
        truths.append(
            open_truth(
                path,
                copies=params.copies,
                micelle=params.micelle,
                solvent_contrast=params.solvent_contrast,
                relative_b_factors=params.model_b_factors,
            )
        )
    voxel_size, box = _grid(params, truths)
    extent = max(truth.extent_angstrom for truth in truths)
    if extent > _LARGEST_EXTENT * box * voxel_size:
        raise BlushError(
            f"The particle ({extent:.0f} Å across) does not fit the box ({box * voxel_size:.0f} Å).",
            f"Use a box of at least {2 * math.ceil(extent / _LARGEST_EXTENT / voxel_size / 2)} pixels.",
        )
    _require_room(params, box)  # before poses are drawn: so many that the memory cannot hold them
    densities = []
    for index, truth in enumerate(truths):
        densities.append(truth.density(box, voxel_size))
        yield Progress(stage="densities", done=index + 1, total=len(truths), unit="maps")
        yield from control.obey()
    draws = draw_particles(
        params.count,
        [share for _, share in params.components],
        views=params.views,
        offset_px=params.offset_px,
        defocus=params.defocus,
        astigmatism=params.astigmatism,
        junk=params.junk,
        seed=params.seed,
    )
    group = OpticsGroup(
        number=1,
        name="opticsGroup1",
        voltage_kilovolts=params.voltage,
        spherical_aberration_mm=params.spherical_aberration,
        amplitude_contrast=params.amplitude_contrast,
        pixel_size_angstrom=voxel_size,
        box=box,
    )
    diameter = _DIAMETER_OVER_EXTENT * extent if params.diameter is None else params.diameter
    return _Set(params, group, draws, tuple(densities), extent, diameter)


def _grid(params: SimulateParameters, truths: list[ModelTruth | MapTruth]) -> tuple[float, int]:
    """Voxel size and box: as asked for, else the first map's, else what fits."""
    first = next((truth.volume for truth in truths if isinstance(truth, MapTruth)), None)
    voxel_size = params.voxel_size
    if voxel_size is None:
        voxel_size = first.isotropic_voxel_size if first is not None else _VOXEL_SIZE
    if params.box is not None:
        return voxel_size, params.box
    if first is not None:
        return voxel_size, 2 * round(first.shape[0] * first.isotropic_voxel_size / voxel_size / 2)
    return voxel_size, usual_box(max(truth.extent_angstrom for truth in truths), voxel_size)


def _require_room(params: SimulateParameters, box: int) -> None:
    needed = 4 * params.count * box**2
    folder = next(parent for parent in (params.output, *params.output.absolute().parents) if parent.exists())
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise BlushError(
            f"The images need {needed / 1e9:.3g} GB; the disk of {params.output} has {free / 1e9:.3g} GB left.",
            "Make room, write elsewhere, or make fewer or smaller images.",
        )


@contextlib.contextmanager
def _spool(folder: Path) -> Iterator[Path]:
    """Name a file in `folder` for the time being; whatever happens, it is gone afterwards."""
    missing = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BlushError(
            f"The folder {folder} could not be made: {error.strerror or error}.", "Write elsewhere."
        ) from error
    path = folder / f".{STACK}.{uuid.uuid4().hex[:12]}.tmp"
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
        if missing:
            with contextlib.suppress(OSError):  # it is not empty: the job was done
                folder.rmdir()


def _finished(made: _Set, noise_std: float, spool: Path) -> Finished:
    params, group = made.params, made.group
    figures = {
        "images": len(made.draws),
        "box": group.box,
        "pixel_size": group.pixel_size_angstrom,
        "extent": round(made.extent_angstrom, 1),
        "diameter": round(made.diameter_angstrom, 1),
        "junk": int(made.draws.is_junk.sum()),
    }
    record = {
        "parameters": params.recorded(),
        "noise_std": noise_std,
        "images_of_each_object": [int((made.draws.shows == k).sum()) for k in range(made.draws.objects)],
        **figures,
    }
    low = gaussian_lowpass(made.densities[0], _reference_sigma(), group.pixel_size_angstrom)
    stack = (params.output / STACK).as_posix()
    return Finished(
        figures=figures,
        artefacts=(
            SpooledStack(spool),
            ParticleStar("particles", PARTICLES, group, made.draws, stack, with_truth=False),
            ParticleStar("true", TRUE, group, made.draws, stack, with_truth=True),
            MapFile("reference", REFERENCE, _volume(low, group)),
            *(
                MapFile(Path(truth_name(index)).stem, truth_name(index), _volume(density, group))
                for index, density in enumerate(made.densities)
            ),
            JsonFile("simulation", RECORD, record),
        ),
    )


def _reference_sigma() -> float:
    """Return σ in Å of the Gaussian whose weight is ½ at the reference's resolution."""
    return _REFERENCE_ANGSTROM * math.sqrt(math.log(2) / 2) / math.pi


def _volume(density: Tensor, group: OpticsGroup) -> Volume:
    data = np.ascontiguousarray(density.to(torch.float32).numpy())
    return Volume(data, (group.pixel_size_angstrom,) * 3)


def _summary(made: _Set) -> str:
    group = made.group
    return (
        f"{len(made.draws)} images of {group.box} pixels of {group.pixel_size_angstrom:g} Å; the particle is "
        f"{made.extent_angstrom:.0f} Å across; SNR {made.params.snr:g}."
    )
