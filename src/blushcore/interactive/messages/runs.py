"""Messages about runs before they begin, and about the particles of the demo."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from blushcore.interactive.messages.base import Message


class CheckRefinement(Message):
    """Look at what a refinement or a classification is to begin with.

    Answered by `RefinementChecked`, or `Failed` with its field.

    `parameters` are those of the job, as JSON values; `output` is the run directory to be made.
    """

    request: Literal["check_refinement"] = "check_refinement"
    id: str
    job: Literal["refine", "classify"] = "refine"
    parameters: dict[str, Any]
    output: Path


class CheckFinetuning(Message):
    """Look at what a fine-tuning is to begin with.

    Answered by `FinetuningChecked`, or `Failed` with its field. `parameters` are those of the job, as JSON
    values.
    """

    request: Literal["check_finetuning"] = "check_finetuning"
    id: str
    parameters: dict[str, Any]


class MakeDemoParticles(Message):
    """Make the built-in particle set in `folder`, unless it is there already. Answered by `ParticlesMade`."""

    request: Literal["make_demo_particles"] = "make_demo_particles"
    id: str
    folder: Path


class RefinementChecked(Message):
    """A refinement or classification can begin: what its particles are, and what it takes beside what is there.

    Bytes and seconds are predictions; `device_peak` is 0 where all is computed in the host's memory.
    """

    event: Literal["refinement_checked"] = "refinement_checked"
    id: str
    particles: int
    half_sizes: tuple[int, int] | None = None
    """None where the particles are not split."""
    box: int
    pixel_size: float
    """Å."""
    optics_groups: int
    device: str
    device_name: str
    host_peak: int
    host_free: int
    device_peak: int
    device_free: int
    disk: int
    disk_free: int
    seconds: tuple[float, float] | None = None
    """From … to …: see `blushcore.jobs.refine.duration`; None where nobody can say."""
    warnings: tuple[str, ...] = ()


class FinetuningChecked(Message):
    """A fine-tuning can begin: the half-maps' resolution and the particle's diameter (Å), and the device."""

    event: Literal["finetuning_checked"] = "finetuning_checked"
    id: str
    resolution: float
    diameter: float
    device: str
    device_name: str
    warnings: tuple[str, ...] = ()


class ParticlesMade(Message):
    """A particle set lies in `folder`; how to refine it, as parameters of `blushcore.jobs.refine`."""

    event: Literal["particles_made"] = "particles_made"
    id: str
    folder: Path
    truth: Path
    parameters: dict[str, Any]
