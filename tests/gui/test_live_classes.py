"""The classes of a classification in a real viewer: one or all of them, their plots and their views."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.gui, pytest.mark.usefixtures("no_log_errors")]
ITERATIONS, PATIENCE = 3, 120_000


@pytest.fixture(scope="module")
def classified(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from replay import recorded_classification

    folder = tmp_path_factory.mktemp("classified")
    return recorded_classification(folder / "run", iterations=ITERATIONS, before_prior=True)


@pytest.fixture
def docked(qtbot: Any, make_viewer: Callable[..., Any]) -> Iterator[Callable[[Path], tuple[Any, Any]]]:
    opened: list[Any] = []

    def open_one(directory: Path) -> tuple[Any, Any]:
        from napari_blush.live import LiveView

        viewer = make_viewer(show=True)
        view = LiveView(viewer, directory)
        viewer.window.add_dock_widget(view, area="right")
        opened.append(view)
        return viewer, view

    yield open_one
    for view in opened:
        view.close()


def visible(viewer: Any) -> list[str]:
    return [layer.name for layer in viewer.layers if layer.visible]


def test_one_class_or_all_of_them_are_shown(qtbot: Any, docked: Any, classified: Path) -> None:
    viewer, view = docked(classified)
    qtbot.waitUntil(lambda: view.layers.shown == ITERATIONS, timeout=PATIENCE)
    entries = [view.classes.box.itemText(index) for index in range(view.classes.box.count())]
    assert entries == [
        "Class 1 · 70 % · 4.0 Å",
        "Class 2 · 30 % · 5.0 Å",
        "All 2, side by side",
    ]
    assert view.classes.isVisible()
    assert not view.modes["halves"].isVisible()  # there are none
    qtbot.waitUntil(lambda: view.layers.split is not None, timeout=PATIENCE)
    assert view.layers.split.after.name == "run class 1 (70%)"
    assert view.layers.split.before.name == "run class 1 before"

    view.classes.box.setCurrentIndex(1)
    qtbot.waitUntil(
        lambda: view.layers.split is not None and view.layers.split.after.name == "run class 2 (30%)",
        timeout=PATIENCE,
    )
    view.modes["single"].click()
    assert view.layers.split is None
    assert visible(viewer) == ["run class 2 (30%)"]

    view.classes.box.setCurrentIndex(2)
    qtbot.waitUntil(
        lambda: set(visible(viewer)) == {"run class 1 (70%)", "run class 2 (30%)"}, timeout=PATIENCE
    )
    assert viewer.canvas.grid.enabled
    places = {
        layer.name: viewer.canvas.grid.position(index, viewer.layers)
        for index, layer in enumerate(viewer.layers)
        if layer.visible
    }
    assert places == {"run class 1 (70%)": (0, 0), "run class 2 (30%)": (0, 1)}
    assert view.modes["single"].isChecked()
    view.slider.slider.setValue(1)  # another iteration keeps what is looked at
    qtbot.waitUntil(lambda: view.layers.shown == 1, timeout=PATIENCE)
    assert view.classes.number is None
    assert set(visible(viewer)) == {"run class 1 (57%)", "run class 2 (43%)"}
    assert view.classes.box.itemText(1) == "Class 2 · 43 %"  # not resolved yet
    view.modes["split"].click()  # of the class that was looked at
    qtbot.waitUntil(lambda: view.layers.split is not None, timeout=PATIENCE)
    assert not viewer.canvas.grid.enabled
    assert view.classes.number == 2
    assert view.layers.split.after.name == "run class 2 (43%)"


def test_classes_have_plots_of_their_own(qtbot: Any, docked: Any, classified: Path, tmp_path: Path) -> None:
    _, view = docked(classified)
    qtbot.waitUntil(lambda: view.layers.shown == ITERATIONS, timeout=PATIENCE)
    tabs = view.tabs
    shown = [tabs.tabText(index) for index in range(tabs.count()) if tabs.isTabVisible(index)]
    assert shown == ["Classes", "Progress", "Views"]
    assert tabs.currentWidget() is tabs.classes.parentWidget()
    assert view.card.figures.text() == ("Iteration 3 · best class 4.00 Å · 13 % changed class · step 15° · 2 s")
    assert view.card.text.text() == "3 iterations, 4.00 Å in the best class (SSNR 1)."
    plot = tabs.classes
    shares, resolutions, accuracies = plot._plots
    first, second = shares.listDataItems()
    assert first.getData()[1].tolist() == pytest.approx([56.6667, 63.3333, 70.0], abs=1e-3)
    assert second.getData()[1].tolist() == pytest.approx([43.3333, 36.6667, 30.0], abs=1e-3)
    assert resolutions.listDataItems()[1].getData()[0].tolist() == [2, 3]  # unknown at first
    assert len(accuracies.listDataItems()) == 2
    assert "class&nbsp;1" in plot.legend.text()
    assert "class&nbsp;2" in plot.legend.text()
    assert plot.readout.text().startswith("Iteration&nbsp;3")
    for text in ("(%)", "70<", "30<", "(Å)", "(°)"):
        assert text in plot.readout.text()
    plot.export(tmp_path / "classes.csv")
    rows = list(csv.DictReader((tmp_path / "classes.csv").read_text().splitlines()))
    assert rows[0]["class_distribution_class001"] == "0.566667"
    assert rows[0]["class_resolution_angstrom_class002"] == ""
    for ending in ("png", "svg"):
        plot.export(tmp_path / f"classes.{ending}")
    drawing = (tmp_path / "classes.svg").read_text()
    assert ">Share of the images (%)<" in drawing
    assert ">class 2<" in drawing

    tabs.show_plot(tabs.progress)
    titles = [panel.title for panel in tabs.progress._panels]
    assert titles == ["Moved to another class (%)", "Angles (°)", "Offsets (Å)", "Mean probability"]
    moved = tabs.progress._plots[0].listDataItems()[0].getData()[1].tolist()
    assert moved == pytest.approx([40.0, 20.0, 13.3333], abs=1e-3)


def test_views_are_those_of_the_class(qtbot: Any, docked: Any, classified: Path) -> None:
    _, view = docked(classified)
    qtbot.waitUntil(lambda: view.layers.shown == ITERATIONS, timeout=PATIENCE)
    view.tabs.show_plot(view.angles)
    qtbot.waitUntil(lambda: view.angles.counts is not None, timeout=PATIENCE)
    assert view.angles.counts.images == 30
    view.classes.box.setCurrentIndex(1)
    qtbot.waitUntil(lambda: view.angles.counts.images == 20, timeout=PATIENCE)
    view.classes.box.setCurrentIndex(2)
    qtbot.waitUntil(lambda: view.angles.counts.images == 50, timeout=PATIENCE)


@pytest.mark.parametrize(("count", "styles"), [(2, 1), (12, 3)])
def test_many_classes_stay_apart(qtbot: Any, qapp: Any, count: int, styles: int) -> None:
    from napari_blush.plots.classes import ClassesPlot

    plot = ClassesPlot()
    qtbot.addWidget(plot)
    figures = {"iteration": 1, "class_distribution": [1 / count] * count, "mean_p_max": 0.5}
    plot.set_history([{"iteration": 0}, figures])
    pens = [line.opts["pen"] for line in plot._plots[0].listDataItems()]
    assert len({(pen.color().name(), pen.style()) for pen in pens}) == count
    assert len({pen.style() for pen in pens}) == styles


def test_a_class_in_words() -> None:
    from napari_blush.live.classes import words_of_class

    figures = {
        "class_distribution": [1.0, 0.0],
        "class_resolution_angstrom": [7.25, None],
        "empty_classes": [2],
    }
    assert words_of_class(1, figures) == "Class 1 · 100 % · 7.2 Å"
    assert words_of_class(2, figures) == "Class 2 · empty"
    assert words_of_class(3, {}) == "Class 3"


def test_values_of_many_classes_go_on_in_the_next_line(qtbot: Any, qapp: Any) -> None:
    from napari_blush.plots.classes import ClassesPlot

    plot = ClassesPlot()
    qtbot.addWidget(plot)
    plot.resize(320, 500)
    plot.show()
    count = 12
    figures = {"iteration": 1, "class_distribution": [1 / count] * count, "mean_p_max": 0.5}
    plot.set_history([{"iteration": 0}, figures])
    words = plot.readout
    assert words.text().count("8.33") == count
    widest = max(
        words.fontMetrics().horizontalAdvance(word) for word in ("Share of the images (%) 8.33", "8.33")
    )
    assert widest < words.width()
    # What cannot be broken is no wider than a value: the whole needs more height, not more width.
    assert words.heightForWidth(words.width()) > 2 * words.fontMetrics().lineSpacing()
    assert words.height() >= words.heightForWidth(words.width())
