"""A classification from the dock, with a real worker: set up, run, and looked at class by class."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from docks import put_beside

from tiny_mixture import write_tiny_mixture
from tiny_refinement import BOX, DIAMETER, PIXEL_SIZE

pytestmark = pytest.mark.gui
PATIENCE = 600_000
ITERATIONS = 2


@pytest.fixture
def widget(make_viewer: Callable[..., Any], data_folder: Path) -> Iterator[Any]:
    from napari_blush.refine.widget import RefineWidget

    viewer = make_viewer(show=True)
    widget = RefineWidget(viewer)
    put_beside(viewer, widget, "Refine")
    yield widget
    widget.shut_down()


def test_a_classification_runs_and_its_classes_arrive(widget: Any, tmp_path: Path, qtbot: Any) -> None:
    mixture = write_tiny_mixture(tmp_path / "mixture", counts=(24, 16))
    viewer = widget._viewer
    widget.set_up.kind_buttons["classify"].click()
    widget.setValue(mixture.parameters(iterations=ITERATIONS))
    widget.run_section.output.path = tmp_path / "run"
    qtbot.waitUntil(lambda: widget.state in ("ready", "wrong"), timeout=PATIENCE)
    assert widget.state == "ready", widget.card.text.text()
    widget.run_section.button.click()
    qtbot.waitUntil(lambda: widget.view is not None, timeout=PATIENCE)
    view = widget.view
    seen: list[int] = []
    view.layers.changed.connect(lambda: seen.append(view.layers.shown))
    qtbot.waitUntil(lambda: widget.state in ("finished", "failed", "dead"), timeout=PATIENCE)
    assert widget.state == "finished", widget.card.text.text()
    assert "Å (SSNR 1 in the best class) after 2 iterations" in widget.card.text.text()
    qtbot.waitUntil(lambda: view.layers.shown == ITERATIONS, timeout=PATIENCE)
    assert sorted(set(seen)) == seen or seen[-1] == ITERATIONS
    assert view.layers.classes == [1, 2]
    shares = view.run.summary.figures["class_distribution"]
    assert sum(shares) == pytest.approx(1.0, abs=1e-5)

    view.classes.box.setCurrentIndex(2)  # all of them
    qtbot.waitUntil(lambda: sum(layer.visible for layer in viewer.layers) == 2, timeout=PATIENCE)
    names = {f"run class {k} ({share:.0%})" for k, share in enumerate(shares, start=1)}

    def visible() -> dict[str, Any]:
        return {layer.name: layer for layer in viewer.layers if layer.visible}

    qtbot.waitUntil(lambda: set(visible()) == names, timeout=PATIENCE)
    shown = visible()
    for layer in shown.values():
        np.testing.assert_allclose(np.array(layer.data.shape) * layer.scale, BOX * PIXEL_SIZE, rtol=1e-5)
        assert np.asarray(layer.data).std() > 0
    curves = view.tabs.classes._plots[0].listDataItems()
    assert [curve.getData()[0].tolist() for curve in curves] == [[1, 2], [1, 2]]
    np.testing.assert_allclose([curve.getData()[1][-1] for curve in curves], np.array(shares) * 100, atol=1e-3)
    assert view.run.summary.parameters["diameter"] == DIAMETER
