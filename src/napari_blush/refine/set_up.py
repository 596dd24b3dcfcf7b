"""All that a refinement is told: the form of `RefineParameters`, in parts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from blushcore.jobs.refine.parameters import RefineParameters
from blushcore.protocol import explain_validation_error
from napari_blush.background import Background
from napari_blush.panels.cards import Section
from napari_blush.parameter_form import ParameterForm
from napari_blush.refine.map_choice import MapChoice
from napari_blush.refine.particles_panel import ParticlesPanel

if TYPE_CHECKING:
    from napari.viewer import Viewer

_FILES = ("particles", "reference", "mask")
_ELSEWHERE = ("continue_from",)
"""What is chosen by going on with a run, and kept as it was set."""
_MAIN = ("diameter", "symmetry", "prior", "weights", "device")
_NOTHING = {"offset_range": "5 pixels", "offset_step": "2 pixels"}
_LABELS = {
    "healpix_order": "HEALPix order",
    "local_from_order": "Local from order",
    "initial_lowpass": "Initial low-pass",
    "first_iteration_cc": "First by correlation",
    "tau_fudge": "Tau fudge (T)",
    "low_resolution_join": "Join halves up to",
    "max_iterations": "Iterations at most",
    "resample_reference": "Resample reference",
    "keep": "Keep of the maps",
    "root": "Images' folder",
}


def usable_priors() -> list[str]:
    """Return the priors that the model takes, Blush first where it does."""
    known = {"particles": "a.star", "reference": "a.mrc", "diameter": 1.0}
    found = []
    for prior in ("blush", "wiener"):
        try:
            RefineParameters.model_validate({**known, "prior": prior})
        except ValidationError:
            continue
        found.append(prior)
    return found


class SetUp(QWidget):
    """Particles, reference, mask and everything else that a refinement is told.

    `value` and `set_value` go round: parameters that are set come back equal, and so does ``params.json``.
    """

    changed = Signal()
    """Anything that `value` depends on."""
    estimate_clicked = Signal()
    circle_toggled = Signal(bool)

    def __init__(self, viewer: Viewer, background: Background) -> None:
        super().__init__()
        self._setting = False
        self.particles = ParticlesPanel(background)
        self.reference = MapChoice(
            viewer,
            "Reference",
            "choose a map",
            "Map to begin with, of the particles' box and pixel size (Å); it is low-passed first",
        )
        self.solvent_mask = MapChoice(
            viewer, "Solvent mask", "a sphere of the diameter", "Solvent mask (0 to 1) on the particles' grid"
        )
        fields = RefineParameters.model_fields
        main = [name for name in _MAIN if name in fields]
        expert = [name for name in fields if name not in (*_MAIN, *_FILES, *_ELSEWHERE)]
        self._kept: dict[str, Any] = {}
        self.priors = usable_priors()
        choices: dict[str, list[tuple[str, Any]]] = {
            "device": [("automatic", "auto")],
            "prior": [(name.capitalize(), name) for name in self.priors],
        }
        if "weights" in fields:
            choices["weights"] = [("default", None)]
        self.form = ParameterForm(RefineParameters, fields=main, nothing=_NOTHING, choices=choices)
        self.form.set_step("diameter", 5)
        self.form.set_nothing("diameter", "not set")
        self.expert = ParameterForm(RefineParameters, fields=expert, nothing=_NOTHING, labels=_LABELS)
        self._build()
        self.particles.chosen.connect(self._on_changed)
        self.particles.came.connect(self._on_changed)
        for signal in (
            self.reference.changed,
            self.solvent_mask.changed,
            self.form.changed,
            self.expert.changed,
        ):
            signal.connect(self._on_changed)
        if self.priors:
            self.form.set_values({"prior": self.priors[0]})
        self._on_changed()

    def _build(self) -> None:
        maps = Section("Reference and mask")
        rows = QFormLayout()
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        rows.addRow("Reference", self.reference)
        rows.addRow("Mask", self.solvent_mask)
        maps.body.addLayout(rows)

        method = Section("Refinement")
        method.body.addWidget(self.form)
        self.circle_box = QCheckBox("Show circle")
        self.circle_box.setChecked(True)
        self.circle_box.setToolTip("Draw the particle's sphere (Å) on the reference; drag it to change it")
        self.estimate_button = QPushButton("Estimate")
        self.estimate_button.setToolTip(
            "Diameter (Å) of the sphere about the box's centre that holds what stands out of the reference"
        )
        row = QHBoxLayout()
        row.addWidget(self.circle_box, 1)
        row.addWidget(self.estimate_button)
        method.body.addLayout(row)

        self.expert_section = Section("Expert")
        self.expert_section.heading.hide()
        self.expert_button = QToolButton()
        self.expert_button.setText("▸  Expert: sampling and regularisation")
        self.expert_button.setToolTip("Show what seldom needs to be changed")
        self.expert_button.setCheckable(True)
        self.expert_button.setObjectName("blushFold")
        self.expert_section.body.addWidget(self.expert_button)
        self.expert_section.body.addWidget(self.expert)
        self.expert.hide()

        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        for section in (self.particles, maps, method, self.expert_section):
            column.addWidget(section)
        self.expert_button.toggled.connect(self._on_fold)
        self.estimate_button.clicked.connect(self.estimate_clicked)
        self.circle_box.toggled.connect(self.circle_toggled)

    # --- values -----------------------------------------------------------------------------------------------

    def values(self) -> dict[str, Any]:
        """Return what is set, by name; what is missing is None. Layers without a file are None too."""
        values = {**self.form.values(), **self.expert.values()}
        if values["prior"] != "blush":
            values |= {name: None for name in ("weights",) if name in values} | {"spectral_trailing": True}
        return {
            **self._kept,
            **values,
            "particles": self.particles.path,
            "reference": self.reference.path,
            "mask": self.solvent_mask.path,
        }

    def value(self) -> RefineParameters:
        """Return the parameters.

        Raises
        ------
        BlushError
            If something is missing or out of its range.
        """
        return RefineParameters.parse(self.values(), "The refinement")

    def set_value(self, params: RefineParameters) -> None:
        """Show parameters, e.g. those of a run's ``params.json``; `changed` is emitted once."""
        self._setting = True
        try:
            self._kept = {name: getattr(params, name) for name in _ELSEWHERE if hasattr(params, name)}
            self.form.set_values(params.model_dump())
            self.expert.set_values(params.model_dump())
            self.particles.choose(params.particles)
            self.reference.choose(params.reference)
            self.solvent_mask.choose(params.mask)
        finally:
            self._setting = False
        self._on_changed()

    @property
    def diameter(self) -> float:
        """Å; 0 while it is not set."""
        return float(self.form.values()["diameter"] or 0.0)

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
        for form in (self.form, self.expert):
            for name in RefineParameters.model_fields:
                form.set_error(name, "")

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
        if self.expert.set_error(field, sentence):
            self.expert_button.setChecked(True)
            return True
        return self.form.set_error(field, sentence)

    def error_in_view(self) -> QLabel | None:
        """Return the first sentence about a fault, if there is one."""
        labels = self.findChildren(QLabel, "blushError")
        return next((label for label in labels if not label.isHidden()), None)

    def validated(self, **paths: Path | None) -> RefineParameters | None:
        """Return the parameters, with files of layers in `paths`; None, with a sentence at each fault."""
        try:
            return RefineParameters.model_validate({**self.values(), **paths})
        except ValidationError as error:
            for finding in error.errors(include_url=False):
                field = str(finding["loc"][0]) if finding["loc"] else _named_in(finding["msg"])
                self.set_error(field, _sentence(finding, error.title))
            return None

    def _on_changed(self) -> None:
        denoises = self.form.values()["prior"] == "blush"
        self.expert.control("spectral_trailing").setEnabled(denoises)
        if "weights" in self.form.values():
            self.form.control("weights").setEnabled(denoises)
        if not self._setting:
            self.changed.emit()

    def _on_fold(self, on: bool) -> None:
        self.expert.setVisible(on)
        self.expert_button.setText(f"{'▾' if on else '▸'}  Expert: sampling and regularisation")


def _named_in(message: str) -> str:
    """Return the parameter that a sentence about several of them names first."""
    places = {name: message.find(name.replace("_", " ")) for name in RefineParameters.model_fields}
    places |= {name: message.find(name) for name in places if name in message}
    return min((name for name, place in places.items() if place >= 0), key=places.__getitem__, default="prior")


def _sentence(finding: Any, title: str) -> str:
    """Say what is wrong with one field."""
    if finding["type"] == "string_pattern_mismatch":
        description = RefineParameters.model_fields[str(finding["loc"][0])].description
        return f"{finding['input'] or 'Nothing'} will not do. {description}."
    again: Any = {key: finding[key] for key in ("type", "loc", "input", "ctx") if key in finding}
    one = ValidationError.from_exception_data(title, [again])
    return explain_validation_error(one, lambda name: name.replace("_", " ").capitalize())
