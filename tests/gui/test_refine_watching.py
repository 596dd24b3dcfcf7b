"""The dock *Refine* on runs that are played to it: stages, heartbeat, mishaps, and two viewers on one run."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from docks import put_beside

from blushcore.protocol import BlushError

pytestmark = pytest.mark.gui
PATIENCE = 600_000


@pytest.fixture
def open_widget(
    make_viewer: Callable[..., Any], tmp_path: Path, data_folder: Path, qapp: Any
) -> Iterator[Callable[[], Any]]:
    from worker_stand_ins import SilentWorker

    from napari_blush.refine.widget import RefineWidget

    made: list[Any] = []

    def open_one() -> Any:
        viewer = make_viewer()
        widget = RefineWidget(viewer, SilentWorker(tmp_path / f"arrays{len(made)}"))
        put_beside(viewer, widget, "Refine")
        made.append(widget)
        return widget

    yield open_one
    for widget in made:
        widget.shut_down()


def test_stage_heartbeat_and_mishaps_are_said(
    open_widget: Any, recorded: Path, tmp_path: Path, qtbot: Any
) -> None:
    from replay import Replay

    widget = open_widget()
    text, facts = widget.card.text, widget.card.facts
    directory = tmp_path / "live"
    with Replay(recorded, directory) as replay:
        widget.attach(directory)
        qtbot.waitUntil(lambda: widget.state == "running", timeout=PATIENCE)
        replay.play_iteration()
        view = widget.view
        qtbot.waitUntil(lambda: view.layers.shown == 0, timeout=PATIENCE)
        replay.step()  # the time that is left is the worker's own figure
        words = "Iteration 1: comparing images: 50 of 100 images · 1 s left in this step"
        qtbot.waitUntil(lambda: text.text() == words, timeout=PATIENCE)
        assert (widget.card.bar.value(), widget.card.bar.maximum()) == (50, 100)
        qtbot.waitUntil(lambda: " s ago" in facts.text(), timeout=PATIENCE)
        assert "live · cpu · heartbeat " in facts.text()

        replay.step()
        late = replay.play_iteration(files=False)  # its line is there, its files are not
        replay.deliver_torn(late)
        qtbot.wait(300)
        assert view.run.summary.iteration == view.layers.shown == 0
        replay.deliver(late)
        qtbot.waitUntil(lambda: view.layers.shown == 1, timeout=PATIENCE)

        replay.write_raw(b'{"torn": \n')
        qtbot.waitUntil(lambda: not view.card.problems.isHidden(), timeout=PATIENCE)
        assert "is left out" in view.card.problems.text()

        directory.rename(tmp_path / "elsewhere")
        qtbot.waitUntil(lambda: widget.state == "unreachable", timeout=PATIENCE)
        assert widget.card.title.text() == "Out of reach"
        (tmp_path / "elsewhere").rename(directory)
        qtbot.waitUntil(lambda: widget.state == "running", timeout=PATIENCE)
        replay.play_iteration()
        qtbot.waitUntil(lambda: view.layers.shown == 2, timeout=PATIENCE)
    qtbot.waitUntil(lambda: widget.state == "dead", timeout=PATIENCE)  # its heart stopped without an end
    assert "killed, out of memory, its disk full, or the machine went down" in text.text()
    assert "up to iteration 2 is kept" in text.text()
    assert not widget.card.buttons["resume"].isHidden()


def test_a_run_that_was_moved_is_watched_where_it_went(
    open_widget: Any, recorded: Path, tmp_path: Path, qtbot: Any
) -> None:
    widget = open_widget()
    shutil.copytree(recorded, tmp_path / "here")
    widget.attach(tmp_path / "here")
    qtbot.waitUntil(lambda: widget.state == "finished", timeout=PATIENCE)
    assert widget.view.card.problems.text() == "This run was made up."
    assert not widget.view.card.problems.isHidden()
    (tmp_path / "here").rename(tmp_path / "there")
    qtbot.waitUntil(lambda: widget.state == "unreachable", timeout=PATIENCE)
    widget.take_files([tmp_path / "there"])
    qtbot.waitUntil(lambda: widget.state == "finished" and widget.view.layers.shown == 3, timeout=PATIENCE)
    assert widget.view.run.directory == tmp_path / "there"


def test_the_view_of_the_run_before_is_gone_at_once(open_widget: Any, recorded: Path, tmp_path: Path) -> None:
    widget = open_widget()
    for name in ("first", "second"):
        shutil.copytree(recorded, tmp_path / name)
    widget.attach(tmp_path / "first")
    before = widget.view
    assert not before.isHidden()
    widget.attach(tmp_path / "second")
    assert before.isHidden()
    assert not widget.view.isHidden()


def test_a_run_can_be_left_whatever_it_does(
    open_widget: Any, recorded: Path, tmp_path: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qtpy.QtWidgets import QFileDialog
    from replay import Replay

    widget = open_widget()
    other = shutil.copytree(recorded, tmp_path / "other")
    with Replay(recorded, tmp_path / "live") as replay:
        replay.play_iteration()
        widget.attach(replay.run.path)
        assert widget.state == "looking"  # not "waiting", with a button to resume it
        assert widget.card.buttons["resume"].isHidden()
        qtbot.waitUntil(lambda: widget.state == "running", timeout=PATIENCE)
        assert not widget.card.buttons["set_up"].isHidden()
        assert widget._held.isHidden()
        widget.pages["set_up"].click()  # from where no run can be begun now
        assert widget.run_section.isHidden()
        assert "New run" in widget._held.text()
        assert not widget._held.isHidden()
        monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(other))
        widget.card.buttons["other"].click()
        qtbot.waitUntil(lambda: widget.state == "finished", timeout=PATIENCE)
        assert widget.view.run.directory == other


def test_a_running_run_is_found_again_though_another_was_watched_last(
    open_widget: Any, recorded: Path, tmp_path: Path, qtbot: Any
) -> None:
    from replay import Replay

    first = open_widget()
    finished = shutil.copytree(recorded, tmp_path / "finished")
    with Replay(recorded, tmp_path / "live") as replay:
        replay.play_iteration()
        for directory in (replay.run.path, finished):
            first.attach(directory)
        first.shut_down()
        second = open_widget()
        qtbot.waitUntil(lambda: second.view is not None, timeout=PATIENCE)
        assert second.view.run.directory == replay.run.path


def test_a_training_is_watched_elsewhere(open_widget: Any, tmp_path: Path) -> None:
    from recorded_training import recorded_training

    widget = open_widget()
    with pytest.raises(BlushError, match="Fine-tune weights"):
        widget.attach(recorded_training(tmp_path / "training", reports=1))
    assert widget.view is None


def test_two_viewers_watch_one_run(open_widget: Any, recorded: Path, tmp_path: Path, qtbot: Any) -> None:
    from replay import Replay

    one, other = open_widget(), open_widget()
    with Replay(recorded, tmp_path / "live") as replay:
        for widget in (one, other):
            widget.attach(replay.run.path)
        replay.play_iteration()
        replay.play_iteration()
        for widget in (one, other):
            qtbot.waitUntil(lambda widget=widget: widget.view.layers.shown == 1, timeout=PATIENCE)
        one.card.buttons["pause"].click()
        qtbot.waitUntil(lambda: len(list(replay.run.commands.glob("*.json"))) == 1, timeout=PATIENCE)
        assert {widget.state for widget in (one, other)} == {"running"}  # until the run has said so
        one.shut_down()
        replay.play_iteration()
        qtbot.waitUntil(lambda: other.view.layers.shown == 2, timeout=PATIENCE)


def test_words_of_runs_that_ended() -> None:
    from blushcore.protocol import Failed, Finished
    from blushcore.runs import Record
    from napari_blush.live.status import RunStatus
    from napari_blush.refine.states import State, words_of_run

    def words(event: Any, state: State) -> Any:
        ending = Record(event=event, attempt=1, seq=9, time=0.0)
        return words_of_run(state, RunStatus(Path("run"), life=str(state), ending=ending))

    full = Failed(problem="There is no space left for run_it003_data.star.", remedy="Free some, and resume.")
    said = words(full, State.FAILED)
    assert (said.tone, said.title, said.text) == ("bad", full.problem, full.remedy)
    done = Finished(figures={"resolution_angstrom": 4.5, "iterations": 1, "seconds_in_all": 90.0})
    assert words(done, State.FINISHED).text.startswith(
        "4.50 Å (FSC of the halves 0.143, no mask) after 1 iteration, "
    )
    classes = {"resolution_angstrom": 7.0, "iterations": 25, "class_distribution": [0.5, 0.5]}
    assert words(Finished(figures=classes), State.FINISHED).text == (
        "7.00 Å (SSNR 1 in the best class) after 25 iterations."
    )
    nothing = {"resolution_angstrom": None, "iterations": 2}
    assert words(Finished(figures=nothing), State.FINISHED).text == "It is done after 2 iterations."
