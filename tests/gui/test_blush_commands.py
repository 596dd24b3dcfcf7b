"""The `blush` command called from the GUI: what comes back, and what goes on when nobody listens any more."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from blushcore.protocol import BlushError

pytestmark = pytest.mark.gui
PATIENCE = 120_000


@pytest.fixture
def call(qapp: Any) -> Iterator[Callable[[str], tuple[Any, list[Any]]]]:
    """Call a piece of Python in place of blush; what was told of it arrives in the list."""
    from napari_blush.commands import Commands

    made: list[Any] = []

    def begin(code: str, *words: str) -> tuple[Any, list[Any]]:
        commands, told = Commands(command=(sys.executable, "-c", code)), list[Any]()
        made.append(commands)
        commands.run(words, lambda said: told.append(said), told.append)
        assert told == []  # never before `run` has returned
        return commands, told

    yield begin
    for commands in made:
        commands.close()
        commands.close()
        assert not commands._timer.isActive()


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("print('a result'); import sys; print('noise', file=sys.stderr)", "a result"),
        ("import sys; sys.stderr.write('noise\\nblush: No room. Make it.'); sys.exit(1)", "No room. Make it."),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "memory ran out. Close other programs"),
        ("raise ValueError('odd')", "failed (exit code 1): ValueError: odd. Try it in a terminal."),
    ],
)  # fmt: skip
def test_a_result_or_a_sentence_comes_back(call: Any, qtbot: Any, code: str, says: str) -> None:
    commands, told = call(code)
    qtbot.waitUntil(lambda: bool(told), timeout=PATIENCE)
    assert says in str(told[0])
    assert isinstance(told[0], str) == (says == "a result")
    assert not commands._timer.isActive()


def test_a_program_that_is_not_there_is_said_at_once(qapp: Any) -> None:
    from napari_blush.commands import Commands

    with pytest.raises(BlushError, match="could not be started: No such file"):
        Commands(command=("/no/such/program",)).run((), lambda _: None, lambda _: None)


def test_what_was_asked_for_is_done_after_the_end_too(call: Any, qtbot: Any, tmp_path: Path) -> None:
    code = """
import sys, time, pathlib
while not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.02)
print("more than a pipe that nobody reads would take " * 4000)
pathlib.Path(sys.argv[2]).touch()
"""
    go, done = tmp_path / "go", tmp_path / "done"
    commands, told = call(code, str(go), str(done))
    commands.close()
    go.touch()
    qtbot.waitUntil(done.exists, timeout=PATIENCE)
    qtbot.wait(200)
    assert told == []
