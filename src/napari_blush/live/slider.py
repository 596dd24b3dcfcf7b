"""Which iteration is looked at: a slider over the history, and a button that follows the newest."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSlider, QWidget


class IterationSlider(QWidget):
    """Chooses one of a run's iterations; at its right end, with *Newest* pressed, it follows the run."""

    chosen = Signal(object)
    """The iteration that was chosen, or None: the newest, whichever it is."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._iterations: list[int] = []
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setToolTip("Iteration whose maps, curves and directions are shown")
        self.slider.setPageStep(1)
        self.slider.setTickPosition(QSlider.TickPosition.NoTicks)
        self.label = QLabel("–")
        self.label.setMinimumWidth(self.label.fontMetrics().horizontalAdvance("999 of 999"))
        self.label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.newest = QPushButton("Newest")
        self.newest.setObjectName("blushSegment")
        self.newest.setCheckable(True)
        self.newest.setChecked(True)
        self.newest.setToolTip("Show each new iteration as it comes")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        row.addWidget(self.slider, 1)
        row.addWidget(self.label)
        row.addWidget(self.newest)
        self.slider.valueChanged.connect(self._on_moved)
        self.newest.clicked.connect(self._on_newest)
        self.set_iterations([])

    @property
    def iteration(self) -> int | None:
        """The iteration at which the slider stands."""
        return self._iterations[self.slider.value()] if self._iterations else None

    @property
    def following(self) -> bool:
        """Whether the newest is shown, whichever it is."""
        return self.newest.isChecked()

    def set_iterations(self, iterations: Sequence[int]) -> None:
        """Offer iterations, oldest first. One that was chosen stays chosen, if it is still there."""
        before = self.iteration
        self._iterations = list(iterations)
        self.slider.blockSignals(True)
        self.slider.setRange(0, max(0, len(self._iterations) - 1))
        if not self.following and before in self._iterations:
            self.slider.setValue(self._iterations.index(before))
        else:
            self.newest.setChecked(True)
            self.slider.setValue(len(self._iterations) - 1)
        self.slider.blockSignals(False)
        self.setEnabled(len(self._iterations) > 1)
        self._say()

    def _on_moved(self, place: int) -> None:
        self.newest.setChecked(False)
        self._say()
        self.chosen.emit(self.iteration)

    def _on_newest(self) -> None:
        if not self.following:  # stay where it is
            self.chosen.emit(self.iteration)
            return
        self.slider.blockSignals(True)
        self.slider.setValue(len(self._iterations) - 1)
        self.slider.blockSignals(False)
        self._say()
        self.chosen.emit(None)

    def _say(self) -> None:
        self.label.setText(f"{self.iteration} of {self._iterations[-1]}" if self._iterations else "–")
