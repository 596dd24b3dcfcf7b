"""What a simulation's files are called."""

from __future__ import annotations

from blushcore.jobs.simulate.parameters import SimulateParameters

RECORD = "simulation.json"
MAPS = ("half1", "half2", "truth", "signal", "mask")
"""Roles of a half-map simulation's maps; their files end in ``.mrc``."""
STACK, PARTICLES, TRUE, REFERENCE = "particles.mrcs", "particles.star", "true.star", "ref40.mrc"


def truth_name(index: int) -> str:
    """Return the file name of the truth of an object, counted from 0."""
    return "truth.mrc" if index == 0 else f"truth_class{index + 1}.mrc"


def output_names(params: SimulateParameters) -> tuple[str, ...]:
    """Return the names of all files that a simulation writes."""
    if params.kind == "half-maps":
        return (*(f"{role}.mrc" for role in MAPS), RECORD)
    truths = (truth_name(index) for index in range(len(params.components)))
    return (STACK, PARTICLES, TRUE, REFERENCE, *truths, RECORD)
