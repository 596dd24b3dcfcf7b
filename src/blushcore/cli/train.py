"""``blush train``: train the denoiser in a run directory."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from blushcore.cli.exit_codes import DONE
from blushcore.cli.terminal import failures_as_json, print_json, run_in_terminal
from blushcore.jobs.train import JOB, TrainParameters, check_inputs
from blushcore.protocol import BlushError
from blushcore.runs import create_run, run_job, start_detached


def train(
    params: Path,
    /,
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    detach: bool = False,
    json: bool = False,
) -> int:
    """Train the denoiser on simulated half-maps of atomic models.

    What was stopped or died goes on by: blush resume RUN_DIR

    Parameters
    ----------
    params
        TOML file of parameters (docs/train.md lists them); its paths are relative to its own folder.
    output
        Run directory to make.
    detach
        Run on its own, outliving this terminal; follow it with: blush watch RUN_DIR
    json
        Show nothing, and print the outcome as JSON at the end.
    """
    with failures_as_json(json):
        parameters = read_parameters(params)
        check_inputs(parameters)  # before there is a run directory with parameters to be mended
        if detach:
            create_run(output, JOB.name, parameters)
            worker = start_detached(output)
    if detach:
        if json:
            print_json({"pid": worker.pid})
        else:
            print(f"Process {worker.pid} runs it; follow it with: blush watch {output}")
        return DONE
    return run_in_terminal(lambda commands: run_job(JOB, parameters, output, commands=commands), json=json)


def read_parameters(path: Path) -> TrainParameters:
    """Read the parameters of a training from TOML.

    Raises
    ------
    BlushError
        When there is no such file, it is no TOML, or a parameter is unknown, missing or out of its range.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BlushError(
            f"{path} cannot be read: {error.strerror}.", "Give a TOML file of parameters."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BlushError(f"{path} is no TOML file: {error}.", "See docs/train.md for an example.") from error
    return TrainParameters.parse(_beside(path, values), where=str(path))


def _beside(path: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Take paths as relative to the file that holds them; weights may also be given by name."""
    folder = path.absolute().parent
    found = dict(values)
    for name in ("models", "pairs"):
        if isinstance(values.get(name), str):
            found[name] = str(folder / values[name])
    weights = values.get("initial_weights")
    if isinstance(weights, str) and (folder / weights).is_file():
        found["initial_weights"] = str(folder / weights)
    return found
