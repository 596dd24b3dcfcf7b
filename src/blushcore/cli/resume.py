"""``blush resume``: go on with a run that was stopped, failed or died, or begin one that was only made."""

from __future__ import annotations

from pathlib import Path

from blushcore import runs
from blushcore.cli.exit_codes import DONE
from blushcore.cli.terminal import failures_as_json, print_json, run_in_terminal
from blushcore.devices.processes import is_follower
from blushcore.runs import read_run


def resume(run_dir: Path, /, *, detach: bool = False, json: bool = False) -> int:
    """Go on with a run from where it stopped.

    Every parameter is taken from the run, with the changes that were made while it ran. A run that is done, or
    that another process writes, is refused.

    Parameters
    ----------
    run_dir
        The run directory: what was given as -o when the run was started.
    detach
        Run on its own, outliving this terminal; follow it with: blush watch RUN_DIR
    json
        Show nothing, and print the outcome as JSON at the end.
    """
    if is_follower():
        _follow(run_dir)
        return DONE
    if detach:
        with failures_as_json(json):
            worker = runs.start_detached(run_dir)
        if json:
            print_json({"pid": worker.pid})
        else:
            print(f"Process {worker.pid} runs it; follow it with: blush watch {run_dir}")
        return DONE
    return run_in_terminal(lambda commands: runs.resume(run_dir, commands=commands), json=json)


def _follow(run_dir: Path) -> None:
    """Work along with process 0 at the run's job."""
    if read_run(run_dir).job == "classify":
        from blushcore.jobs.classify.job import follow
    else:
        from blushcore.jobs.refine.job import follow
    follow()
