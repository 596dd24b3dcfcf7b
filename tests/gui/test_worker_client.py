"""The client of the worker: partial lines, garbage, crashes; nothing is left behind."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from blushcore.interactive.messages import PROTOCOL

pytestmark = pytest.mark.gui

READY = f'{{"event": "ready", "protocol": {PROTOCOL}, "pid": 1, "threads": 1}}'


def client_of(script: str):
    from napari_blush.worker import WorkerClient

    return WorkerClient((sys.executable, "-u", "-c", f"import sys, time, os\n{script}"))


def outcomes(client) -> tuple[list, list]:
    events, deaths = [], []
    client.said.connect(events.append)
    client.died.connect(lambda *sentences: deaths.append(sentences))
    return events, deaths


def is_alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_lines_come_whole_whatever_the_pieces():
    from napari_blush.worker import LineBuffer

    buffer = LineBuffer()
    assert buffer.feed(b'{"a"') == []
    assert buffer.feed(b": 1}\n\n{") == [b'{"a": 1}']
    assert buffer.feed(b"}\nx\n") == [b"{}", b"x"]
    assert buffer.feed(b"y" * (1 << 21)) == []
    assert buffer.feed(b"rest of y\nz\n") == [b"z"]


def test_pieces_and_garbage_are_survived(qtbot):
    client = client_of(
        f"""
half = '''{READY}'''
sys.stdout.write(half[:20]); sys.stdout.flush(); time.sleep(0.2)
sys.stdout.write(half[20:] + "\\nnot a message\\n" + half + "\\n"); sys.stdout.flush()
sys.stdin.read()
"""
    )
    events, deaths = outcomes(client)
    client.start()
    qtbot.waitUntil(lambda: len(events) == 2, timeout=120_000)
    assert not deaths
    assert "not a message" in client.details
    pid, folder = client.pid, client.folder
    assert folder.is_dir()
    client.stop()
    client.stop()
    assert not is_alive(pid)
    assert not folder.exists()
    assert not client.is_running


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("sys.stderr.write('no torch here'); sys.exit(3)", "exit code 3"),
        ("os.kill(os.getpid(), 9)", "memory ran out"),
        (f"print('''{READY}'''.replace('{PROTOCOL}', '99', 1)); time.sleep(60)", "another version"),
    ],
)
def test_a_death_is_told_once_with_a_remedy(qtbot, script, words):
    client = client_of(script)
    _, deaths = outcomes(client)
    client.start()
    folder = client.folder
    qtbot.waitUntil(lambda: bool(deaths), timeout=120_000)
    qtbot.wait(50)
    [(problem, remedy)] = deaths
    assert words in problem
    assert remedy
    assert not client.is_running
    assert not folder.exists()
    if "exit code" in words:
        assert client.details == "no torch here"


def test_a_missing_program_is_told(qtbot):
    from napari_blush.worker import WorkerClient

    client = WorkerClient(("/nowhere/python",))
    _, deaths = outcomes(client)
    client.start()
    qtbot.waitUntil(lambda: bool(deaths), timeout=120_000)
    assert "/nowhere/python cannot be run" in deaths[0][0]


def test_restarting_takes_another_process(qtbot):
    client = client_of(f"print('''{READY}'''); sys.stdin.read()")
    events, deaths = outcomes(client)
    client.start()
    qtbot.waitUntil(lambda: len(events) == 1, timeout=120_000)
    first = client.pid
    os.kill(first, signal.SIGKILL)
    qtbot.waitUntil(lambda: bool(deaths), timeout=120_000)
    client.restart()
    qtbot.waitUntil(lambda: len(events) == 2, timeout=120_000)
    assert client.pid != first
    last = client.pid
    client.stop()
    assert not is_alive(last)


def test_background_delivers_the_newest_and_nothing_after_it_closed(qtbot):
    import threading

    from napari_blush.background import Background

    background = Background()
    begin, got, errors = threading.Event(), [], []
    background.run(begin.wait, lambda _: got.append("first"), errors.append)
    for number in range(3):
        background.run(lambda number=number: number, got.append, errors.append, instead_of="a name")
    background.run(lambda: 1 / 0, got.append, errors.append)
    begin.set()
    qtbot.waitUntil(lambda: bool(errors), timeout=120_000)
    assert got == ["first", 2]
    assert isinstance(errors[0], ZeroDivisionError)
    background.run(lambda: "late", got.append, errors.append)
    background.close()
    qtbot.wait(50)
    assert got == ["first", 2]
