"""The panels of the dock *Denoise map*, one below the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from blushcore.interactive.messages import DenoiseSettings
from napari_blush.denoise.display import DisplayPanel
from napari_blush.denoise.fsc_section import FscSection
from napari_blush.denoise.history import HistoryPanel
from napari_blush.denoise.inputs import InputPanel
from napari_blush.denoise.states import State
from napari_blush.denoise.status import SessionCard
from napari_blush.panels.cards import Section
from napari_blush.panels.diameter import DiameterPanel
from napari_blush.panels.dock import scrolled
from napari_blush.panels.network import MemoryLabel, NetworkChoice
from napari_blush.parameter_form import ParameterForm

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_blush.denoise.session import DenoiseSession

_MATTERS = (State.RUNNING, State.FAILED)
"""States in which there is something to click on: seen in the smallest window."""
_DIAMETER_STEP_ANGSTROM, _DIAMETER_DECIMALS = 5, 1


class DenoisePanels:
    """All that the dock shows; what its signals mean is the dock's business.

    Parameters
    ----------
    dock
        The widget that they fill.
    viewer
        Whose layers are offered.
    """

    def __init__(self, dock: QWidget, viewer: Viewer) -> None:
        self.inputs = InputPanel(viewer)
        self.form = ParameterForm(
            DenoiseSettings,
            nothing={"diameter": "whole box"},
            choices={"weights": [("default", None)], "device": [("automatic", "auto")]},
        )
        self.form.set_step("diameter", _DIAMETER_STEP_ANGSTROM, decimals=_DIAMETER_DECIMALS)
        self.network = NetworkChoice(self.form)
        self.diameter = DiameterPanel(viewer, self.form)
        self.memory = MemoryLabel()
        particle = Section("Particle and network")
        for widget in (self.form, self.diameter, self.memory):
            particle.body.addWidget(widget)

        self.preview_button = QPushButton("Preview")
        self.preview_button.setObjectName("blushToggle")
        self.preview_button.setCheckable(True)
        self.preview_button.setToolTip("Denoise the slice in view, and follow the slider")
        self.denoise_button = QPushButton("Denoise")
        self.denoise_button.setObjectName("blushPrimary")
        self.denoise_button.setToolTip("Denoise the whole map; of two halves each by itself")
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addWidget(self.preview_button, 1)
        buttons.addWidget(self.denoise_button, 1)

        self.status = SessionCard()
        self.display = DisplayPanel()
        self.fsc = FscSection(viewer)
        self.history = HistoryPanel()

        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(6, 6, 10, 6)
        column.setSpacing(8)
        column.addWidget(self.inputs)
        column.addWidget(particle)
        column.addLayout(buttons)
        for panel in (self.status, self.display, self.fsc, self.history):
            column.addWidget(panel)
        column.addStretch(1)
        self.scroll = scrolled(content)
        self._reveal = QTimer(dock)
        self._reveal.setInterval(0)  # once the card has its new height
        self._reveal.setSingleShot(True)
        self._reveal.timeout.connect(lambda: self.scroll.ensureWidgetVisible(self.status))
        layout = QVBoxLayout(dock)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.scroll)

    def settings(self) -> DenoiseSettings:
        """Return what the form holds."""
        value = self.form.value()
        assert isinstance(value, DenoiseSettings)
        return value

    def show_state(self, state: State, session: DenoiseSession, words: str) -> None:
        """Take the look of a state, and offer what can be done in it."""
        self.status.show_state(state, failure=session.failure, text=words)
        if state in _MATTERS:
            self._reveal.start()
        self.preview_button.blockSignals(True)
        self.preview_button.setChecked(state is State.PREVIEWING)
        self.preview_button.blockSignals(False)
        for button in (self.preview_button, self.denoise_button):
            button.setEnabled(session.can_work and state is not State.RUNNING)
        self.diameter.estimate_button.setEnabled(session.can_work)
