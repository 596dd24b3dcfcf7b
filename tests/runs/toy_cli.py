"""The `blush` command with the toy job: run as a program by the tests that need another process."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

sys.path.insert(0, str(Path(__file__).parent))

from toy_job import TOY, ToyParameters

from blushcore import jobs, runs
from blushcore.cli.app import COMMANDS, Entry, main
from blushcore.cli.terminal import run_in_terminal


def toy(
    parameters: Annotated[ToyParameters, Parameter(name="*")],
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    json: bool = False,
) -> int:
    """Walk at random.

    Parameters
    ----------
    output
        The run directory to make.
    json
        Print the outcome as JSON.
    """
    return run_in_terminal(lambda commands: runs.run_job(TOY, parameters, output, commands=commands), json=json)


def toy_loose(
    parameters: Annotated[ToyParameters, Parameter(name="*")], *, output: Annotated[Path, Parameter(alias="-o")]
) -> int:
    """Walk at random without a run directory."""
    return run_in_terminal(lambda commands: runs.run_unrecorded(TOY, parameters, output, commands=commands))


TOY_COMMANDS = {
    **COMMANDS,
    "toy": Entry("toy_cli:toy", "Walk at random."),
    "toy-loose": Entry("toy_cli:toy_loose", "Walk at random without a run directory."),
}

if __name__ == "__main__":
    jobs.JOBS._targets["toy"] = "toy_job:TOY"
    sys.exit(main(commands=TOY_COMMANDS))
