"""Disks that are full, read-only or not what they seem: a plain sentence, and nothing whole is lost."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from toy_job import TOY, ToyParameters

from blushcore.protocol import BlushError, Control, Finished, Progress
from blushcore.runs import Recorder, create_run, run_job
from blushcore.runs.files import TEMPORARY_PREFIX, write_bytes_whole, write_whole
from blushcore.runs.layout import read_description

HERE = Path(__file__).parent


@cache
def namespace() -> tuple[str, ...] | None:
    """How to get a mount namespace of one's own: as root, or as a user where the system allows it."""
    for words in (("unshare", "--mount"), ("unshare", "--mount", "--map-root-user")):
        if shutil.which("unshare") is None:
            return None
        probe = ["sh", "-c", 'd=$(mktemp -d) && mount -t tmpfs tmpfs "$d" && umount "$d" && rmdir "$d"']
        if subprocess.run([*words, *probe], capture_output=True).returncode == 0:
            return words
    return None


def disk_trouble(scenario: str, folder: Path) -> dict[str, Any]:
    words = namespace()
    if words is None:
        pytest.skip("this system lets us mount no disk of our own (unshare --mount)")
    program = [*words, sys.executable, str(HERE / "disk_troubles.py"), scenario, str(folder)]
    result = subprocess.run(program, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    seen: dict[str, Any] = json.loads(result.stdout)
    return seen


def test_a_disk_that_fills_up_fails_the_run_in_a_sentence_and_it_resumes(tmp_path: Path) -> None:
    seen = disk_trouble("full", tmp_path)
    assert "The disk is full" in seen["error"]
    assert "Free some space and start it again, a run with blush resume" in seen["error"]
    assert seen["kinds"] == seen["recorded"]
    assert seen["recorded"][-1] == "failed"
    assert seen["life"] == "failed"
    assert seen["leftovers"] == []
    assert seen["problems"] == []
    done_when_resumed, done = seen["resumed_from"]
    assert done_when_resumed == done > 0
    assert seen["error_resumed"] == ""
    assert seen["outcome"] == "done"
    for event in TOY.run(ToyParameters(walk="full", size=10_000, iterations=8), Control(), None):
        if isinstance(event, Finished):
            assert seen["figure"] == event.figures["distance"]


def test_a_disk_without_room_for_a_line_gives_the_sentence_and_resumes(tmp_path: Path) -> None:
    seen = disk_trouble("brimful", tmp_path)
    assert "The disk is full" in seen["error"]
    assert seen["kinds"] == ["failed"]
    assert len(seen["problems"]) <= 1  # a line that was cut off by the full disk, never merged
    assert seen["last"] == ["finished"]
    assert seen["iterations"] == 200


def test_a_read_only_disk_is_refused_in_a_sentence_and_can_be_read(tmp_path: Path) -> None:
    seen = disk_trouble("read_only", tmp_path)
    for where in ("new", "inside", "resume", "file"):
        assert "could not be written: Read-only file system" in seen[where], where
    assert seen["read"] == [4, "stopped"]


def test_a_folder_below_a_file_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BlushError, match=r"file/run could not be written: Not a directory"):
        list(run_job(TOY, ToyParameters(walk="x"), tmp_path / "file" / "run"))


def test_what_was_there_survives_a_failed_write(tmp_path: Path) -> None:
    path = tmp_path / "map.mrc"
    write_bytes_whole(path, b"old")

    def fail(temporary: Path) -> None:
        assert temporary.suffix == ".mrc"
        assert temporary.parent == tmp_path
        temporary.write_bytes(b"half")
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    with pytest.raises(BlushError, match="your quota is used up"):
        write_whole(path, fail)
    assert path.read_bytes() == b"old"
    assert not list(tmp_path.glob(f"{TEMPORARY_PREFIX}*"))


def test_sentences_name_the_file_as_it_is_going_to_be_called(tmp_path: Path) -> None:
    def refuse(temporary: Path) -> None:
        raise BlushError(f"{temporary} was not written: no.", "Do something else.")

    with pytest.raises(BlushError) as caught:
        write_whole(tmp_path / "map.mrc", refuse)
    assert str(caught.value) == f"{tmp_path / 'map.mrc'} was not written: no. Do something else."

    def fill(temporary: Path) -> None:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            raise BlushError(f"The disk is full: {temporary} could not be written.") from error

    with pytest.raises(
        BlushError, match=r"The disk is full \(or your quota is used up\): \S+/map.mrc could not"
    ):
        write_whole(tmp_path / "map.mrc", fill)


def test_a_flush_that_failed_unseen_is_tried_again_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = create_run(tmp_path / "run", "toy", ToyParameters(walk="x"))

    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with Recorder(run, read_description(run), attempt=1, seq=0) as recorder:
        recorder.record(Progress(stage="walk", done=0, total=9))
        monkeypatch.setattr(os, "fsync", fail)
        for _ in range(2):  # the first may be the heartbeat's, which has nobody to tell
            with pytest.raises(OSError, match="No space left"):
                recorder.flush()


def test_an_error_of_the_writer_passes_and_leaves_nothing(tmp_path: Path) -> None:
    def fail(temporary: Path) -> None:
        temporary.write_bytes(b"half")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_whole(tmp_path / "x", fail)
    assert list(tmp_path.iterdir()) == []
