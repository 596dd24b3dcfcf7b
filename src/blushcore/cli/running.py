"""How a command opens a run: its directory is made, its job goes on here or on its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from blushcore import runs
from blushcore.cli.exit_codes import DONE
from blushcore.cli.terminal import failures_as_json, print_json, run_in_terminal
from blushcore.devices.processes import is_follower
from blushcore.protocol import Control, Finished, Job, Parameters, UsageError
from blushcore.runs import create_run, run_job
from blushcore.runs.layout import require_free

P = TypeVar("P", bound=Parameters)


def open_run(
    job: Job[Any],
    prepare: Callable[[], P],
    output: Path,
    *,
    detach: bool,
    json: bool,
    closing: Callable[[Finished], str] | None = None,
) -> int:
    """Make a run directory, run the job in it, and return the exit code; or only work along at it.

    Parameters
    ----------
    job
        What to run.
    prepare
        Returns its parameters once they and the inputs are found to be good: before there is a run directory
        with parameters to be mended.
    output
        Run directory to make.
    detach
        Start a worker that outlives this terminal.
    json
        Show nothing, and print the outcome as JSON at the end.
    closing
        As for `run_in_terminal`.

    Raises
    ------
    BlushError
        What `prepare` raises, if the directory holds a run, and as `run_job`.
    """
    if is_follower():
        return follow(job)
    with failures_as_json(json):
        require_free(output)  # before all that takes time
        parameters = prepare()
        if detach:
            create_run(output, job.name, parameters)
    if detach:
        return start_alone(output, json=json)
    return run_in_terminal(
        lambda commands: run_job(job, parameters, output, commands=commands), json=json, closing=closing
    )


def follow(job: Job[Any]) -> int:
    """Work along with process 0 of several that torchrun started, until it is done; return the exit code.

    What it reads and decides comes from there; what happens here is told there.

    Raises
    ------
    UsageError
        If the job does not share its work.
    """
    if not job.is_shared:
        raise UsageError(f"'{job.name}' runs in one process.", "Start it without torchrun.")
    for _ in job.run(None, Control(), None):
        pass
    return DONE


def start_alone(run_dir: Path, *, json: bool) -> int:
    """Start a worker that outlives this terminal, tell who it is, and return the exit code."""
    with failures_as_json(json):
        worker = runs.start_detached(run_dir)
    if json:
        print_json({"pid": worker.pid})
    else:
        print(f"Process {worker.pid} runs it; follow it with: blush watch {run_dir}")
    return DONE
