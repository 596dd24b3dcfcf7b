"""``blush simulate``: half-maps of an atomic model, or particle sets, with the truth beside them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from blushcore.jobs.simulate.demo import DEMO_DIAMETER_ANGSTROM, DEMO_SYMMETRY, demo_parameters, is_made
from blushcore.jobs.simulate.file_names import output_names
from blushcore.jobs.simulate.parameters import SimulateParameters, parse_views
from blushcore.protocol import Control, Event, Job, JobState, Started

__all__ = [
    "DEMO_DIAMETER_ANGSTROM",
    "DEMO_SYMMETRY",
    "JOB",
    "SimulateParameters",
    "demo_parameters",
    "is_made",
    "output_paths",
    "parse_views",
    "simulate",
]


def simulate(params: SimulateParameters, control: Control, _state: JobState | None = None) -> Iterator[Event]:
    """Make what `params.kind` says; see `half_map_events` and `particle_events`.

    Raises
    ------
    BlushError
        When a model cannot be read, does not fit the box, or the parameters do not fit each other.
    """
    yield Started(job="simulate", parameters=params.model_dump(mode="json"), device="cpu")
    # Only now: help and wrong usage can do without torch, and half-maps without compiled loops.
    if params.kind == "half-maps":
        from blushcore.jobs.simulate.half_maps import half_map_events

        yield from half_map_events(params, control)
    else:
        from blushcore.jobs.simulate.particles import particle_events

        yield from particle_events(params, control)


def output_paths(params: SimulateParameters) -> list[Path]:
    """Return all files that the job will write."""
    return [params.output / name for name in output_names(params)]


JOB = Job(name="simulate", parameters=SimulateParameters, run=simulate)
