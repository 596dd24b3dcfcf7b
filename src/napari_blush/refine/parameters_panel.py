"""What one job is told besides its files: a form in two parts, the second folded away."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QToolButton, QVBoxLayout, QWidget

from blushcore.protocol import explain_validation_error
from napari_blush.panels.cards import Section
from napari_blush.panels.diameter import DiameterPanel
from napari_blush.panels.network import NetworkChoice
from napari_blush.parameter_form import ParameterForm
from napari_blush.refine.kinds import LABELS, JobKind, JobParameters

if TYPE_CHECKING:
    from napari.viewer import Viewer

_FOLD = "Expert: sampling and regularisation"
_NOTHING = {"offset_range": "5 pixels", "offset_step": "2 pixels", "highest_resolution": "Nyquist"}

_ONLY_BLUSH = ("weights", "spectral_trailing", "safeguards")


class ParametersPanel(QWidget):
    """The form of one job.

    Parameters
    ----------
    viewer
        On whose canvas the circle of the diameter is drawn.
    kind
        The job.
    """

    changed = Signal()

    def __init__(self, viewer: Viewer, kind: JobKind) -> None:
        super().__init__()
        self.setObjectName("blushPlain")
        self.kind = kind
        fields = kind.model.model_fields
        main = [name for name in kind.main if name in fields]
        choices: dict[str, list[tuple[str, Any]]] = {
            "device": [("automatic", "auto")],
            "prior": [(name.capitalize(), name) for name in ("blush", "wiener")],
            "weights": [("default", None)],
            **{name: list(offered) for name, offered in kind.choices.items()},
        }
        self.form = ParameterForm(kind.model, fields=main, nothing=_NOTHING, choices=choices, labels=LABELS)
        self.form.set_step("diameter", 5)
        self.form.set_nothing("diameter", "not set")
        self.expert = ParameterForm(kind.model, fields=kind.expert, nothing=_NOTHING, labels=LABELS)
        self.network = NetworkChoice(self.form)
        self.diameter_panel = DiameterPanel(viewer, self.form)
        self._build()
        self.network.changed.connect(self._on_changed)
        self.expert.changed.connect(self._on_changed)
        self._enable()

    def _build(self) -> None:
        method = Section(self.kind.heading)
        method.body.addWidget(self.form)
        method.body.addWidget(self.diameter_panel)
        self.expert_section = Section("Expert")
        self.expert_section.heading.hide()
        self.expert_button = QToolButton()
        self.expert_button.setText(f"▸  {_FOLD}")
        self.expert_button.setToolTip("Show what seldom needs to be changed")
        self.expert_button.setCheckable(True)
        self.expert_button.setObjectName("blushFold")
        self.expert_button.toggled.connect(self._on_fold)
        self.expert_section.body.addWidget(self.expert_button)
        self.expert_section.body.addWidget(self.expert)
        self.expert.hide()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(method)
        column.addWidget(self.expert_section)

    def values(self) -> dict[str, Any]:
        """Return what is set, by name; what only the prior blush has is as by default for others."""
        values = {**self.form.values(), **self.expert.values()}
        if values["prior"] != "blush":
            fields = self.kind.model.model_fields
            values |= {name: fields[name].default for name in _ONLY_BLUSH if name in values}
        return values

    def set_values(self, values: dict[str, Any]) -> None:
        """Show values by name; others stay."""
        self.form.set_values(values)
        self.expert.set_values(values)

    def set_error(self, field: str, sentence: str) -> bool:
        """Say at a field what is wrong with it; return whether there is such a field."""
        if self.expert.set_error(field, sentence):
            self.expert_button.setChecked(True)
            return True
        return self.form.set_error(field, sentence)

    def clear_errors(self) -> None:
        """Take all sentences about faults away."""
        for name in self.kind.model.model_fields:
            self.form.set_error(name, "")
            self.expert.set_error(name, "")

    def validated(self, values: dict[str, Any], **files: Path | None) -> JobParameters | dict[str, str]:
        """Return the parameters that values amount to; else, for each field that will not do, a sentence."""
        try:
            return self.kind.model.model_validate(self.kind.with_files(values, **files))
        except ValidationError as error:
            faults: dict[str, str] = {}
            for finding in error.errors(include_url=False):
                field = str(finding["loc"][0]) if finding["loc"] else self._named_in(finding["msg"])
                faults.setdefault(field, self._sentence(finding, error.title))
            return faults

    def _named_in(self, message: str) -> str:
        """Return the parameter that a sentence about several of them names first."""
        fields = self.kind.model.model_fields
        places = {name: message.find(name.replace("_", " ")) for name in fields}
        places |= {name: message.find(name) for name in places if name in message}
        return min((name for name, at in places.items() if at >= 0), key=places.__getitem__, default="prior")

    def _sentence(self, finding: Any, title: str) -> str:
        """Say what is wrong with one field."""
        if finding["type"] == "string_pattern_mismatch":
            description = self.kind.model.model_fields[str(finding["loc"][0])].description
            return f"{finding['input'] or 'Nothing'} will not do. {description}."
        again: Any = {key: finding[key] for key in ("type", "loc", "input", "ctx") if key in finding}
        one = ValidationError.from_exception_data(title, [again])
        return explain_validation_error(one, lambda name: name.replace("_", " ").capitalize())

    def _on_changed(self) -> None:
        self._enable()
        self.changed.emit()

    def _enable(self) -> None:
        denoises = self.form.values()["prior"] == "blush"
        for form in (self.form, self.expert):
            for name in _ONLY_BLUSH:
                if name in form.values():
                    form.control(name).setEnabled(denoises)

    def _on_fold(self, on: bool) -> None:
        self.expert.setVisible(on)
        self.expert_button.setText(f"{'▾' if on else '▸'}  {_FOLD}")
