"""``blush simulate``: half-maps or particles of an atomic model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from cyclopts import Parameter

from blushcore.cli.outputs import require_writable
from blushcore.cli.terminal import run_in_terminal
from blushcore.jobs.simulate import JOB, SimulateParameters, output_paths
from blushcore.protocol import CommandSource, Event, Finished
from blushcore.runs import run_unrecorded


def simulate(
    parameters: Annotated[SimulateParameters, Parameter(name="*")],
    *,
    overwrite: bool = False,
    json: bool = False,
) -> int:
    """Simulate half-maps or particle sets of an atomic model, and write the truth beside them.

    Parameters
    ----------
    overwrite
        Replace files that exist.
    json
        Print the result as one JSON object and nothing else.
    """

    def events(commands: CommandSource) -> Iterator[Event]:
        inputs = [path for path, _ in parameters.components]
        require_writable(output_paths(parameters), overwrite=overwrite, inputs=inputs, make_folders=True)
        yield from run_unrecorded(JOB, parameters, parameters.output, commands=commands, overwrite=overwrite)

    def closing(finished: Finished) -> str:
        return f"Wrote {', '.join(finished.files.values())} to {parameters.output}."

    return run_in_terminal(events, json=json, closing=closing)
