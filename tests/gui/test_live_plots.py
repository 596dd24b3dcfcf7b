"""The plots of a run: right numbers, both themes, export, and no time lost on what nobody sees."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blushcore.protocol import BlushError

pytestmark = pytest.mark.gui

BOX, VOXEL_SIZE = 64, 2.0


def history(iterations: int) -> list[dict[str, Any]]:
    from replay import figures

    sizes = [32 + 2 * number for number in range(iterations)]
    named = [figures(number + 1, iterations, BOX, size) for number, size in enumerate(sizes)]
    return [{"iteration": 0}, *({**one, "iteration": number} for number, one in enumerate(named, start=1))]


def shown(qtbot: Any, widget: Any) -> Any:
    qtbot.addWidget(widget)
    widget.resize(420, 560)
    widget.show()
    return widget


def test_this_iterations_fsc_over_the_others(qtbot: Any, qapp: Any, tmp_path: Path) -> None:
    from napari_blush.plots.fsc_history import FscHistoryPlot

    plot = shown(qtbot, FscHistoryPlot())
    figures = history(6)
    plot.set_history(figures)
    assert plot.iteration == 6
    x, y = plot._plot.listDataItems()[0].getData()
    assert len(x) == (32 + 10) // 2  # shells of the image size in use, without shell 0
    assert y == pytest.approx(figures[6]["fsc"][1 : len(x) + 1])
    assert plot._plot.viewRange()[0] == pytest.approx([0, 32 / (BOX * VOXEL_SIZE)])
    assert plot.cut_off_angstrom == figures[6]["resolution_in_use_angstrom"]
    assert plot.readout.text() == "Iteration 6:\n7.19 Å at 0.143, 7.62 Å in use"
    assert (
        plot.values_at(10)
        == f"12.80 Å (shell 10):\niteration 6 {y[9]:.3f}   iteration 5 {figures[5]['fsc'][10]:.3f}"
    )
    assert "not compared yet" in plot.values_at(31)
    plot._plot.setXRange(0.05, 0.1, padding=0)
    plot.set_history(figures, 2)
    assert plot.iteration == 2
    assert plot._plot.viewRange()[0] == pytest.approx([0.05, 0.1])
    items = len(plot._plot.items)
    for number in range(20):
        plot.set_history(figures, 1 + number % 6)
    assert len(plot._plot.items) <= items + 1

    plot.export(tmp_path / "fsc.csv")
    rows = list(csv.reader((tmp_path / "fsc.csv").read_text().splitlines()))
    assert rows[0][3:] == [f"iteration {number}" for number in range(1, 7)]
    assert float(rows[6][4]) == pytest.approx(figures[2]["fsc"][5])
    assert rows[20][3] == ""
    plot.export(tmp_path / "fsc.svg")
    drawing = (tmp_path / "fsc.svg").read_text()
    assert ">iteration 2<" in drawing
    assert ">_1<" not in drawing
    plot.set_history([{"iteration": 0}])
    assert plot.iteration is None
    assert plot.readout.text() == " "


def test_progress_over_the_iterations(qtbot: Any, qapp: Any, tmp_path: Path) -> None:
    from qtpy.QtCore import QPointF

    from napari_blush.plots.progress import REFINEMENT, ProgressPlots

    plot = shown(qtbot, ProgressPlots())
    figures = history(6)
    plot.set_history(figures, 4)
    for panel, item in zip(REFINEMENT, plot._plots, strict=True):
        assert len(item.listDataItems()) == len(panel.series)
        for series, line in zip(panel.series, item.listDataItems(), strict=True):
            x, y = line.getData()
            values = {
                one["iteration"]: one[series.figure] for one in figures[1:] if one[series.figure] is not None
            }
            assert x.tolist() == list(values)
            assert (10**y if panel.is_log else y) == pytest.approx(list(values.values()))
    accuracy = plot._plots[1].listDataItems()[2].getData()[0]
    assert accuracy[0] == 2  # unknown in the first iteration
    assert plot.readout.text().startswith("Iteration&nbsp;4")
    place = plot._plots[0].vb.mapViewToScene(QPointF(2.2, 1.0))
    plot._on_hover(place)
    assert plot.readout.text().startswith("Iteration&nbsp;2")
    assert f"{figures[2]['resolution_angstrom']:.3g}" in plot.readout.text()
    plot.export(tmp_path / "progress.csv")
    rows = list(csv.DictReader((tmp_path / "progress.csv").read_text().splitlines()))
    assert [row["iteration"] for row in rows] == [str(number) for number in range(1, 7)]
    assert rows[0]["accuracy_angle_deg"] == ""
    assert float(rows[3]["mean_p_max"]) == pytest.approx(figures[4]["mean_p_max"])
    for ending in ("png", "svg"):
        plot.export(tmp_path / f"progress.{ending}")
    assert ">Offsets (Å)<" in (tmp_path / "progress.svg").read_text()
    with pytest.raises(BlushError, match=r"progress\.doc"):
        plot.export(tmp_path / "progress.doc")


def test_whether_the_denoiser_keeps_to_the_data(qtbot: Any, qapp: Any, tmp_path: Path) -> None:
    from napari_blush.plots.safeguards import SafeguardsPlot

    plot = shown(qtbot, SafeguardsPlot())
    figures = history(3)
    plot.set_history(figures)
    assert plot.iteration is None  # the Wiener filter's runs have nothing to show
    for number, gain in ((1, 0.021), (2, -0.3)):
        fsc = figures[number]["fsc"][:17]
        figures[number] |= {
            "denoiser_gain": gain,
            "denoiser_raw_fsc": fsc,
            "denoiser_cross_fsc": [value + gain for value in fsc],
            "denoiser_transfer_signal": [1.3] * 17,
            "denoiser_transfer_noise": [0.5] * 16 + [None],
        }
    plot.set_history(figures, 1)
    assert plot.readout.text() == "Iteration 1:\nagrees 0.021 more with the raw other half"
    assert plot._warning.isHidden()
    names = [curve.name for curve in plot.curves]
    assert names == ["noise ×", "signal ×", "raw halves", "denoised half, other raw"]
    assert plot._plot.viewRange()[0] == pytest.approx([0, 32 / (BOX * VOXEL_SIZE)])
    assert plot._plot.viewRange()[1][1] == pytest.approx(1.34)
    y = plot._plot.listDataItems()[3].getData()[1]
    assert y == pytest.approx(np.array(figures[1]["denoiser_cross_fsc"][1:]))
    assert "noise × nan" in plot.values_at(16)
    plot.set_history(figures)  # the newest that has a denoiser
    assert plot.iteration == 2
    assert "makes up detail" in plot._warning.text()
    assert plot._plot.getAxis("left").labelText == "FSC, factor"  # it is not all of it an FSC
    plot.export(tmp_path / "denoiser.csv")
    assert (tmp_path / "denoiser.csv").read_text().startswith("shell,frequency")
    plot.export(tmp_path / "denoiser.svg")
    assert ">1.2<" in (tmp_path / "denoiser.svg").read_text()  # as far as the curves go, as on the screen
    plot._plot.setXRange(0.05, 0.1, padding=0)
    plot.set_history(figures, 1)
    assert plot._plot.viewRange()[0] == pytest.approx([0.05, 0.1])  # a zoom stays
    plot.set_history([{"iteration": 0}])
    assert plot.readout.text() == " "


def test_words_below_a_plot_do_not_lie_on_it(qtbot: Any, qapp: Any) -> None:
    from qtpy.QtWidgets import QScrollArea

    from napari_blush.panels.dock import scrolled
    from napari_blush.plots.angles import AngularDistributionPlot

    plot = AngularDistributionPlot()
    area: QScrollArea = scrolled(plot)
    qtbot.addWidget(area)
    area.resize(290, 200)
    area.show()
    rng = np.random.default_rng(0)
    angles = rng.uniform(-180, 180, 300), rng.uniform(0, 180, 300)
    plot.set_directions(*angles, "C1", "Iteration 17, C1, class 12")
    qapp.processEvents()
    label = plot.readout
    assert label.height() >= label.heightForWidth(label.width()) > 2 * label.fontMetrics().lineSpacing()
    assert plot.graphics.geometry().bottom() < label.geometry().top()
    high = label.height()
    plot.readout.setText("short")  # what is under the mouse: the plot does not jump
    qapp.processEvents()
    assert label.height() == high


def test_labels_at_the_ends_of_an_axis_are_drawn(qtbot: Any, qapp: Any) -> None:
    from napari_blush.plots.progress import ProgressPlots

    plot = ProgressPlots()
    qtbot.addWidget(plot)
    plot.resize(300, 400)
    plot.show()
    plot.set_history(
        [{"iteration": n, "mean_p_max": n / 9, "resolution_angstrom": 9.0 / n} for n in range(1, 9)]
    )
    qapp.processEvents()
    axis = plot._plots[-1].getAxis("left")
    axis.picture = None  # which is drawn with the next paint event
    drawn: list[str] = []
    draw = axis.drawPicture
    axis.drawPicture = lambda painter, a, b, texts: (
        drawn.extend(one[2] for one in texts),
        draw(painter, a, b, texts),
    )
    plot.grab()
    assert drawn == ["0", "0.5", "1"]


@pytest.mark.parametrize("size", [24, 30, 60, 200])
def test_a_scale_can_be_read_off_low_panels(qapp: Any, size: int) -> None:
    from napari_blush.plots.axes import RoundLogAxis

    axis = RoundLogAxis()
    for lowest, highest in ((2.4, 55.0), (0.3, 30.0), (4.4, 11.0), (0.9, 1.9)):
        [(_, ticks)] = axis.tickValues(np.log10(lowest), np.log10(highest), size)
        assert len(ticks) >= 2
        assert np.diff(ticks).min() * size / np.log10(highest / lowest) >= 11


def test_ticks_are_round() -> None:
    from napari_blush.plots.axes import RoundLogAxis, WholeNumberAxis

    [(_, places)] = RoundLogAxis().tickValues(np.log10(0.3), np.log10(30), 200)
    assert {1.0, 10.0} <= set(np.round(10 ** np.array(places), 6))
    assert (np.diff(places) >= 2 * 18 / 200 - 1e-9).all()
    [(_, whole)] = WholeNumberAxis("bottom").tickValues(0.7, 40.3, 200)
    assert whole == [10, 20, 30, 40]
    [(_, many)] = WholeNumberAxis("bottom").tickValues(0, 400_000, 300)  # steps of a training
    assert many == [0, 100_000, 200_000, 300_000, 400_000]


def test_views_lie_where_they_are(qtbot: Any, qapp: Any, tmp_path: Path) -> None:
    from qtpy.QtCore import QPointF

    from napari_blush.plots.angles import AngularDistributionPlot
    from napari_blush.plots.directions import mollweide

    plot = shown(qtbot, AngularDistributionPlot())
    assert plot.readout.text().startswith("No directions yet")
    rng = np.random.default_rng(0)
    rot, tilt = rng.normal(60, 3, 400), rng.normal(40, 3, 400)
    plot.set_directions(rot, tilt, "C1", "Iteration 3")
    assert plot.readout.text().startswith("Iteration 3: 400 particles")
    counts = plot.counts
    assert counts.counts.sum() == counts.images == 400
    centre_rot, centre_tilt = (values[counts.counts.argmax()] for values in counts.centres_deg())
    assert abs(centre_rot - 60) < 15
    assert abs(centre_tilt - 40) < 15
    [(x, y)] = mollweide(np.array([60.0]), np.array([40.0]))
    assert x > 0
    assert y > 0
    plot._on_hover(plot._map.vb.mapViewToScene(QPointF(x, y)))
    assert plot.readout.text().startswith("rot 60°, tilt 40°")
    plot._on_hover(QPointF(-5, -5))
    assert plot.readout.text().startswith("Iteration 3")
    plot.export(tmp_path / "views.csv")
    rows = list(csv.reader((tmp_path / "views.csv").read_text().splitlines()))
    assert sum(int(row[2]) for row in rows[1:]) == 400
    for ending in ("png", "svg"):
        plot.export(tmp_path / f"views.{ending}")


@pytest.mark.parametrize(("name", "order"), [("C1", 1), ("C4", 4), ("D3", 6), ("O", 24), ("I2", 60)])
def test_mates_are_those_of_the_group(name: str, order: int) -> None:
    from blushcore.poses import SymmetryGroup
    from napari_blush.plots.directions import directions_with_mates

    def vectors(rot: Any, tilt: Any) -> np.ndarray:
        a, b = np.radians(rot), np.radians(tilt)
        return np.stack([np.cos(a) * np.sin(b), np.sin(a) * np.sin(b), np.cos(b)], axis=-1)

    rot, tilt = directions_with_mates(np.array([25.0]), np.array([65.0]), name.lower())
    assert len(rot) == order
    expected = vectors(25.0, 65.0) @ SymmetryGroup.of(name).matrices.numpy()
    distances = np.linalg.norm(vectors(rot, tilt)[:, None] - expected, axis=-1)
    assert distances.min(axis=0).max() < 1e-6
    assert distances.min(axis=1).max() < 1e-6


def test_the_map_keeps_areas() -> None:
    from napari_blush.plots.directions import DirectionCounts, cells_of_picture, mollweide, mollweide_inverse

    rng = np.random.default_rng(1)
    rot, tilt = rng.uniform(-179, 179, 200), np.degrees(np.arccos(rng.uniform(-0.99, 0.99, 200)))
    back_rot, back_tilt, inside = mollweide_inverse(*mollweide(rot, tilt).T)
    assert inside.all()
    assert np.allclose(back_rot, rot, atol=1e-4)
    assert np.allclose(back_tilt, tilt, atol=1e-4)
    cells = cells_of_picture(4, 720)
    pixels = np.bincount(cells[cells >= 0], minlength=192)
    assert pixels.std() < 0.03 * pixels.mean()  # cells of one area look it
    even = DirectionCounts.of(rng.uniform(-180, 180, 20000), np.degrees(np.arccos(rng.uniform(-1, 1, 20000))))
    assert even.nside == 16
    assert even.relative.mean() == pytest.approx(1)


def test_the_plots_wear_both_themes(qtbot: Any, qapp: Any, themes: Any) -> None:
    from napari_blush.plots.angles import AngularDistributionPlot
    from napari_blush.plots.fsc_history import FscHistoryPlot
    from napari_blush.plots.progress import ProgressPlots
    from napari_blush.plots.theme import palette_of

    fsc, progress, angles = FscHistoryPlot(), ProgressPlots(), AngularDistributionPlot()
    for plot in (fsc, progress, angles):
        shown(qtbot, plot)
    fsc.set_history(history(4))
    progress.set_history(history(4))
    for theme in themes:
        palette = palette_of(theme)
        for graphics in (fsc.graphics, progress.graphics, angles.graphics):
            assert graphics.backgroundBrush().color().name() == palette.background
        assert fsc._plot.listDataItems()[0].opts["pen"].color().name() == palette.curves[0]
        assert progress._plots[0].listDataItems()[1].opts["pen"].color().name() == palette.curves[1]
