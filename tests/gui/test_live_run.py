"""A run directory as Qt signals: in order, each once, whatever the disk does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from blushcore.protocol import BlushError

pytestmark = pytest.mark.gui


class Heard:
    """What a live run has told."""

    def __init__(self, run: Any) -> None:
        self.records: list[Any] = []
        self.iterations: list[int] = []
        self.lives: list[str] = []
        self.problems: list[str] = []
        self.finished = 0
        run.record.connect(self.records.append)
        run.iteration.connect(lambda figures: self.iterations.append(figures["iteration"]))
        run.life_changed.connect(self.lives.append)
        run.problem.connect(self.problems.append)
        run.finished.connect(self._count)

    def _count(self) -> None:
        self.finished += 1


@pytest.fixture
def watch(qtbot: Any, qapp: Any) -> Iterator[Callable[..., tuple[Any, Heard]]]:
    from napari.components import ViewerModel

    from napari_blush.live import LiveRun

    runs = []

    def start(directory: Path) -> tuple[Any, Heard]:
        run = LiveRun(ViewerModel(), directory, poll_milliseconds=20)
        runs.append(run)
        return run, Heard(run)

    yield start
    for run in runs:
        run.close()


def test_a_finished_run_is_told_from_its_beginning(qtbot: Any, watch: Any, recorded: Path) -> None:
    run, heard = watch(recorded)
    qtbot.waitUntil(lambda: heard.finished == 1)
    assert [record.seq for record in heard.records] == list(range(len(heard.records)))
    assert heard.records[0].event.kind == "started"
    assert heard.records[-1].event.kind == "finished"
    assert heard.iterations == [0, 1, 2, 3]
    assert heard.lives == ["finished"]
    status = run.summary
    assert (status.job, status.device, status.iteration, status.has_ended) == ("refine", "cpu", 3, True)
    assert status.figures["resolution_angstrom"] == pytest.approx(48 / (0.8 * 12 + 1))
    assert status.parameters["diameter"] == 24.0
    assert status.warnings == ("This run was made up.",)
    assert [figures["iteration"] for figures in run.history] == [0, 1, 2, 3]
    assert [record.event.kind for record in status.records_of(3)] == ["iteration_done", "finished"]
    assert len(status.records_of(2)) == 1


def test_a_live_run_tells_its_stage_and_takes_commands(
    qtbot: Any, watch: Any, recorded: Path, tmp_path: Path
) -> None:
    from replay import Replay

    with Replay(recorded, tmp_path / "live") as replay:
        run, heard = watch(replay.run.path)
        qtbot.waitUntil(lambda: heard.lives == ["running"])
        replay.play_iteration()
        replay.step()
        qtbot.waitUntil(lambda: run.summary.done == 50)
        status = run.summary
        assert (status.stage, status.total, status.eta_seconds) == ("iteration 1: comparing images", 100, 1.0)
        assert heard.iterations == [0]
        command = run.send("change", max_iterations=7)
        written = json.loads((replay.run.commands / f"{command}.json").read_text())
        assert (written["action"], written["changes"]) == ("change", {"max_iterations": 7})
        with pytest.raises(BlushError, match="Unknown command"):
            run.send("dance")
        replay.play()
        qtbot.waitUntil(lambda: heard.iterations == [0, 1, 2, 3])
        assert heard.finished == 0  # its process still holds the lock
    qtbot.waitUntil(lambda: heard.finished == 1)
    assert heard.lives == ["running", "finished"]
    assert run.summary.stage == ""
    assert heard.problems == []


def test_a_corrupt_line_is_left_out_and_said(qtbot: Any, watch: Any, recorded: Path, tmp_path: Path) -> None:
    from replay import Replay

    with Replay(recorded, tmp_path / "live") as replay:
        _, heard = watch(replay.run.path)
        replay.play_iteration()
        replay.write_raw(b'{"schema": 1, "kind": "iteration_do\n')
        replay.play_iteration()
        qtbot.waitUntil(lambda: heard.iterations == [0, 1])
        qtbot.waitUntil(lambda: len(heard.problems) == 1)
        assert "Line 3" in heard.problems[0]
        assert "torn or damaged" in heard.problems[0]


def test_files_that_come_late_are_waited_for(qtbot: Any, watch: Any, recorded: Path, tmp_path: Path) -> None:
    from replay import Replay

    with Replay(recorded, tmp_path / "live") as replay:
        _, heard = watch(replay.run.path)
        replay.play_iteration()
        late = replay.play_iteration(files=False)
        replay.deliver_torn(late)
        qtbot.wait(200)
        assert heard.iterations == [0]
        replay.deliver(late)
        qtbot.waitUntil(lambda: heard.iterations == [0, 1])


def test_a_directory_that_vanishes_and_comes_back(
    qtbot: Any, watch: Any, recorded: Path, tmp_path: Path
) -> None:
    from replay import Replay

    replay = Replay(recorded, tmp_path / "live")
    run, heard = watch(replay.run.path)
    replay.play_iteration()
    qtbot.waitUntil(lambda: heard.iterations == [0])
    away = replay.run.path.rename(tmp_path / "away")
    qtbot.waitUntil(lambda: heard.lives[-1] == "unreachable")
    qtbot.wait(60)
    away.rename(replay.run.path)
    replay.play_iteration()
    qtbot.waitUntil(lambda: heard.iterations == [0, 1])
    assert run.summary.life == "dead"  # nobody held its lock
    assert len(heard.records) == len({record.seq for record in heard.records})


def test_what_a_resumed_attempt_takes_back_is_gone(
    qtbot: Any, watch: Any, recorded: Path, tmp_path: Path
) -> None:
    from dataclasses import replace

    from replay import Replay

    from blushcore.protocol import Started

    replay = Replay(recorded, tmp_path / "live")
    run, heard = watch(replay.run.path)
    for _ in range(3):
        last = replay.play_iteration()
    qtbot.waitUntil(lambda: heard.iterations == [0, 1, 2])
    again = Started(job="refine", parameters={}, device="cpu", resumed_from_iteration=1)
    replay._append(replace(last, event=again, attempt=2, sizes={}, checkpoint=None))
    qtbot.waitUntil(lambda: [figures["iteration"] for figures in run.history] == [0, 1])
    assert run.summary.attempt == 2


def test_what_holds_no_run_is_refused(watch: Any, tmp_path: Path) -> None:
    with pytest.raises(BlushError, match="not a run directory"):
        watch(tmp_path)


def test_watching_ends_with_its_thread(qtbot: Any, watch: Any, recorded: Path) -> None:
    import threading

    def watchers() -> int:
        return sum(thread.name == "blush live run" for thread in threading.enumerate())

    before = watchers()
    run, heard = watch(recorded)
    assert watchers() == before + 1
    qtbot.waitUntil(lambda: heard.finished == 1)
    run.close()
    run.close()
    assert watchers() == before
