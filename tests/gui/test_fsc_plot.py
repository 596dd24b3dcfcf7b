"""The plot says the right numbers, exports them, and wears napari's colours."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blushcore.protocol import BlushError

pytestmark = pytest.mark.gui

BOX = 100.0  # Å
SHELLS = np.arange(41)
STRAIGHT = np.clip(1 - SHELLS / 30, 0, 1)  # crosses 0.143 at shell 25.71


@pytest.fixture
def plot(qtbot: Any, qapp: Any) -> Any:
    from napari_blush.plots.fsc import FscPlot

    widget = FscPlot()
    qtbot.addWidget(widget)
    widget.resize(500, 400)
    widget.show()
    return widget


def shown(plot: Any) -> Any:
    from napari_blush.plots.fsc import Curve

    denoised = Curve("denoised", np.ones(41), style="dashed", quote_resolution=False)
    plot.set_curves([Curve("half-maps", STRAIGHT), denoised], BOX, warning="No resolution estimate.")
    return plot


def test_curves_lie_where_their_shells_are(plot: Any) -> None:
    shown(plot)
    drawn = plot._plot.listDataItems()
    assert [item.name() for item in drawn] == ["half-maps", "denoised"]
    x, y = drawn[0].getData()
    assert np.allclose(x, SHELLS[1:] / BOX)
    assert np.allclose(y, STRAIGHT[1:])
    assert plot._plot.viewRange()[0] == pytest.approx([0, 0.4])
    assert plot.readout.text() == f"At 0.143:\nhalf-maps: {BOX / (30 * (1 - 0.143)):.2f} Å"
    assert plot._warning.isVisible()
    legend = plot._legend.text()
    assert legend.index("denoised") < legend.index("half-maps")
    assert not any(plot._plot.getAxis(name).autoSIPrefix for name in ("left", "bottom", "top"))


def test_values_under_the_mouse_are_said(plot: Any) -> None:
    from qtpy.QtCore import QPointF

    shown(plot)
    place = plot._plot.vb.mapViewToScene(QPointF(20.2 / BOX, 0.5))
    plot._on_hover(place)
    assert plot.readout.text() == "5.00 Å (shell 20):\nhalf-maps 0.333   denoised 1.000"
    assert plot._cursor.value() == 20 / BOX
    plot._on_hover(QPointF(-5, -5))
    assert plot.readout.text().startswith("At 0.143")


def test_a_zoom_is_kept_until_the_box_changes(plot: Any) -> None:
    from napari_blush.plots.fsc import Curve

    shown(plot)
    plot._plot.setXRange(0.1, 0.2, padding=0)
    plot.set_curves([Curve("half-maps", STRAIGHT**2)], BOX)
    assert plot._plot.viewRange()[0] == pytest.approx([0.1, 0.2])
    plot.set_curves([Curve("half-maps", STRAIGHT)], 2 * BOX)
    assert plot._plot.viewRange()[0] == pytest.approx([0, 0.2])
    plot.clear()
    assert plot._plot.listDataItems() == []
    with pytest.raises(ValueError, match="size in Å"):
        plot.set_curves([], 0.0)


def test_export(plot: Any, tmp_path: Path) -> None:
    shown(plot)
    plot.export(tmp_path / "fsc.csv")
    rows = list(csv.reader((tmp_path / "fsc.csv").read_text().splitlines()))
    assert rows[0] == ["shell", "frequency (1/angstrom)", "resolution (angstrom)", "half-maps", "denoised"]
    assert rows[1][:3] == ["0", "0", ""]
    assert [float(cell) for cell in rows[21]] == pytest.approx([20, 0.2, 5, STRAIGHT[20], 1], rel=1e-5)
    plot.export(tmp_path / "fsc.svg")
    drawing = (tmp_path / "fsc.svg").read_text()
    for text in ("half-maps", "denoised", "resolution (Å)", "0.143"):
        assert f">{text}<" in drawing
    plot.export(tmp_path / "fsc.png")
    assert (tmp_path / "fsc.png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(BlushError, match=r"fsc\.doc"):
        plot.export(tmp_path / "fsc.doc")


def test_colours_follow_the_theme(plot: Any, themes: Any) -> None:
    from napari_blush.plots.theme import palette_of

    for theme in themes:
        palette = palette_of(theme)
        assert palette.is_dark == (theme == "dark")
        assert plot.graphics.backgroundBrush().color().name() == palette.background
        shown(plot)
        assert plot._plot.listDataItems()[0].opts["pen"].color().name() == palette.curves[0]


def test_resolutions_are_round_and_apart() -> None:
    from napari_blush.plots.axes import resolution_ticks

    ticks = resolution_ticks(0.0, 1 / 3.0, gap=0.07)
    assert {50, 20, 10, 5, 4, 3} <= set(ticks)
    places = np.array([3 / tick for tick in ticks])
    assert (np.diff(places) >= 0.07 - 1e-9).all()
    assert resolution_ticks(0.3, 0.1, gap=0.1) == []
