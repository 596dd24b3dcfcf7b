"""The panel of a run in a real viewer, and ``napari RUN_DIR``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from blushcore.protocol import BlushError

pytestmark = [pytest.mark.gui, pytest.mark.usefixtures("no_log_errors")]


def docked(qtbot: Any, viewer: Any, directory: Path) -> Any:
    from napari_blush.live import LiveView

    view = LiveView(viewer, directory)
    viewer.window.add_dock_widget(view, area="right")
    return view


def test_a_run_arrives_in_panel_and_plots(
    qtbot: Any, make_viewer: Callable[..., Any], recorded: Path, tmp_path: Path
) -> None:
    from replay import Replay

    viewer = make_viewer(show=True)
    with Replay(recorded, tmp_path / "live") as replay:
        view = docked(qtbot, viewer, replay.run.path)
        qtbot.waitUntil(lambda: view.card.title.text().startswith("Running · live"))
        for iteration in (0, 1, 2):
            replay.play_iteration()
            qtbot.waitUntil(lambda iteration=iteration: view.layers.shown == iteration, timeout=120_000)
        assert view.slider.label.text() == "2 of 2"
        assert view.modes["split"].isChecked()
        assert view.layers.split is not None
        qtbot.waitUntil(lambda: view.fsc.iteration == 2)
        assert view.progress._history == []  # drawn when it is looked at
        view.tabs.show_plot(view.progress)
        assert [one["iteration"] for one in view.progress._history] == [1, 2]
        view.tabs.show_plot(view.angles)
        qtbot.waitUntil(lambda: view.angles.counts is not None, timeout=120_000)
        assert view.angles.counts.images == 200
        replay.step()
        words = "Iteration 3: comparing images: 50 of 100 images · 1 s left"
        qtbot.waitUntil(lambda: view.card.text.text() == words)
        assert (view.card.bar.isVisible(), view.card.bar.value(), view.card.bar.maximum()) == (True, 50, 100)

        view.slider.slider.setValue(1)
        qtbot.waitUntil(lambda: view.layers.shown == 1, timeout=120_000)
        assert not view.slider.following
        view.tabs.show_plot(view.fsc)
        assert view.fsc.iteration == 1
        replay.write_raw(b"torn\n")
        qtbot.waitUntil(lambda: view.card.problems.isVisible())
        assert "is left out" in view.card.problems.text()
        replay.play()
    qtbot.waitUntil(lambda: view.card.title.text().startswith("Finished"))
    assert view.slider.label.text() == "1 of 3"  # what somebody looks at stays
    view.slider.newest.click()
    qtbot.waitUntil(lambda: view.layers.shown == 3, timeout=120_000)
    assert not view.modes["split"].isEnabled()  # the final map has none before the prior
    assert view.modes["single"].isChecked()
    assert view.card.text.text().startswith("3 iterations")
    assert view.card.problems.text() == "This run was made up. (and 1 before)"  # the job's own warning
    assert "is left out" in view.card.problems.toolTip()
    view.close()


def test_two_hundred_updates_leave_neither_memory_nor_widgets(
    qtbot: Any, make_viewer: Callable[..., Any], recorded: Path, tmp_path: Path
) -> None:
    import gc
    import tracemalloc

    import psutil
    from qtpy.QtWidgets import QApplication
    from replay import Replay

    process = psutil.Process()
    viewer = make_viewer(show=True)
    with Replay(recorded, tmp_path / "live") as replay:
        view = docked(qtbot, viewer, replay.run.path)
        replay.play_iteration()
        record = replay.play_iteration()
        qtbot.waitUntil(lambda: view.layers.shown == 1, timeout=120_000)
        drawn: list[int] = []
        view.layers.changed.connect(lambda: drawn.append(view.layers.shown))

        def update(iteration: int) -> None:
            replay.again(record, iteration)
            qtbot.waitUntil(lambda: view.run.summary.iteration == iteration, timeout=120_000)

        def held() -> tuple[int, int, int]:
            gc.collect()
            return tracemalloc.get_traced_memory()[0], process.memory_info().rss, len(QApplication.allWidgets())

        for iteration in range(2, 52):
            update(iteration)
        tracemalloc.start()
        try:
            python, resident, widgets = held()
            for iteration in range(52, 202):
                update(iteration)
            qtbot.waitUntil(lambda: view.layers.shown == 201, timeout=120_000)
            python_after, resident_after, widgets_after = held()
        finally:
            tracemalloc.stop()
        assert view.fsc.iteration == 201
        assert len(drawn) > 50
        assert widgets_after == widgets
        # A map of 24³ voxels is 55 kB; of 150 iterations only their figures stay.
        assert python_after - python < 4e6
        assert resident_after - resident < 40e6
    view.close()


def test_what_is_said_of_a_run_that_is_in_trouble(tmp_path: Path) -> None:
    from blushcore.protocol import Failed
    from blushcore.runs import Record
    from napari_blush.live.status import RunStatus
    from napari_blush.live.words import standing

    failed = Record(event=Failed(problem="The disk is full.", remedy="Free some."), attempt=1, seq=3, time=0.0)
    said = standing(RunStatus(tmp_path, life="failed", ending=failed))
    assert (said.tone, said.text) == ("bad", "The disk is full. Free some.")
    assert "resumed" in standing(RunStatus(tmp_path, life="dead")).text
    assert standing(RunStatus(tmp_path, life="running", paused=True)).title == "Paused"
    assert standing(RunStatus(tmp_path, life="unreachable")).tone == "ask"


@pytest.mark.parametrize("name", ["", "events.jsonl"])
def test_a_run_directory_is_opened_by_napari(
    qtbot: Any, make_viewer: Callable[..., Any], recorded: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from napari_blush.live import opening

    path = recorded / name
    monkeypatch.setattr(opening, "refine_widget", lambda _: None)
    viewer = make_viewer(show=True)
    viewer.open(str(path), plugin="napari-blush")
    [dock] = [dock for name, dock in viewer.window.dock_widgets.items() if name == "Run run"]
    qtbot.waitUntil(lambda: dock.layers.shown == 3, timeout=120_000)
    assert [layer.name for layer in viewer.layers] == ["run half 1", "run half 2", "run map", "run mask"]
    dock.close()


def test_other_folders_are_not_ours(tmp_path: Path, recorded: Path) -> None:
    from napari_blush.live.opening import read_run_directory, run_reader

    assert run_reader(str(tmp_path)) is None
    assert run_reader(str(recorded / "params.json")) is None
    assert run_reader([str(recorded)]) is read_run_directory
    assert run_reader(str(tmp_path / "events.jsonl")) is None
    with pytest.raises(BlushError, match="one run directory"):
        read_run_directory([str(recorded), str(recorded)])
