"""The `blush` command: the table of its commands, and what it answers.

Exit codes: 0 done; 1 the job failed (one plain sentence on stderr, a traceback only with ``--debug``);
2 wrong usage, which a command may find as a `UsageError`; 130 stopped before its end, by Ctrl-C, SIGTERM or a
command from a viewer.

Adding a command takes one line in `COMMANDS` and one module, imported only when the command is called or its
own help is asked for. The module holds a plain function; its signature is the usage, its docstring the help,
what it returns (None counts as 0) the exit code::

    # cli/fsc.py
    def fsc(half1: Path, half2: Path, /, *, mask: Path | None = None) -> None:
        \"\"\"Fourier shell correlation of two half-maps, with one numpy-style entry per parameter.\"\"\"

Arguments before ``/`` are positional, those after ``*`` are options. A job's parameter model is taken as it is:
each field becomes an option, its `Field(description=...)` (with the unit) the help; the fields that the model
names in `positional` are given by position instead. Where every field has a default, the argument needs one too
(``= ToyParameters()``)::

    # cli/toy.py
    def toy(
        parameters: Annotated[ToyParameters, Parameter(name="*")],
        *,
        output: Annotated[Path, Parameter(alias="-o")],
        json: bool = False,
    ) -> int:
        return run_in_terminal(lambda commands: run_job(TOY, parameters, output, commands=commands), json=json)

Errors for the user are raised as `BlushError`; a command prints no error itself.
"""

from __future__ import annotations

import difflib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import NamedTuple

import cyclopts
from cyclopts.exceptions import MissingArgumentError, UnknownCommandError, UnusedCliTokensError
from pydantic import ValidationError

from blushcore.cli.exit_codes import DONE, FAILED, STOPPED, USAGE
from blushcore.protocol import BlushError, Stopped, UsageError, explain_validation_error


class Entry(NamedTuple):
    """A command: where its function is (``module:function``) and what it does, in one line."""

    target: str
    help: str


COMMANDS: dict[str, Entry] = {
    "classify": Entry("blushcore.cli.classify:classify", "Sort particles into classes in 3D."),
    "denoise": Entry("blushcore.cli.denoise:denoise", "Denoise a map, or two half-maps."),
    "finetune": Entry(
        "blushcore.cli.finetune:finetune", "Adapt the denoiser's weights to two half-maps of one data set."
    ),
    "fsc": Entry("blushcore.cli.fsc:fsc", "Say up to where two half-maps agree: FSC and resolution."),
    "local-resolution": Entry(
        "blushcore.cli.local_resolution:local_resolution",
        "Measure the resolution of two half-maps from place to place.",
    ),
    "mask": Entry("blushcore.cli.mask:mask", "Make a soft mask of a map from a threshold."),
    "refine": Entry("blushcore.cli.refine:refine", "Refine particles against a reference in 3D."),
    "resume": Entry("blushcore.cli.resume:resume", "Go on with a run from where it stopped."),
    "watch": Entry("blushcore.cli.watch:watch", "Watch a run until it ends."),
    "report": Entry("blushcore.cli.report:report", "Write a report of a run as one HTML file."),
    "recipe": Entry("blushcore.cli.recipe:recipe", "Try a whole case on simulated images, up to its report."),
    "select": Entry("blushcore.cli.select:select", "Take the particles of some classes."),
    "simulate": Entry("blushcore.cli.simulate:simulate", "Simulate half-maps or particles of an atomic model."),
    "train": Entry("blushcore.cli.train:train", "Train the denoiser on simulated half-maps."),
    "validate": Entry("blushcore.cli.validate:validate", "Test whether a denoiser keeps to two half-maps."),
    "weights": Entry("blushcore.cli.weights:app", "List network weights, or import the published ones."),
    "picture": Entry("blushcore.cli.pictures:picture", "Draw slices of a map before and after."),
}


def build_app(commands: dict[str, Entry], called: str = "") -> cyclopts.App:
    """Return the command line with `commands`, none of which is imported yet.

    Parameters
    ----------
    commands
        By name.
    called
        The one that is called: its help is its docstring, the whole of it, and not the line of the table.
    """
    app = cyclopts.App(
        name="blush",
        help="Blush regularisation for cryo-EM maps, refinements and classifications.",
        help_epilogue="Every command: --debug shows the traceback of an error.",
        version=_version,
        exit_on_error=False,
        print_error=False,
        suppress_keyboard_interrupt=False,
        result_action="return_value",
        help_format="markdown",  # which fills lines anew: docstrings are broken for their own width
        default_parameter=cyclopts.Parameter(negative_iterable=(), negative_none=()),
    )
    for name, entry in commands.items():
        app.command(entry.target, name=name, help=None if name == called else entry.help)
    return app


def main(arguments: Sequence[str] | None = None, *, commands: dict[str, Entry] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    arguments
        What follows ``blush``; by default that of this process.
    commands
        The commands; by default `COMMANDS`.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    table = COMMANDS if commands is None else commands
    debug = _take_debug(words)
    try:
        code = build_app(table, called=words[0] if words else "")(words)
        if sys.stdout is not None:  # it is None where the caller has closed it
            sys.stdout.flush()
        return DONE if code is None else int(code)
    except cyclopts.CycloptsError as error:
        _complain(f"{_usage_problem(error, table)} See: {_help_for(error, words, table)}")
        return USAGE
    except (Stopped, KeyboardInterrupt):
        _complain("stopped")
        return STOPPED
    except BrokenPipeError:
        # Whoever read our output has enough (`blush watch RUN | head`): no failure of ours. Point stdout
        # elsewhere, or the interpreter complains while it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:
        if debug:
            traceback.print_exc()
        else:
            _complain(_problem(error))
        return USAGE if isinstance(error, UsageError) else FAILED


def _version() -> str:
    from importlib.metadata import version

    return f"blush {version('napari-blush')}"


def _take_debug(words: list[str]) -> bool:
    """Remove ``--debug`` wherever it stands before a ``--``; return whether it was there."""
    end = words.index("--") if "--" in words else len(words)
    kept = [word for word in words[:end] if word != "--debug"]
    found = len(kept) < end
    words[:end] = kept
    return found


def _problem(error: Exception) -> str:
    if isinstance(error, BlushError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        return f"{error.strerror}{where}."
    return (
        f"Unexpected {type(error).__name__}: {error}. This is a fault in blush itself; "
        "run the command again with --debug and report what it prints."
    )


def _usage_problem(error: cyclopts.CycloptsError, commands: dict[str, Entry]) -> str:
    if isinstance(error, UnknownCommandError) and error.unused_tokens and not error.command_chain:
        # cyclopts would import every command to suggest one.
        word = error.unused_tokens[0]
        near = difflib.get_close_matches(word, commands, n=1)
        return f"Unknown command {word!r}." + (f" Did you mean {near[0]!r}?" if near else "")
    if isinstance(error, MissingArgumentError) and error.argument and not error.argument.tokens:
        return f"{error.keyword} needs a value." if error.keyword else f"{_name(error.argument)} is missing."
    if isinstance(error.__cause__, ValidationError):
        names = {child.keys[-1]: _name(child) for child in error.argument.children} if error.argument else {}
        return explain_validation_error(error.__cause__, name_of=lambda field: names.get(field, field))
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        return f"Unexpected argument {error.unused_tokens[0]!r}."
    return " ".join(str(error).split())


def _name(argument: cyclopts.Argument) -> str:
    """Return what the user knows an argument by: FILE if it is given by position, else --file."""
    if argument.index is not None:
        return argument.name.lstrip("-").upper()
    return argument.name


def _help_for(error: cyclopts.CycloptsError, words: list[str], commands: dict[str, Entry]) -> str:
    # cyclopts knows the subcommand, but not always the command: of a misspelt word it knows neither.
    chain = error.command_chain or [word for word in words[:1] if word in commands]
    return " ".join(["blush", *chain, "--help"])


def _complain(text: str) -> None:
    print(f"blush: {text}", file=sys.stderr)
