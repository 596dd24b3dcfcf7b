"""``blush simulate``: half-maps of an atomic model."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from blushcore.cli.terminal import run_in_terminal
from blushcore.jobs.simulate import JOB, SimulateParameters
from blushcore.runs import run_unrecorded


def simulate(
    parameters: Annotated[SimulateParameters, Parameter(name="*")],
    *,
    overwrite: bool = False,
    json: bool = False,
) -> int:
    """Simulate half-maps of an atomic model, and write the truth beside them.

    Parameters
    ----------
    overwrite
        Replace files that exist.
    json
        Print the result as one JSON object and nothing else.
    """
    return run_in_terminal(
        lambda commands: run_unrecorded(
            JOB, parameters, parameters.output, commands=commands, overwrite=overwrite
        ),
        json=json,
    )
