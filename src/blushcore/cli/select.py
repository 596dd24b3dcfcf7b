"""``blush select``: the particles of some classes, as a STAR file to go on with."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from blushcore.cli.outputs import require_writable
from blushcore.cli.terminal import failures_as_json, print_json
from blushcore.protocol import UsageError


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
        the same project; a warning says if it does not.
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
        # pandas takes a while
        from blushcore.particles import (
            largest_class,
            particles_of_classes,
            read_particles,
            where_images_are_missed,
        )

        table = read_particles(particles, needs_ctf=False)
        kept = (largest_class(table),) if largest else tuple(dict.fromkeys(classes))
        chosen = particles_of_classes(table, kept)
        chosen.write(output)
        warning = where_images_are_missed(chosen, output)
    warnings = [warning] if warning else []
    if json:
        figures = {"classes": list(kept), "particles": len(chosen), "of": len(table)}
        files = {"data": str(output)}
        print_json({"outcome": "done", "figures": figures, "files": files, "warnings": warnings})
        return
    names = ("class " if len(kept) == 1 else "classes ") + ", ".join(map(str, kept))
    print(f"Wrote {output}: {len(chosen)} of {len(table)} particles, those of {names}.", file=sys.stderr)
    for sentence in warnings:
        print(f"warning: {sentence}", file=sys.stderr)
