"""All that a refinement or a classification is told: its files, and the form of its parameters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from blushcore.jobs.classify.parameters import ClassifyParameters
from napari_blush.background import Background
from napari_blush.panels.cards import Section, form_of
from napari_blush.panels.diameter import DiameterPanel
from napari_blush.panels.segments import Segments
from napari_blush.parameter_form import ParameterForm
from napari_blush.refine.kinds import KINDS, REFINE, JobKind, JobParameters, kind_of
from napari_blush.refine.map_choice import MapChoice
from napari_blush.refine.parameters_panel import ParametersPanel
from napari_blush.refine.particles_panel import ParticlesPanel

if TYPE_CHECKING:
    from napari.viewer import Viewer

_KIND_WORDS = {
    "refine": "One structure, refined to high resolution with independent halves",
    "classify": "Several structures in one set: each particle goes to the class that it fits best",
}


class SetUp(QWidget):
    """Particles, reference, mask, and everything else that the job is told.

    `value` and `set_value` go round: parameters that are set come back equal, and so does ``params.json``.
    """

    changed = Signal()
    """Anything that `value` depends on."""
    estimate_clicked = Signal()

    def __init__(self, viewer: Viewer, background: Background) -> None:
        super().__init__()
        self._setting = False
        self._kept: dict[str, Any] = {}
        self._others: tuple[Path, tuple[Path, ...]] | None = None
        self.kind: JobKind = REFINE
        self.particles = ParticlesPanel(viewer, background)
        self.reference = MapChoice(
            viewer,
            "Reference",
            "choose a map",
            "Map to begin with, of the particles' box and pixel size (Å); it is low-passed first",
        )
        self.solvent_mask = MapChoice(
            viewer, "Solvent mask", "sphere of the diameter", "Solvent mask (0 to 1) on the particles' grid"
        )
        self.panels = {kind.name: ParametersPanel(viewer, kind) for kind in KINDS}
        self._build()
        for signal in (
            self.particles.chosen,
            self.particles.came,
            self.reference.changed,
            self.solvent_mask.changed,
            *(panel.changed for panel in self.panels.values()),
        ):
            signal.connect(self._on_changed)
        for panel in self.panels.values():
            panel.diameter_panel.estimate_clicked.connect(self.estimate_clicked)
        self._show_kind()

    def _build(self) -> None:
        self._segments = Segments({kind.name: (kind.title, _KIND_WORDS[kind.name]) for kind in KINDS})
        self._segments.chosen.connect(lambda name: self.set_kind(self.panels[name].kind))
        self.kind_buttons = self._segments.buttons
        maps = Section("Reference and mask")
        maps.body.addLayout(form_of(("Reference", self.reference), ("Mask", self.solvent_mask)))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        for section in (self._segments, self.particles, maps, *self.panels.values()):
            column.addWidget(section)
        column.addStretch(1)

    # --- which job --------------------------------------------------------------------------------------------

    @property
    def panel(self) -> ParametersPanel:
        """The form of the job that is chosen."""
        return self.panels[self.kind.name]

    @property
    def form(self) -> ParameterForm:
        """What is always in view of it."""
        return self.panel.form

    @property
    def expert(self) -> ParameterForm:
        """What is folded away of it."""
        return self.panel.expert

    @property
    def diameter_panel(self) -> DiameterPanel:
        """The circle and the estimate."""
        return self.panel.diameter_panel

    def set_kind(self, kind: JobKind) -> None:
        """Choose the job; what both jobs are told is kept."""
        before = self.panel
        if kind is not self.kind:
            is_users = before.diameter_panel.is_users
            self.kind = kind
            shared = set(before.kind.main) & set(kind.main) - {"tau_fudge"}
            self._setting = True
            try:
                self.panel.set_values({name: before.values()[name] for name in shared})
            finally:
                self._setting = False
            self.panel.diameter_panel.is_users = is_users
            before.diameter_panel.end()
        self._show_kind()
        self._on_changed()

    def _show_kind(self) -> None:
        for name, panel in self.panels.items():
            panel.setVisible(name == self.kind.name)
        self._segments.press(self.kind.name)

    # --- values -----------------------------------------------------------------------------------------------

    def values(self) -> dict[str, Any]:
        """Return what is set, by name; what is missing is None. Layers without a file are None too."""
        kept = {name: value for name, value in self._kept.items() if name in self.kind.kept}
        values = {**kept, **self.panel.values()}
        reference = self.reference.path
        if self._others is not None and self._others[0] == reference:
            values["other_references"] = self._others[1]
        files = {"particles": self.particles.path, "mask": self.solvent_mask.path}
        return {**values, **files, "reference": reference}

    def value(self) -> JobParameters:
        """Return the parameters.

        Raises
        ------
        BlushError
            If something is missing or out of its range.
        """
        return self.kind.parse(self.values(), f"The {self.kind.heading.lower()}")

    def set_value(self, params: JobParameters) -> None:
        """Show parameters, e.g. those of a run's ``params.json``; `changed` is emitted once."""
        kind = kind_of(params)
        self.set_kind(kind)
        self._setting = True
        try:
            self._kept = {name: getattr(params, name) for name in kind.kept}
            others: tuple[Path, ...] = ()
            if isinstance(params, ClassifyParameters):
                first, others = params.reference[0], params.reference[1:]
            else:
                first = params.reference
            self._others = (first, others) if others else None
            self.panel.set_values(params.model_dump())
            self.particles.choose(params.particles)
            self.reference.choose(first)
            self.solvent_mask.choose(params.mask)
        finally:
            self._setting = False
        self._on_changed()

    @property
    def diameter(self) -> float:
        """Å; 0 while it is not set."""
        return self.diameter_panel.diameter

    @diameter.setter
    def diameter(self, diameter: float) -> None:
        self.form.set_values({"diameter": diameter})

    def missing(self) -> str:
        """Say what a user still has to give, in a sentence; nothing if all is there."""
        wanted = []
        if self.particles.path is None:
            wanted.append("particles")
        if not self.reference.is_chosen:
            wanted.append("a reference")
        if not self.diameter:
            wanted.append("the particle's diameter (Å)")
        if not wanted:
            return ""
        listed = wanted[0] if len(wanted) == 1 else f"{', '.join(wanted[:-1])} and {wanted[-1]}"
        return f"Give {listed}."

    # --- errors -----------------------------------------------------------------------------------------------

    def clear_errors(self) -> None:
        """Take all sentences about faults away."""
        self.reference.set_error("")
        self.solvent_mask.set_error("")
        if self.particles.facts is not None:
            self.particles.set_error("")
        self.panel.clear_errors()

    def set_error(self, field: str, sentence: str) -> bool:
        """Say at a field what is wrong with it; return whether there is such a field."""
        panels: dict[str, Any] = {
            "particles": self.particles,
            "reference": self.reference,
            "mask": self.solvent_mask,
        }
        if field in panels:
            panels[field].set_error(sentence)
            return True
        return self.panel.set_error(field, sentence)

    def error_in_view(self) -> QLabel | None:
        """Return the first sentence about a fault, if there is one."""
        labels = self.findChildren(QLabel, "blushError")
        return next((label for label in labels if label.isVisibleTo(self)), None)

    def validated(self, **files: Path | None) -> JobParameters | None:
        """Return the parameters, with files of layers; None, with a sentence at each fault."""
        found = self.panel.validated(self.values(), **files)
        if not isinstance(found, dict):
            return found
        for field, sentence in found.items():
            self.set_error(field, sentence)
        return None

    def _on_changed(self) -> None:
        if not self._setting:
            self.changed.emit()
