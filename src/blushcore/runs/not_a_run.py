"""What a folder is that was given for a run directory and is none, and what can be done with it."""

from __future__ import annotations

import re
from pathlib import Path

from blushcore.protocol import BlushError

_DESCRIPTION = "params.json"
_USUAL_REMEDY = "Give the folder that was named as -o when the run was started."
_OPTIMISER = re.compile(r".*_it(\d+)_optimiser\.star")
_OF_A_JOB = ("job.star", "run.job", "job_pipeline.star", "RELION_JOB_EXIT_SUCCESS", "RELION_JOB_EXIT_FAILURE")
_PROJECT = "default_pipeline.star"
_SHOWN_RUNS = 3


def not_a_run(directory: Path) -> BlushError:
    """Return the error for a folder without a ``params.json``, by what is in it.

    RELION's jobs are known by their files, whatever their prefix; of those below a folder that holds runs, some
    are named.
    """
    try:
        if directory.is_file():
            return _a_file(directory)
        names = sorted(path.name for path in directory.iterdir())
        runs = [path for path in sorted(directory.iterdir()) if (path / _DESCRIPTION).is_file()]
    except FileNotFoundError:
        return _error(directory, "there is no such folder", _USUAL_REMEDY)
    except OSError as error:
        return _error(directory, f"it cannot be read ({error.strerror})", _USUAL_REMEDY)
    if "events.jsonl" in names:
        return _error(directory, f"its {_DESCRIPTION} is missing", "Restore that file from a copy.")
    if found := _job_of_relion(directory, names):
        return _error(directory, *found)
    if _PROJECT in names:
        return _error(directory, "it is a project of RELION's", _USUAL_REMEDY)
    if runs:
        more = f" and {len(runs) - _SHOWN_RUNS} more" if len(runs) > _SHOWN_RUNS else ""
        shown = ", ".join(map(str, runs[:_SHOWN_RUNS]))
        return _error(directory, "it holds runs", f"Give one of them: {shown}{more}.")
    return _error(directory, f"it has no {_DESCRIPTION}", _USUAL_REMEDY)


def _job_of_relion(directory: Path, names: list[str]) -> tuple[str, str] | None:
    """Return what a job of RELION's is, and what can be done with it; None if it is none."""
    iterations = {int(match[1]): name for name in names if (match := _OPTIMISER.fullmatch(name))}
    if not iterations:
        if not set(_OF_A_JOB) & set(names):
            return None
        return "it is a job of RELION's, and none that refines", _USUAL_REMEDY
    last = max(iterations)
    optimiser = iterations[last]
    stem = optimiser.removesuffix("_optimiser.star")
    if f"{stem}_half1_model.star" in names:
        remedy = (
            "RELION's own runs are not shown; go on from it with: blush refine PARTICLES.star --reference MAP "
            f"--diameter Å --continue-from {directory / optimiser} -o RUN_DIR.{_halves(directory, names)}"
        )
        return f"it is a refinement of RELION's, up to iteration {last}", remedy
    remedy = (
        "RELION's own runs are not shown; take the particles of a class for a refinement with: blush select "
        f"{directory / f'{stem}_data.star'} --class N -o PARTICLES.star."
    )
    return f"it is a classification of RELION's, up to iteration {last}", remedy


def _halves(directory: Path, names: list[str]) -> str:
    """Return how the final half-maps are compared, if they are there."""
    for name in names:
        other = name.replace("_half1_", "_half2_")
        if name.endswith("_half1_class001_unfil.mrc") and other in names:
            return f" Compare its half-maps with: blush fsc {directory / name} {directory / other}."
    return ""


def _a_file(path: Path) -> BlushError:
    if (path.parent / _DESCRIPTION).is_file():
        return _error(path, "it is a file of a run", f"Give the folder {path.parent}.")
    return _error(path, "it is a file", _USUAL_REMEDY)


def _error(directory: Path, what: str, remedy: str) -> BlushError:
    return BlushError(f"{directory} is not a run directory: {what}.", remedy)
