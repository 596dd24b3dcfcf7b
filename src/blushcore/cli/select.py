"""``blush select``: the particles of some classes, as a STAR file to go on with."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from cyclopts import Parameter

from blushcore.cli.outputs import require_writable
from blushcore.cli.terminal import failures_as_json, print_json
from blushcore.protocol import BlushError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CLASS = "rlnClassNumber"


def select(
    particles: Path,
    /,
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    classes: Annotated[tuple[int, ...], Parameter(name="--class")] = (),
    largest: bool = False,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Take the particles of some classes out of a classification, to refine them on their own.

    Parameters
    ----------
    particles
        STAR file with classes (rlnClassNumber): the run_it025_data.star of a classification, ours or RELION's.
    output
        STAR file to write, with all columns of the other. Image names stay as they are, so it has to lie in
        the same project.
    classes
        Number of a class to keep, from 1; may be repeated.
    largest
        Keep the class with the most particles.
    overwrite
        Replace the file if it exists.
    json
        Print the result as one JSON object and nothing else.
    """
    with failures_as_json(json):
        if bool(classes) == largest:
            raise UsageError("Give either --class, once or more, or --largest.")
        require_writable([output], overwrite=overwrite, inputs=[particles])
        from blushcore.particles import read_particles  # pandas takes a while

        table = read_particles(particles, needs_ctf=False)
        if _CLASS not in table.particles:
            raise BlushError(
                f"{particles.name} has no classes ({_CLASS}).", "Give the _data.star of a classification."
            )
        number = table.column(_CLASS).astype(np.int64)
        kept = (_largest(number),) if largest else tuple(dict.fromkeys(classes))
        if missing := [str(one) for one in kept if one not in number]:
            raise BlushError(
                f"{particles.name} has no particle of class {', '.join(missing)}.",
                f"It has {_counted(number)}.",
            )
        chosen = table.take(np.isin(number, kept))
        chosen.write(output)
    if json:
        figures = {"classes": list(kept), "particles": len(chosen), "of": len(table)}
        print_json({"outcome": "done", "figures": figures, "files": {"data": str(output)}, "warnings": []})
        return
    names = ("class " if len(kept) == 1 else "classes ") + ", ".join(map(str, kept))
    print(f"Wrote {output}: {len(chosen)} of {len(table)} particles, those of {names}.", file=sys.stderr)


def _largest(number: NDArray[np.int64]) -> int:
    found, counts = np.unique(number[number > 0], return_counts=True)
    return int(found[counts.argmax()]) if len(found) else 1


def _counted(number: NDArray[np.int64]) -> str:
    found, counts = np.unique(number, return_counts=True)
    return ", ".join(f"{count} of class {one}" for one, count in zip(found, counts, strict=True))
