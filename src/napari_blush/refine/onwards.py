"""From some classes of a classification to a refinement of their particles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from blushcore.jobs.refine.parameters import RefineParameters

_OF_THE_SEARCH = frozenset(
    {
        "first_iteration_cc",  # a class's map has the images' grey scale
        "healpix_order",
        "offset_range",
        "offset_step",
        "tau_fudge",
        "resample_reference",
    }
)
"""What a classification has another use for: the refinement begins with its own defaults."""
_MOST_NAMED = 6
"""Classes in the name of a file."""


def refinement_of(
    parameters: Mapping[str, Any], particles: Path, reference: Path, *, is_whole: bool
) -> RefineParameters:
    """Return the parameters of a refinement that goes on with particles of a classification.

    All that both jobs are told stays, but for how poses are searched and how far the data are trusted.

    Parameters
    ----------
    parameters
        Those in force in the classification, as JSON values.
    particles
        The STAR file with its particles.
    reference
        The map of a class.
    is_whole
        Whether that map is on the particles' grid; those of the history need not be.

    Raises
    ------
    BlushError
        If the parameters are of a version that had others.
    """
    shared = set(RefineParameters.model_fields) - _OF_THE_SEARCH
    taken = {name: value for name, value in parameters.items() if name in shared}
    files = {"particles": particles, "reference": reference, "resample_reference": not is_whole}
    return RefineParameters.parse({**taken, **files}, "The classification")


def proposed_selection(run: Path, particles: Path | None, iteration: int, classes: Sequence[int]) -> Path:
    """Return where the particles of some classes are best put: ``classify_001_it025_class1_3.star``.

    Parameters
    ----------
    run
        The classification's directory.
    particles
        Its STAR file. Image names that are found from there are found from beside it, too; if it is gone, it
        is beside the run.
    iteration, classes
        Of which.
    """
    which = f"class{'_'.join(map(str, classes))}" if len(classes) <= _MOST_NAMED else f"{len(classes)}_classes"
    folder = run.parent if particles is None or not particles.is_file() else particles.parent
    return folder / f"{run.name}_it{iteration:03d}_{which}.star"


def free_name(path: Path) -> Path:
    """Return a name that no file has yet: `path`, or with ``_2`` and on behind its stem."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.stem}_{number}{path.suffix}")
    return free
