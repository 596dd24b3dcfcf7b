"""How a run that is watched stands, in a card: with its key figures, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable

from qtpy.QtWidgets import QLabel

from napari_blush.live.status import RunStatus
from napari_blush.live.words import Standing
from napari_blush.panels.cards import hint
from napari_blush.panels.status_card import StatusCard

_MOST_TOLD = 20


class WatchedCard(StatusCard):
    """Says how a run stands.

    `figures` and `problems` may be taken out and shown without the rest, where somebody else says it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.figures = hint()
        self.problems = QLabel()
        self.problems.setObjectName("blushWarning")
        self.problems.setWordWrap(True)
        self.problems.hide()
        self._told: list[str] = []
        for label in (self.figures, self.problems):
            self.column.addWidget(label)

    def show_run(self, status: RunStatus, said: Standing, figures: str) -> None:
        """Show how a run stands, its newest figures in a line, and its job's warnings."""
        device = f" · {status.device}" if status.device else ""
        self.say(said.tone, f"{said.title} · {status.directory.name}{device}", said.text)
        self.title.setToolTip(str(status.directory))
        is_busy = status.life == "running" and not status.paused
        self.show_done(status.done, status.total if is_busy else None)
        self.figures.setText(figures)
        self.figures.setVisible(bool(figures))
        self.warn(status.warnings)

    def warn(self, sentences: Iterable[str]) -> None:
        """Say what was not said before."""
        for sentence in sentences:
            if sentence not in self._told:
                self.tell_problem(sentence)

    def tell_problem(self, sentence: str) -> None:
        """Say that something is wrong; what was said before can be seen in the tooltip."""
        self._told.append(sentence)
        before = len(self._told) - 1
        self.problems.setText(sentence + (f" (and {before} before)" if before else ""))
        self.problems.setToolTip("\n".join(self._told[-_MOST_TOLD:]))
        self.problems.show()
