"""Controls in docks: the wheel scrolls past them, and a number is what was meant in any locale."""

from __future__ import annotations

from typing import Any

import pytest
from denoising import add_map, blob

from blushcore.interactive.messages import DenoiseSettings

pytestmark = pytest.mark.gui


def turn_wheel(control: Any) -> None:
    """Turn the mouse's wheel by one notch over a control, as far as Qt passes it on."""
    from qtpy.QtCore import QPoint, QPointF, Qt
    from qtpy.QtGui import QWheelEvent
    from qtpy.QtWidgets import QApplication

    place, notch = QPointF(control.rect().center()), QPoint(0, -120)
    event = QWheelEvent(
        place,
        QPointF(control.mapToGlobal(place.toPoint())),
        notch,
        notch,
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(control, event)


def type_in(spin: Any, text: str) -> float:
    """Type a number in place of the one that is there, and return what it was taken for."""
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest

    spin.selectAll()
    QTest.keyClicks(spin, text)
    QTest.keyClick(spin, Qt.Key.Key_Return)
    return float(spin.value())


def test_scrolling_down_the_dock_changes_nothing(open_widget, silent):
    viewer, widget = open_widget(silent)
    add_map(viewer, blob(), "one")
    add_map(viewer, blob(1), "other")
    silent.answer_loads_until(lambda: widget.session.can_work)
    silent.describe()
    widget.denoise()
    inputs, form, strength = widget.panels.inputs, widget.panels.form, widget.panels.display.strength
    form.set_value(DenoiseSettings(diameter=30.0))
    before = (form.value(), inputs.map_layer, inputs.voxel_size.value(), strength.value())
    controls = [form.control(name) for name in ("diameter", "weights", "device", "precision")]
    for control in (*controls, inputs.map_box, inputs.half_box, inputs.voxel_size, strength._slider):
        turn_wheel(control)
        control.setFocus()  # as after a choice
        turn_wheel(control)
    assert (form.value(), inputs.map_layer, inputs.voxel_size.value(), strength.value()) == before
    assert widget.session.state == "running"


@pytest.mark.parametrize("locale", ["en_US", "de_DE", "fr_FR"])
def test_comma_and_point_are_both_the_decimal_point(qtbot, locale):
    from qtpy.QtCore import QLocale, Qt
    from qtpy.QtTest import QTest
    from qtpy.QtWidgets import QApplication, QDoubleSpinBox

    from napari_blush.parameter_form import ParameterForm

    form = ParameterForm(
        DenoiseSettings, choices={"weights": [("default", None)], "device": [("auto", "auto")]}
    )
    qtbot.addWidget(form)
    form.setLocale(QLocale(locale))
    form.set_step("diameter", 1, decimals=2)
    spin = form.control("diameter")
    assert isinstance(spin, QDoubleSpinBox)
    form.show()
    for text in ("120.25", "120,25"):
        assert type_in(spin, text) == 120.25
    for text, number in (("98.5", 98.5), ("97,5", 97.5), ("1,096.5 Å", 1096.5)):
        QApplication.clipboard().setText(text)
        spin.selectAll()
        QTest.keyClick(spin, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)
        QTest.keyClick(spin, Qt.Key.Key_Return)
        assert spin.value() == number


def test_zero_is_no_voxel_size(open_widget, silent):
    viewer, widget = open_widget(silent)
    layer = add_map(viewer, blob())
    silent.answer_loads()
    spin = widget.panels.inputs.voxel_size
    assert type_in(spin, "0") == 1.5
    assert tuple(layer.scale) == (1.5,) * 3
    assert type_in(spin, "1,25") == 1.25
    assert tuple(layer.scale) == (1.25,) * 3


def test_names_that_differ_at_their_ends_look_different(qtbot):
    from napari_blush.panels.boxes import choice_box, fill

    pictures = []
    for half in "AB":
        box = choice_box("Which map")
        qtbot.addWidget(box)
        name = f"cryosparc_P12_J345_007_volume_map_half_{half}"
        fill(box, [(name, None)], None)
        box.resize(160, 30)
        pictures.append(box.grab().toImage())
        assert box.currentText() == name
    assert pictures[0] != pictures[1]


def test_a_bar_is_not_drawn_before_the_next_frame(qtbot):
    from qtpy.QtCore import QEvent, QObject

    from napari_blush.panels.status_card import StatusCard

    class Painted(QObject):
        count = 0

        def eventFilter(self, watched: Any, event: Any) -> bool:  # noqa: N802, ARG002
            self.count += event.type() == QEvent.Type.Paint
            return False

    card, painted = StatusCard(), Painted()
    qtbot.addWidget(card)
    card.show()
    card.show_done(0, 10)
    qtbot.waitExposed(card)
    qtbot.wait(50)
    card.bar.installEventFilter(painted)
    painted.count = 0
    for done in range(10):
        card.show_done(done, 10 + done)
    assert painted.count == 0
    qtbot.waitUntil(lambda: painted.count > 0)
    assert (card.bar.value(), card.bar.maximum()) == (9, 19)


def test_what_can_be_done_about_a_failure_is_seen_in_a_small_window(open_widget, silent):
    from qtpy.QtWidgets import QApplication
    from worker_stand_ins import pump, wait_until

    viewer, widget = open_widget(silent)
    window = getattr(viewer, "__wrapped__", viewer).window._qt_window
    window.resize(900, 480)
    window.show()
    add_map(viewer, blob())
    silent.answer_loads_until(lambda: widget.session.can_work)
    widget.denoise()
    pump(0.1)
    status = widget.panels.status
    wait_until(lambda: not status.cancel_button.visibleRegion().isEmpty(), 30)
    widget.panels.scroll.verticalScrollBar().setValue(0)
    silent.stop()
    silent.died.emit("It was killed.", "Restart it.")
    QApplication.processEvents()
    wait_until(lambda: not status.restart_button.visibleRegion().isEmpty(), 30)
