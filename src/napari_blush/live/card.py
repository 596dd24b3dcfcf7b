"""How a run that is watched stands, in a card: with its key figures, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence

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
        self._told_ever = self._warned = 0
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

    def warn(self, sentences: Sequence[str]) -> None:
        """Say what a job has warned of since the last time."""
        if len(sentences) < self._warned:  # of another run
            self._warned = 0
        for sentence in sentences[self._warned :]:
            self.tell_problem(sentence)
        self._warned = len(sentences)

    def tell_problem(self, sentence: str) -> None:
        """Say that something is wrong; the last few that were said before can be seen in the tooltip."""
        if sentence in self._told:
            self._told.remove(sentence)
        else:
            self._told_ever += 1
        self._told = [*self._told, sentence][-_MOST_TOLD:]
        before = self._told_ever - 1
        self.problems.setText(sentence + (f" (and {before} before)" if before else ""))
        self.problems.setToolTip("\n".join(self._told))
        self.problems.show()
