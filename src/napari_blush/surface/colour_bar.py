"""A colour bar in a dock: what the colours of a surface stand for, in Å."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QColor, QImage, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QSizePolicy, QWidget

_BAR_HEIGHT, _MARGIN, _TICK = 16, 18, 4
_MOST_TICKS = 5


class ColourBar(QWidget):
    """A horizontal gradient with round values below it.

    Attributes
    ----------
    ticks
        The values that are written, in Å.
    """

    def __init__(self) -> None:
        super().__init__()
        self._colours: NDArray[np.uint8] = np.zeros((1, 4), np.uint8)
        self._limits = (0.0, 1.0)
        self._ink = QColor("grey")
        self.ticks: tuple[float, ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip("Local resolution (Å): finest at the left, coarsest at the right")

    def show_colours(self, colours: NDArray[np.floating], limits: tuple[float, float]) -> None:
        """Show colours ``(n, 4)`` from 0 to 1 that run from one value to another (Å)."""
        self._colours = np.ascontiguousarray(np.round(255 * np.asarray(colours)), dtype=np.uint8)
        self._limits = limits
        self.ticks = round_values(*limits, _MOST_TICKS)
        self.update()

    def set_ink(self, colour: str) -> None:
        """Take the theme's colour of text."""
        self._ink = QColor(colour)
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        """Room for the bar and the words below."""
        return QSize(200, _BAR_HEIGHT + _TICK + self.fontMetrics().height() + 2)

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """As `sizeHint`, but narrower."""
        return QSize(120, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802
        """Draw the gradient, the ticks and their values."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        bar = QRectF(_MARGIN, 0, self.width() - 2 * _MARGIN, _BAR_HEIGHT)
        count = len(self._colours)
        image = QImage(self._colours.tobytes(), count, 1, 4 * count, QImage.Format.Format_RGBA8888)
        painter.drawImage(bar, image)
        painter.setPen(QPen(self._ink))
        low, high = self._limits
        for value in self.ticks:
            x = bar.left() + (value - low) / (high - low) * bar.width()
            painter.drawLine(round(x), _BAR_HEIGHT, round(x), _BAR_HEIGHT + _TICK)
            words = QRectF(x - 40, _BAR_HEIGHT + _TICK, 80, self.fontMetrics().height())
            painter.drawText(words, Qt.AlignmentFlag.AlignCenter, f"{value:g} Å")
        painter.end()


def round_values(low: float, high: float, most: int) -> tuple[float, ...]:
    """Return round values between two, at most so many: steps of 1, 2 or 5 times a power of ten."""
    span = high - low
    if not (span > 0 and math.isfinite(span)):
        return (low,)
    decade = 10.0 ** math.floor(math.log10(span / most))
    step = next(unit * decade for unit in (1, 2, 5, 10, 20) if span / (unit * decade) < most - 1e-6)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(round(number * step, 10) for number in range(first, last + 1))
