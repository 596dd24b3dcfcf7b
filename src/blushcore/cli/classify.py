"""``blush classify``: sort particles into classes, in a run directory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from blushcore.cli.options import Detach, Json, RunFolder
from blushcore.cli.refinement_lines import iterations
from blushcore.cli.running import open_run
from blushcore.jobs.classify.job import JOB
from blushcore.jobs.classify.parameters import ClassifyParameters
from blushcore.jobs.classify.preflight import check_inputs, predicted_disk_bytes
from blushcore.jobs.expectation_maximisation.disk_need import check_disk
from blushcore.protocol import Finished, UsageError


def classify(
    parameters: Annotated[ClassifyParameters, Parameter(name="*")],
    *,
    output: RunFolder,
    skip_alignment: bool = False,
    detach: Detach = False,
    json: Json = False,
) -> int:
    """Sort particles into K classes in 3D, with or without searching their poses.

    The run directory is made by it and may be followed with: blush watch RUN_DIR. What was stopped or died goes
    on by: blush resume RUN_DIR. Its files are RELION's: run_it025_class001.mrc …, run_it025_data.star,
    run_it025_model.star.

    Parameters
    ----------
    skip_alignment
        Keep the poses of the STAR file: the same as --alignment none
    """

    def prepared() -> ClassifyParameters:
        absolute = parameters.with_absolute_paths()
        if skip_alignment:
            if absolute.alignment not in ("global", "none"):
                raise UsageError(f"--skip-alignment contradicts --alignment {absolute.alignment}.")
            absolute = absolute.replace(alignment="none")
        inputs = check_inputs(absolute)
        check_disk(output, predicted_disk_bytes(absolute, len(inputs.table), inputs.box), absolute.keep)
        return absolute

    return open_run(
        JOB, prepared, output, detach=detach, json=json, closing=lambda finished: closing(finished, output)
    )


def closing(finished: Finished, output: Path) -> str:
    """Return what a finished classification came to, as the last line in a terminal."""
    figures = finished.figures
    shares = ", ".join(f"{100 * share:.1f} %" for share in figures["class_distribution"])
    data = output / finished.files["data"]
    return f"done after {iterations(figures)}: {shares} of the particles; their classes are in {data}"
