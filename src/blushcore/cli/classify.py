"""``blush classify``: sort particles into classes, in a run directory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from blushcore.cli.exit_codes import DONE
from blushcore.cli.terminal import failures_as_json, print_json, run_in_terminal
from blushcore.devices.processes import is_follower
from blushcore.jobs.classify.job import JOB, follow
from blushcore.jobs.classify.parameters import ClassifyParameters
from blushcore.jobs.classify.preflight import check_inputs, predicted_disk_bytes
from blushcore.jobs.refine.preflight import check_disk
from blushcore.protocol import Finished, UsageError
from blushcore.runs import create_run, run_job, start_detached


def classify(
    parameters: Annotated[ClassifyParameters, Parameter(name="*")],
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    skip_alignment: bool = False,
    detach: bool = False,
    json: bool = False,
) -> int:
    """Sort particles into K classes in 3D, with or without searching their poses.

    The run directory is made by it and may be followed with: blush watch RUN_DIR. What was stopped or died goes
    on by: blush resume RUN_DIR. Its files are RELION's: run_it025_class001.mrc …, run_it025_data.star,
    run_it025_model.star.

    Parameters
    ----------
    output
        Run directory to make.
    skip_alignment
        Keep the poses of the STAR file: the same as --alignment none
    detach
        Run on its own, outliving this terminal; follow it with: blush watch RUN_DIR
    json
        Show nothing, and print the outcome as JSON at the end.
    """
    if is_follower():
        follow()
        return DONE
    with failures_as_json(json):
        if skip_alignment:
            if parameters.alignment not in ("global", "none"):
                raise UsageError(f"--skip-alignment contradicts --alignment {parameters.alignment}.")
            parameters = parameters.replace(alignment="none")
        parameters = parameters.with_absolute_paths()
        inputs = check_inputs(parameters)  # before there is a run directory with parameters to be mended
        check_disk(output, predicted_disk_bytes(parameters, len(inputs.table), inputs.box))
        del inputs
        if detach:
            create_run(output, JOB.name, parameters)
            worker = start_detached(output)
    if detach:
        if json:
            print_json({"pid": worker.pid})
        else:
            print(f"Process {worker.pid} runs it; follow it with: blush watch {output}")
        return DONE
    return run_in_terminal(
        lambda commands: run_job(JOB, parameters, output, commands=commands),
        json=json,
        closing=lambda finished: _closing(finished, output),
    )


def _closing(finished: Finished, output: Path) -> str:
    figures = finished.figures
    shares = ", ".join(f"{100 * share:.1f} %" for share in figures["class_distribution"])
    data = output / finished.files["data"]
    return (
        f"done after {figures['iterations']} iterations: {shares} of the particles; their classes are in {data}"
    )
