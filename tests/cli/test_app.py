"""The `blush` command: what it answers, and that it is quick."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import pytest
from cyclopts import Parameter
from pydantic import Field

from blushcore.cli.app import COMMANDS, Entry, main
from blushcore.protocol import BlushError, Parameters, Stopped, UsageError


class SawParameters(Parameters):
    """What to saw."""

    positional = ("plank",)

    plank: Path = Field(description="The plank")
    length: float = Field(2.0, gt=0, description="Length of the pieces (Å)")
    keep_dust: bool = Field(True, description="Keep the dust")


def saw(parameters: Annotated[SawParameters, Parameter(name="*")], *, trouble: str = "") -> int | None:
    """Saw a plank.

    Parameters
    ----------
    trouble
        What goes wrong.
    """
    match trouble:
        case "blush":
            raise BlushError("The plank is of stone.", "Take one of wood.")
        case "usage":
            raise UsageError("The saw has no such tooth.", "Count them.")
        case "bug":
            raise ZeroDivisionError("a fault")
        case "file":
            Path("/nowhere/at/all").read_bytes()
        case "stopped":
            raise Stopped
        case "code":
            return 7
    print(parameters)
    return None


TABLE = {
    "saw": Entry(f"{__name__}:saw", "Saw a plank."),
    "broken": Entry("blushcore.no_such_module:x", "Never imported unless called."),
}


def blush(*words: str) -> int:
    return main(words, commands=TABLE)


def test_a_parameter_model_is_a_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert blush("saw", "oak.mrc", "--length", "3.5", "--no-keep-dust") == 0
    out = capsys.readouterr().out
    assert out == "SawParameters(plank=PosixPath('oak.mrc'), length=3.5, keep_dust=False)\n"


def test_help_shows_descriptions_units_and_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    assert blush("saw", "--help") == 0
    out = capsys.readouterr().out
    for text in (
        "PLANK",
        "--length",
        "Length of the pieces (Å)",
        "[default: 2.0]",
        "--no-keep-dust",
        "--debug",
    ):
        assert text in out


def test_without_words_the_help_is_shown_and_nothing_imported(capsys: pytest.CaptureFixture[str]) -> None:
    assert blush() == 0
    assert "Never imported unless called." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("sow",), "blush: Unknown command 'sow'. Did you mean 'saw'? See: blush --help\n"),
        (("fly",), "blush: Unknown command 'fly'. See: blush --help\n"),
        (("saw",), "blush: PLANK is missing. See: blush saw --help\n"),
        (("saw", "--length", "3"), "blush: PLANK is missing. See: blush saw --help\n"),
        (("saw", "x", "--length"), "blush: --length needs a value. See: blush saw --help\n"),
        (("saw", "x", "y"), "blush: Unexpected argument 'y'. See: blush saw --help\n"),
        (("saw", "x", "--lenght", "3"), "blush: Unknown option: --lenght. Did you mean --length?"),
        (
            ("saw", "x", "--length", "-3"),
            "blush: --length should be greater than 0 (it is '-3'). See: blush saw",
        ),
        (("saw", "x", "--length", "long"), "blush: --length should be a valid number"),
    ],
)
def test_wrong_usage_is_2_and_a_sentence(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], sentence: str
) -> None:
    assert blush(*words) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(sentence)
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@pytest.mark.parametrize(
    ("trouble", "code", "sentence"),
    [
        ("blush", 1, "blush: The plank is of stone. Take one of wood.\n"),
        ("usage", 2, "blush: The saw has no such tooth. Count them.\n"),
        ("bug", 1, "blush: Unexpected ZeroDivisionError: a fault. This is a fault in blush itself;"),
        ("file", 1, "blush: No such file or directory: /nowhere/at/all.\n"),
        ("stopped", 130, "blush: stopped\n"),
        ("code", 7, ""),
    ],
)
def test_a_failure_is_one_sentence_without_a_traceback(
    capsys: pytest.CaptureFixture[str], trouble: str, code: int, sentence: str
) -> None:
    assert blush("saw", "x", "--trouble", trouble) == code
    err = capsys.readouterr().err
    assert err.startswith(sentence)
    assert "Traceback" not in err
    assert err.count("\n") <= 1


@pytest.mark.parametrize("position", [0, 1, 4])
def test_debug_shows_the_traceback_wherever_it_stands(
    capsys: pytest.CaptureFixture[str], position: int
) -> None:
    words = ["saw", "x", "--trouble", "blush"]
    words.insert(position, "--debug")
    assert blush(*words) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.rstrip().endswith("BlushError: The plank is of stone. Take one of wood.")


def test_after_two_dashes_debug_is_a_word_like_others(capsys: pytest.CaptureFixture[str]) -> None:
    assert blush("saw", "--", "--debug") == 0
    assert "PosixPath('--debug')" in capsys.readouterr().out


def test_every_command_of_the_table_exists_and_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    for name in COMMANDS:
        assert main([name, "--help"]) == 0
        assert f"Usage: blush {name}" in capsys.readouterr().out


def test_the_help_of_a_command_is_its_whole_docstring(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["mask", "--help"]) == 0
    out = capsys.readouterr().out
    assert "The same mask as that of relion_mask_create, with lengths in Å." in out
    # which stands on two lines in the source
    assert "the value that best splits particle and solvent (Otsu 1979), which is told" in out
    assert main(["weights", "import", "--help"]) == 0
    assert "code stored in such a file is never executed. Without FILE," in capsys.readouterr().out


def run_program(*words: str, code: str = "") -> subprocess.CompletedProcess[str]:
    start = ["-c", code] if code else ["-m", "blushcore.cli", *words]
    return subprocess.run([sys.executable, *start], capture_output=True, text=True, timeout=60)


def test_the_program_answers() -> None:
    version = run_program("--version")
    assert version.returncode == 0
    assert version.stdout.startswith("blush ")
    assert run_program("nonsense").returncode == 2
    failed = run_program("watch", "/nowhere")
    assert failed.returncode == 1
    assert failed.stderr == (
        "blush: /nowhere is not a run directory: there is no such folder. "
        "Give the folder that was named as -o when the run was started.\n"
    )


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from blushcore.cli import main; main(['--help']);"
        "heavy = {'torch', 'scipy', 'matplotlib', 'numpy', 'mrcfile', 'gemmi', 'qtpy', 'napari'};"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    result = run_program(code=code)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("command", ["resume", "watch", "denoise", "simulate", "train", "finetune"])
def test_help_and_runs_need_no_torch(command: str) -> None:
    code = (
        f"import sys; from blushcore.cli import main; main(['{command}', '--help']); import blushcore.runs;"
        "sys.exit('torch' if 'torch' in sys.modules else 0)"
    )
    result = run_program(code=code)
    assert result.returncode == 0, result.stderr


def test_a_reader_who_has_enough_is_no_failure() -> None:
    code = (
        "import sys, types; from blushcore.cli.app import main, Entry\n"
        "def talk():\n    for i in range(100000): print('a line of talk', i)\n"
        "sys.modules['talker'] = types.SimpleNamespace(talk=talk)\n"
        "sys.exit(main(['talk'], commands={'talk': Entry('talker:talk', '')}))"
    )
    result = subprocess.run(
        ["sh", "-c", '"$0" -c "$1" | head -n 1; exit', sys.executable, code],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.stdout == "a line of talk 0\n"
    assert result.stderr == ""


def test_what_a_command_returns_is_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr("sys.argv", ["blush", "saw", "x", "--trouble", "code"])
    seen.append(main(commands=TABLE))
    assert seen == [7]
