"""``blush refine``: refine particles against a reference, in a run directory."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from blushcore.cli.options import Detach, Json, RunFolder
from blushcore.cli.refinement_lines import iterations
from blushcore.cli.running import open_run
from blushcore.jobs.expectation_maximisation.disk_need import check_disk
from blushcore.jobs.refine.continuing import state_of
from blushcore.jobs.refine.job import JOB
from blushcore.jobs.refine.parameters import RefineParameters
from blushcore.jobs.refine.preflight import check_inputs, predicted_disk_bytes
from blushcore.protocol import Finished


def refine(
    parameters: Annotated[RefineParameters, Parameter(name="*")],
    *,
    output: RunFolder,
    detach: Detach = False,
    json: Json = False,
) -> int:
    """Refine particles against a reference in 3D, two halves of the data apart, until nothing gets better.

    The run directory is made by it and may be followed with: blush watch RUN_DIR. What was stopped or died goes
    on by: blush resume RUN_DIR. Its files are RELION's: run_class001.mrc, run_half1_class001_unfil.mrc,
    run_half2_class001_unfil.mrc, run_data.star, run_model.star.
    """

    def prepared() -> RefineParameters:
        absolute = parameters.with_absolute_paths()
        inputs = check_inputs(absolute)
        if absolute.continue_from is not None:
            state_of(absolute.continue_from, inputs)  # all of its files are there, and whole
        check_disk(output, predicted_disk_bytes(absolute, len(inputs.table), inputs.box), absolute.keep)
        return absolute

    return open_run(
        JOB, prepared, output, detach=detach, json=json, closing=lambda finished: closing(finished, output)
    )


def closing(finished: Finished, output: Path) -> str:
    """Return what a finished refinement came to, as the last line in a terminal."""
    figures = finished.figures
    resolution = figures["resolution_angstrom"]
    reached = (
        f"{resolution:.2f} Å, where the FSC of the halves falls below 0.143 (no mask)"
        if math.isfinite(resolution)
        else "no resolution, as the FSC of the halves is below 0.143 from the first shell on"
    )
    return f"done after {iterations(figures)}: {reached}; the map is {output / finished.files['map']}"
