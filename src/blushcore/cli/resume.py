"""``blush resume``: go on with a run that was stopped, failed or died, or begin one that was only made."""

from __future__ import annotations

from pathlib import Path

from blushcore import runs
from blushcore.cli.exit_codes import DONE
from blushcore.cli.running import start_alone
from blushcore.cli.terminal import run_in_terminal
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
        return start_alone(run_dir, json=json)
    return run_in_terminal(lambda commands: runs.resume(run_dir, commands=commands), json=json)


def _follow(run_dir: Path) -> None:
    """Work along with process 0 at the run's job."""
    match read_run(run_dir).job:
        case "classify":
            from blushcore.jobs.classify.job import follow
        case "train":
            from blushcore.jobs.train.job import follow
        case _:
            from blushcore.jobs.refine.job import follow
    follow()
