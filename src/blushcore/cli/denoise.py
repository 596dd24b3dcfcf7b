"""``blush denoise``: a map, or two half-maps, through the denoiser."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated

from cyclopts import Parameter

from blushcore.cli.durations import duration
from blushcore.cli.outputs import require_writable
from blushcore.cli.terminal import run_in_terminal
from blushcore.jobs.denoise import JOB, DenoiseParameters, output_paths
from blushcore.protocol import CommandSource, Event, Finished
from blushcore.runs import run_unrecorded


def denoise(
    parameters: Annotated[DenoiseParameters, Parameter(name="*")],
    *,
    overwrite: bool = False,
    json: bool = False,
) -> int:
    """Denoise a map, or two half-maps independently of each other.

    The network works at 1.5 Å a voxel: the result holds nothing finer than 3 Å.

    Parameters
    ----------
    overwrite
        Replace files that exist.
    json
        Print the result as one JSON object and nothing else.
    """
    return run_in_terminal(
        lambda commands: _events(parameters, commands, overwrite=overwrite), json=json, closing=_closing
    )


def _events(parameters: DenoiseParameters, commands: CommandSource, *, overwrite: bool) -> Iterator[Event]:
    """Run the job; name its files from where the user stands."""
    require_writable(output_paths(parameters), overwrite=overwrite, make_folders=True)
    folder = parameters.folder
    for event in run_unrecorded(JOB, parameters, folder, commands=commands, overwrite=overwrite):
        if isinstance(event, Finished):
            files = {role: os.path.relpath(folder / name) for role, name in event.files.items()}
            yield replace(event, files=files)
        else:
            yield event


def _closing(finished: Finished) -> str:
    seconds = float(finished.figures["seconds"])
    return f"Wrote {', '.join(finished.files.values())} in {duration(seconds)}."
