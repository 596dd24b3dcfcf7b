"""``blush train``: train the denoiser in a run directory, or pack what a training needs."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from blushcore.cli.exit_codes import DONE
from blushcore.cli.options import Detach, Json
from blushcore.cli.outputs import require_writable
from blushcore.cli.running import open_run
from blushcore.cli.terminal import failures_as_json, print_json
from blushcore.cli.training_lines import training_end
from blushcore.jobs import JOBS
from blushcore.jobs.train.parameters import TrainParameters
from blushcore.protocol import BlushError, Finished, UsageError


def train(
    params: Path,
    /,
    *,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    pack: Path | None = None,
    overwrite: bool = False,
    detach: Detach = False,
    json: Json = False,
) -> int:
    """Train the denoiser on simulated half-maps of atomic models.

    What was stopped or died goes on by: blush resume RUN_DIR

    Parameters
    ----------
    params
        TOML file of parameters (docs/train.md lists them); its paths are relative to its own folder.
    output
        Run directory to make.
    pack
        Train nothing, but write the models to this one small file (.npz), for a machine that has none; there it
        is what `models` names.
    overwrite
        Replace a pack of that name.
    """
    with failures_as_json(json):
        if (output is None) == (pack is None):
            raise UsageError("Give either a run directory (-o) or a pack to write (--pack).")
        if pack is not None:
            _write_pack(read_parameters(params), pack, overwrite=overwrite, json=json)
            return DONE

    def prepared() -> TrainParameters:
        from blushcore.jobs.train.sources import check_inputs

        parameters = read_parameters(params)
        check_inputs(parameters)
        return parameters

    assert output is not None
    run = output
    return open_run(
        JOBS["train"],
        prepared,
        run,
        detach=detach,
        json=json,
        closing=lambda finished: closing(finished, run),
    )


def closing(finished: Finished, output: Path) -> str:
    """Return what a training came to, as the last line in a terminal."""
    return f"{training_end(finished.figures)}; the weights are {output / finished.files['weights']}"


def _write_pack(parameters: TrainParameters, path: Path, *, overwrite: bool, json: bool) -> None:
    from blushcore.jobs.train.sources import models_of
    from blushcore.simulation.model_pack import SUFFIX, write_model_pack

    if parameters.models is None:
        raise BlushError("The parameters name no table of models (models) to pack.")
    if path.suffix != SUFFIX:
        raise UsageError(f"A pack ends in {SUFFIX}, not as {path.name} does.")
    require_writable([path], overwrite=overwrite, inputs=[parameters.models])
    entries = [*models_of(parameters, "train"), *models_of(parameters, "validation")]
    count = sum(1 for _ in write_model_pack(path, entries))
    size = path.stat().st_size
    if json:
        print_json({"pack": str(path), "models": count, "bytes": size})
    else:
        print(f"{count} models, {size / 2**20:.1f} MiB: {path}")


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
