"""What controls in a scrolled column must not do: change in passing under the wheel, or misread a number."""

from __future__ import annotations

import re
from typing import Any

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QAbstractSlider, QAbstractSpinBox, QApplication, QComboBox, QDoubleSpinBox, QWidget

_POINTS = ".,"
_NUMBER = re.compile(r"[-+]?[\d.,]+")


def mend_controls(inside: QWidget) -> None:
    """Let the wheel scroll past all controls inside a widget, and numbers take comma and point alike.

    Qt gives the wheel to the control under the mouse: whoever scrolls down a dock would choose another map,
    another device, another voxel size. And it takes the mark that is not the locale's decimal point for one
    between thousands: 1,25 typed in an English locale, and 1.25 in a German one, would be 125.
    """
    wheel, point = _WheelPassesBy(inside), _EitherPoint(inside)
    for kind in (QAbstractSpinBox, QComboBox, QAbstractSlider):
        for control in inside.findChildren(kind):
            if control.focusPolicy() == Qt.FocusPolicy.WheelFocus:
                control.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            control.installEventFilter(wheel)
            if isinstance(control, QDoubleSpinBox):
                control.installEventFilter(point)


def with_point(text: str, point: str) -> str:
    """Return the number in a text with another decimal point: the last comma or point is taken for it."""
    found = _NUMBER.search(text)
    if found is None:
        return text
    number = found[0]
    last = max(number.rfind(mark) for mark in _POINTS)
    if last < 0:
        return number
    return number[:last].translate(dict.fromkeys(map(ord, _POINTS))) + point + number[last + 1 :]


class _WheelPassesBy(QObject):
    def eventFilter(self, watched: Any, event: Any) -> bool:  # noqa: N802
        if event.type() != QEvent.Type.Wheel:
            return False
        event.ignore()  # so that Qt goes on to what is around it
        return True


class _EitherPoint(QObject):
    def eventFilter(self, watched: Any, event: Any) -> bool:  # noqa: N802
        if event.type() != QEvent.Type.KeyPress:
            return False
        point = watched.locale().decimalPoint()
        if event.matches(QKeySequence.StandardKey.Paste):
            clipboard = QApplication.clipboard()
            assert clipboard is not None  # there is an application
            watched.lineEdit().insert(with_point(clipboard.text(), point))
        elif event.text() and event.text() in _POINTS and event.text() != point:
            watched.lineEdit().insert(point)
        else:
            return False
        return True
