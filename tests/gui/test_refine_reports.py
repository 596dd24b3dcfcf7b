"""*Report…* on the card of the dock *Refine*: the report of `blush report`, beside whatever else goes on."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from docks import let_go, put_beside

pytestmark = pytest.mark.gui
PATIENCE = 600_000
STAND_IN = """
import sys, time, pathlib
go, words = pathlib.Path(sys.argv[1]), sys.argv[2:]
while not go.exists(): time.sleep(0.02)
pathlib.Path(words[words.index("-o") + 1]).write_text(" ".join(words[:2]))
"""


@pytest.fixture
def open_widget(make_viewer: Callable[..., Any], tmp_path: Path, data_folder: Path) -> Iterator[Any]:
    from worker_stand_ins import SilentWorker

    from napari_blush.refine.widget import RefineWidget

    made: list[Any] = []

    def open_one() -> Any:
        widget = RefineWidget(make_viewer(), SilentWorker(tmp_path / "arrays"))
        put_beside(widget._viewer, widget, "Refine")
        widget.opened = []
        widget.watching.reports.open_file = lambda path: not widget.opened.append(path)
        made.append(widget)
        return widget

    yield open_one
    for widget in made:
        widget.shut_down()


@pytest.fixture
def run(recorded: Path, tmp_path: Path) -> Path:
    return shutil.copytree(recorded, tmp_path / "refine_001")


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The answer when a file name is asked for; after that, what was proposed."""
    from qtpy.QtWidgets import QFileDialog

    answers: list[str] = []

    def answer(_: Any, title: str, proposed: str, kinds: str) -> tuple[str, str]:
        answers.append(proposed)
        return answers.pop(0), kinds

    monkeypatch.setattr(QFileDialog, "getSaveFileName", answer)
    return answers


def watch(widget: Any, run: Path, qtbot: Any) -> None:
    widget.attach(run)
    qtbot.waitUntil(lambda: widget.state == "finished", timeout=PATIENCE)


def slowly(widget: Any, tmp_path: Path) -> Path:
    """Let a stand-in write the reports, once the file that is returned is there."""
    widget._commands._command = (sys.executable, "-c", STAND_IN, str(tmp_path / "go"))
    return tmp_path / "go"


def test_a_report_is_written_once_at_a_double_click_and_opened(
    open_widget: Any, run: Path, names: list[str], tmp_path: Path, qtbot: Any
) -> None:
    widget = open_widget()
    watch(widget, run, qtbot)
    button, path = widget.card.buttons["report"], tmp_path / "mine.html"
    names.append(str(tmp_path / "mine"))  # no ending was typed
    button.click()
    assert names == [str(run / "report.html")]  # what was proposed
    button.click()  # again, before the first is there
    widget.watching.reports.ask(run, widget)
    assert (len(names), len(widget._commands._calls)) == (1, 1)
    assert widget.card.report.text() == "Writing the report …"
    qtbot.waitUntil(lambda: not widget.card.report.note.is_busy, timeout=PATIENCE)
    assert widget.card.report.text() == "The report is in mine.html."
    assert widget.card.report.toolTip() == str(path)
    assert widget.opened == [path]
    page = path.read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "<h1>Refine: refine_001</h1>" in page
    assert button.isEnabled()

    names[:] = [str(tmp_path / "mine")]  # nobody was asked whether mine.html may be replaced
    button.click()
    assert "mine.html exists already." in widget.card.report.text()
    assert (widget._commands._calls, path.read_text()) == ([], page)


def test_what_cannot_be_written_is_said_and_nothing_is_left(
    open_widget: Any, run: Path, tmp_path: Path, qtbot: Any
) -> None:
    widget = open_widget()
    watch(widget, run, qtbot)
    write, line = widget.watching.reports.write, widget.card.report

    def said() -> str:
        qtbot.waitUntil(lambda: not line.note.is_busy, timeout=PATIENCE)
        return str(line.note.text)

    write(run, tmp_path / "away" / "report.html")
    assert said().startswith(f"No report was written. The folder {tmp_path / 'away'} does not exist.")
    assert line.objectName() == "blushError"
    before = sorted(tmp_path.iterdir())
    run.rename(tmp_path / "moved")
    write(run, tmp_path / "report.html")
    assert "refine_001" in said()
    assert line.note.tone == "bad"
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in before} - {"refine_001"} | {
        "moved"
    }
    assert widget.opened == []


def test_the_report_of_a_run_that_was_left_is_told_in_a_notice(
    open_widget: Any, run: Path, recorded: Path, tmp_path: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    widget = open_widget()
    notices: list[str] = []
    widget.watching._say = notices.append
    go = slowly(widget, tmp_path)
    watch(widget, run, qtbot)
    widget.watching.reports.write(run, tmp_path / "one.html")
    watch(widget, shutil.copytree(recorded, tmp_path / "refine_002"), qtbot)
    assert widget.card.report.isHidden()  # nothing to be said of this one
    assert widget.card.buttons["report"].isEnabled()
    widget.card.buttons["set_up"].click()
    go.touch()
    qtbot.waitUntil(lambda: bool(notices), timeout=PATIENCE)
    assert notices == ["refine_001: The report is in one.html."]
    assert widget.opened == [tmp_path / "one.html"]
    assert widget.card.report.isHidden()
    watch(widget, run, qtbot)
    assert widget.card.report.text() == "The report is in one.html."


def test_a_dock_that_is_closed_leaves_the_report_to_be_written(
    open_widget: Any, run: Path, tmp_path: Path, qtbot: Any
) -> None:
    widget = open_widget()
    go, opened = slowly(widget, tmp_path), widget.opened
    watch(widget, run, qtbot)
    widget.watching.reports.write(run, tmp_path / "late.html")
    viewer = widget._viewer
    let_go(viewer, widget)
    go.touch()
    qtbot.waitUntil(lambda: (tmp_path / "late.html").exists(), timeout=PATIENCE)
    qtbot.wait(200)
    assert opened == []


def test_a_run_that_goes_on_has_a_report_and_one_that_is_away_has_none(
    open_widget: Any, recorded: Path, tmp_path: Path, qtbot: Any
) -> None:
    from replay import Replay

    widget = open_widget()
    button = widget.card.buttons["report"]
    assert button.isHidden()
    with Replay(recorded, tmp_path / "live") as replay:
        replay.play_iteration()
        widget.attach(tmp_path / "live")
        qtbot.waitUntil(lambda: widget.state == "running", timeout=PATIENCE)
        assert not button.isHidden()
        (tmp_path / "live").rename(tmp_path / "elsewhere")
        qtbot.waitUntil(lambda: widget.state == "unreachable", timeout=PATIENCE)
        assert button.isHidden()
