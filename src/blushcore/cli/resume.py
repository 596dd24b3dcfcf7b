"""``blush resume``: go on with a run that was stopped, failed or died, or begin one that was only made."""

from __future__ import annotations

from pathlib import Path

from blushcore import runs
from blushcore.cli.event_lines import describe
from blushcore.cli.options import Detach, Json
from blushcore.cli.running import follow, start_alone
from blushcore.cli.terminal import run_in_terminal
from blushcore.devices.processes import is_follower
from blushcore.jobs import JOBS
from blushcore.protocol import Finished
from blushcore.runs import read_run


def resume(run_dir: Path, /, *, detach: Detach = False, json: Json = False) -> int:
    """Go on with a run from where it stopped.

    Every parameter is taken from the run, with the changes that were made while it ran. A run that is done, or
    that another process writes, is refused.

    Parameters
    ----------
    run_dir
        The run directory: what was given as -o when the run was started.
    """
    if is_follower():
        return follow(JOBS[read_run(run_dir).job])
    if detach:
        return start_alone(run_dir, json=json)
    return run_in_terminal(
        lambda commands: runs.resume(run_dir, commands=commands),
        json=json,
        closing=lambda finished: _closing(finished, run_dir),
    )


def _closing(finished: Finished, run_dir: Path) -> str:
    """Return what the job's own command says of its end."""
    # Some bring torch along, which the help can do without.
    from blushcore.cli import classify, finetune, refine, train

    match read_run(run_dir).job:
        case "classify":
            return classify.closing(finished, run_dir)
        case "refine":
            return refine.closing(finished, run_dir)
        case "train":
            return train.closing(finished, run_dir)
        case "finetune":
            return finetune.closing(finished, run_dir)
        case _:
            return describe(finished)
