"""``blush recipe``: from an atomic model to a report, by the commands that a user would type."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter, validators

from blushcore.cli.exit_codes import DONE
from blushcore.cli.recipe_steps import RECIPES, Choices, RecipeName, Step
from blushcore.protocol import BlushError, UsageError
from blushcore.volumes import atomic_file

if TYPE_CHECKING:
    import gemmi

_COMMANDS = "commands.sh"


def recipe(
    name: RecipeName,
    model: Path,
    /,
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    chains: str = "",
    particles: Annotated[int | None, Parameter(alias="-n", validator=validators.Number(gte=50))] = None,
    prior: Literal["blush", "wiener"] = "blush",
    seed: Annotated[int, Parameter(validator=validators.Number(gte=0))] = 1,
    device: str = "auto",
    dry_run: bool = False,
) -> int:
    """Try a whole case on simulated images: make them, refine or classify them, and report.

    micelle: a membrane protein in a micelle. small-complex: a small protein-nucleic acid complex is sorted
    from its free protein and from junk, then refined. preferred: particles most of which show one view. Every
    command is shown before it runs, and kept in commands.sh. Given again, it goes on where it stopped.

    Parameters
    ----------
    name
        The recipe: micelle, small-complex or preferred.
    model
        Atomic model (.pdb, .cif; also compressed), of the Protein Data Bank for instance.
    output
        Folder for everything.
    chains
        Chains of the model to take, separated by commas (small-complex); by default all.
    particles
        Number of images, instead of the recipe's own.
    prior
        What regularises the maps: the denoiser, or the Wiener filter.
    seed
        Of everything random.
    device
        auto, cpu, cuda, cuda:1, mps
    dry_run
        Print the commands, and do nothing.
    """
    chosen, parts = _prepared(name, model, chains, particles, (seed, device, prior))
    steps = RECIPES[name].steps(chosen)
    if dry_run:
        for step in steps:
            print(_line(step))
        return DONE
    output.mkdir(parents=True, exist_ok=True)
    _keep_commands(output, steps)
    for path, part in parts.items():
        from blushcore.cli.recipe_steps import write_model

        write_model(part, output / path)
    for step in steps:
        if (output / step.makes).exists():
            print(f"# done already: {step.makes}", file=sys.stderr)
            continue
        _run(step, output)
    print(f"The report is {output / steps[-1].makes}.", file=sys.stderr)
    return DONE


def _prepared(
    name: RecipeName,
    model: Path,
    chains: str,
    particles: int | None,
    others: tuple[int, str, str],
) -> tuple[Choices, dict[str, gemmi.Model]]:
    """Return the choices of a recipe, and the models that it takes from the one that was given."""
    from blushcore.cli.recipe_steps import chosen_parts, extent_of
    from blushcore.simulation import read_structure

    wanted = [word.strip() for word in chains.split(",") if word.strip()]
    if wanted and name != "small-complex":
        raise UsageError("--chains is a matter of the recipe small-complex.")
    structure = read_structure(model)
    parts: dict[str, gemmi.Model] = {}
    path, lesser = model.absolute(), Path()
    if name == "small-complex":
        structure, without = chosen_parts(structure, wanted)
        path, lesser = Path("complex.cif"), Path("protein.cif")
        parts = {str(path): structure, str(lesser): without}
    seed, device, prior = others
    count = RECIPES[name].particles if particles is None else particles
    return Choices(path, lesser, extent_of(structure), count, seed, device, prior), parts


def _run(step: Step, folder: Path) -> None:
    """Do a step, or go on with it.

    Raises
    ------
    BlushError
        If its command fails; it has said why.
    """
    words = step.words
    if step.run and (folder / step.run).exists():
        words = ("resume", step.run)
    print(f"\n# {step.why}\n$ blush {shlex.join(words)}", file=sys.stderr, flush=True)
    code = subprocess.run([sys.executable, "-m", "blushcore.cli", *words], cwd=folder, check=False).returncode
    if code != DONE:
        raise BlushError(
            f"blush {words[0]} ended with exit code {code}.",
            "Mend what it says above, and give this command again.",
        )


def _keep_commands(folder: Path, steps: Sequence[Step]) -> None:
    """Keep the commands, to be read or run again one by one; others in their place are refused."""
    text = "".join(f"# {step.why}\n{_line(step)}\n" for step in steps)
    path = folder / _COMMANDS
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise BlushError(
            f"{folder} holds another recipe, or this one with other choices: see {path}.",
            "Give another folder with -o.",
        )
    with atomic_file(path) as file:
        file.write(text.encode())


def _line(step: Step) -> str:
    return f"blush {shlex.join(step.words)}"
