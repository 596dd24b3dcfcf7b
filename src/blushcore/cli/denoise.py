"""``blush denoise``: a map, or two half-maps, through the denoiser."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from blushcore.cli.terminal import duration, run_in_terminal
from blushcore.jobs.denoise import JOB, DenoiseParameters, output_paths
from blushcore.protocol import BlushError, CommandSource, Event, Finished, Message
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
    _require_writable(output_paths(parameters), overwrite=overwrite)
    return run_in_terminal(lambda commands: _events(parameters, commands, overwrite=overwrite), json=json)


def _events(parameters: DenoiseParameters, commands: CommandSource, *, overwrite: bool) -> Iterator[Event]:
    """Run the job; name its files from where the user stands, and say at the end which were written."""
    folder = parameters.folder
    for event in run_unrecorded(JOB, parameters, folder, commands=commands, overwrite=overwrite):
        if not isinstance(event, Finished):
            yield event
            continue
        files = {role: os.path.relpath(folder / name) for role, name in event.files.items()}
        if files:
            seconds = float(event.figures["seconds"])
            yield Message(text=f"Wrote {', '.join(files.values())} in {duration(seconds)}.")
        yield replace(event, files=files)


def _require_writable(paths: list[Path], *, overwrite: bool) -> None:
    """Refuse before anything is computed what could not be written in the end."""
    for path in paths:
        if path.is_dir():
            raise BlushError(f"{path} is a folder.", "Give a file name to write to.")
        if path.exists() and not overwrite:
            raise BlushError(f"{path} exists already.", "Give --overwrite to replace it, or another name.")
        folder = next(parent for parent in path.absolute().parents if parent.exists())
        effective = os.access in os.supports_effective_ids
        if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK, effective_ids=effective):
            raise BlushError(f"The folder {folder} may not be written to.", "Write elsewhere.")
