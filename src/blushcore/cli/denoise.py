"""``blush denoise``: a map, or two half-maps, through the denoiser."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from blushcore.cli.terminal import run_in_terminal
from blushcore.jobs.denoise import JOB, DenoiseParameters
from blushcore.runs import run_unrecorded


def denoise(
    parameters: Annotated[DenoiseParameters, Parameter(name="*")],
    *,
    overwrite: bool = False,
    json: bool = False,
) -> int:
    """Denoise a map, or two half-maps independently of each other.

    Parameters
    ----------
    overwrite
        Replace files that exist.
    json
        Print the result as one JSON object and nothing else.
    """
    return run_in_terminal(
        lambda commands: run_unrecorded(
            JOB, parameters, parameters.folder, commands=commands, overwrite=overwrite
        ),
        json=json,
    )
