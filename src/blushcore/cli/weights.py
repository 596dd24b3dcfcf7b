"""``blush weights``: the network weights that are there, and the import of the published ones."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import cyclopts
from cyclopts import Parameter

from blushcore.cli.outputs import require_writable
from blushcore.cli.terminal import failures_as_json, make_view, print_json
from blushcore.protocol import BlushError, UsageError
from blushcore.volumes import atomic_file

if TYPE_CHECKING:
    from blushcore.denoiser import WeightsInfo

# torch comes with the denoiser, and is imported in the commands: help needs none of it.

app = cyclopts.App(name="weights", help="List network weights, or import the published ones.")


@app.command(name="list")
def list_weights(*, json: bool = False) -> None:
    """List the network weights that can be used by name.

    They lie in the package and in your own weights folder.

    Parameters
    ----------
    json
        Print a JSON object instead of the table.
    """
    from blushcore.denoiser import weights

    known, errors = weights.list_weights()
    try:
        default = weights.find_weights()
        missing = []
    except BlushError as error:
        default, missing = None, [error]
    if json:
        listed = [{**_values(info), "default": info.path == default} for info in known]
        print_json({"weights": listed, "unreadable": [str(error) for error in errors]})
        return
    if known:
        _print_table(known, default)
    else:
        print("There are no network weights.")
    if default is not None and default not in [info.path for info in known]:
        print(f"By default: {default} (from {weights.ENVIRONMENT_VARIABLE})")
    print(f"Your own weights folder: {weights.user_weights_folder()}")
    for problem in [*errors, *(missing if known else [])]:
        print(f"warning: {problem}", file=sys.stderr)


@app.command(name="import")
def import_weights(
    file: Path | None = None,
    /,
    *,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    name: str | None = None,
    download: bool = False,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Import a published checkpoint (.ckpt, .ckpt.gz) as weights.

    Only tensors and plain values are read from it; code stored in such a file is never executed. Without FILE,
    the copy of an installed RELION-5 is looked for. Nothing is downloaded without --download.

    Parameters
    ----------
    file
        The checkpoint.
    output
        Weights file to write (.safetensors), instead of one in your own weights folder.
    name
        Name of the weights; by default that of the file.
    download
        Download the published checkpoint from Zenodo and check it against its SHA-256.
    overwrite
        Replace weights of that name.
    json
        Print the result as one JSON object and nothing else.
    """
    with failures_as_json(json):
        _find_and_import(file, output, name, download=download, overwrite=overwrite, json=json)


def _find_and_import(
    file: Path | None, output: Path | None, name: str | None, *, download: bool, overwrite: bool, json: bool
) -> None:
    from blushcore.denoiser.published import PUBLISHED_FILE, PUBLISHED_URL

    if download and file is not None:
        raise UsageError("A file and --download were both given.", "Give one of them.")
    if not download:
        _import(file or _found_copy(quiet=json), output, name, overwrite=overwrite, json=json)
        return
    if not json:
        print(f"Downloading {PUBLISHED_URL}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="blush-") as folder:
        fetched = Path(folder) / PUBLISHED_FILE
        _download(fetched, quiet=json)
        _import(fetched, output, name, overwrite=overwrite, json=json)


def _import(file: Path, output: Path | None, name: str | None, *, overwrite: bool, json: bool) -> None:
    from blushcore.denoiser import read_checkpoint
    from blushcore.denoiser.published import name_of_checkpoint
    from blushcore.denoiser.weights import load_network

    chosen = _checked_name(name or (output.stem if output else name_of_checkpoint(file)))
    target = _target(output, chosen, overwrite=overwrite)
    content = read_checkpoint(file).weights(chosen)
    if output is None:
        target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(target) as stream:
        stream.write(content)
    _, info = load_network(target)
    if json:
        print_json(_values(info))
        return
    print(f"Imported {file} as {info.name}: {target} (sha256 {info.sha256[:12]})")
    print(f"Use it with --weights {info.name if output is None else target}")


def _found_copy(*, quiet: bool) -> Path:
    from blushcore.denoiser.published import relion_copies

    places = relion_copies()
    for path in places:
        if path.is_file():
            if not quiet:
                print(f"Found RELION-5's copy of the published weights: {path}", file=sys.stderr)
            return path
    raise BlushError(
        f"No file was given, and RELION-5 has not left its weights in {' or '.join(map(str, places))}.",
        "Give the checkpoint's file, or --download to get it from Zenodo.",
    )


def _download(target: Path, *, quiet: bool) -> None:
    from blushcore.denoiser.published import download

    if quiet:
        for _ in download(target):
            pass
        return
    with make_view() as view:
        for progress in download(target):
            view.show(progress)


def _checked_name(name: str) -> str:
    from blushcore.shipped import shipped_files

    if name != Path(name).name or name.startswith((".", "-")):
        raise UsageError(f"{name!r} is no name for weights.", "Use letters, digits, '.', '-' and '_'.")
    if any(path.stem == name for path in shipped_files("weights/*.safetensors")):
        raise BlushError(f"{name} is the name of weights that come with the package.", "Give another --name.")
    return name


def _target(output: Path | None, name: str, *, overwrite: bool) -> Path:
    """Return where the weights go; refused early what cannot be written in the end."""
    from blushcore.denoiser.weights import SUFFIX, user_weights_folder

    target = output or user_weights_folder() / f"{name}{SUFFIX}"
    if target.suffix != SUFFIX:
        raise UsageError(f"{target} has not the ending of weights.", f"End it in {SUFFIX}.")
    require_writable([target], overwrite=overwrite, make_folders=output is None)
    return target


def _values(info: WeightsInfo) -> dict[str, Any]:
    return {
        "name": info.name,
        "path": str(info.path),
        "version": info.version,
        "voxel_size_angstrom": info.voxel_size,
        "block_size": info.block_size,
        "sha256": info.sha256,
        "training": dict(info.training),
    }


def _print_table(known: list[WeightsInfo], default: Path | None) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from blushcore.denoiser.weights import user_weights_folder

    table = Table("name", "version", "where", "what it is", "sha256", box=None, pad_edge=False)
    for info in known:
        name = f"{info.name} (default)" if info.path == default else info.name
        where = "your folder" if info.path.parent == user_weights_folder() else "package"
        what = what_it_is(info.training)
        table.add_row(*(Text(cell) for cell in (name, info.version, where, what, info.sha256[:12])))
    Console(highlight=False).print(table)


def what_it_is(training: Mapping[str, Any]) -> str:
    """Say in a few words where weights come from, after their training record."""
    if "imported_from" in training:
        return f"imported from {training['imported_from']}"
    if "steps" in training:
        models = f" on {training['models']} simulated models" if "models" in training else ""
        steps = training["steps"] + training.get("steps_before", 0)
        return f"trained for {steps} steps{models}"
    return "no record"
