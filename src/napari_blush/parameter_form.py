"""Forms made from parameter models: one control a field, its description and unit as the tooltip."""

from __future__ import annotations

import re
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from magicgui.types import FileDialogMode
from magicgui.widgets import CheckBox, ComboBox, FileEdit, FloatSpinBox, LineEdit, SpinBox
from magicgui.widgets.bases import ValueWidget
from pydantic.fields import FieldInfo
from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QComboBox, QFormLayout, QLabel, QWidget

from blushcore.protocol import Parameters
from napari_blush.controls import mend_controls

_UNIT = re.compile(r"\((Å|°|px|s|GiB)\)")
_LARGEST = 1e5
_NOTHING: dict[type, Any] = {FloatSpinBox: 0, SpinBox: 0, LineEdit: ""}
"""What a control holds when a field that may be None is; a file's holds None itself."""
_LEAST_CHARACTERS = 10
"""Long names of devices and files do not widen the dock: they are cut, and whole in the tooltip."""


class ParameterForm(QWidget):
    """A form for a parameter model, or for some of its fields.

    `value` and `set_value` go round: what is set comes back. Numbers that may be None show a word of their own
    for it, at the bottom of their range.

    Parameters
    ----------
    model
        Whose fields to show. Fields that are not shown keep the value they had.
    fields
        Names of those to show, in this order; by default all.
    labels
        What a field is called, where its name will not do.
    nothing
        For fields that may be None, the word for it.
    choices
        For text fields that take one of a few values: what each is called, and the value.
    parent
        Qt's parent.
    """

    changed = Signal()
    """Somebody changed a value, or `set_value` did."""

    def __init__(
        self,
        model: type[Parameters],
        *,
        fields: Sequence[str] | None = None,
        labels: Mapping[str, str] | None = None,
        nothing: Mapping[str, str] | None = None,
        choices: Mapping[str, Sequence[tuple[str, Any]]] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._hidden: Parameters | None = None
        self._model = model
        self._controls: dict[str, ValueWidget[Any]] = {}
        self._offered: dict[str, list[tuple[str, Any]]] = {}
        self._optional: set[str] = set()
        self._setting = False
        self._exact: dict[str, Any] = {}
        self._names: dict[tuple[str, Any], str] = {}
        self._errors: dict[str, QLabel] = {}
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for name in fields or list(model.model_fields):
            field = model.model_fields[name]
            offered = _choices(field, (choices or {}).get(name))
            control = _control(field, offered, (nothing or {}).get(name, "default"))
            if offered is not None:
                self._offered[name] = offered
            if _is_optional(field):
                self._optional.add(name)
            control.changed.connect(self._on_changed)
            self._controls[name] = control
            label = QLabel((labels or {}).get(name, name.replace("_", " ").capitalize()))
            for widget in (label, control.native):
                widget.setToolTip(field.description or "")
            layout.addRow(label, control.native)
            error = QLabel()
            error.setObjectName("blushError")
            error.setWordWrap(True)
            error.hide()
            layout.addRow(error)
            self._errors[name] = error
        mend_controls(self)

    def value(self) -> Parameters:
        """Return the parameters as the form has them.

        Raises
        ------
        pydantic.ValidationError
            If the model refuses them; with controls that know their range it does not.
        """
        given = {} if self._hidden is None else self._hidden.model_dump()
        return self._model.model_validate({**given, **self.values()})

    def values(self) -> dict[str, Any]:
        """Return what the controls hold, by name: for forms that show a part of what the model needs."""
        return {name: self._read(name) for name in self._controls}

    def set_values(self, values: Mapping[str, Any]) -> None:
        """Show some values by name, others stay; `changed` is emitted once, if anything differs."""
        before = self.values()
        self._setting = True
        try:
            for name in self._controls.keys() & values.keys():
                self._write(name, values[name])
        finally:
            self._setting = False
        if self.values() != before:
            self.changed.emit()

    def set_error(self, name: str, sentence: str) -> bool:
        """Say under a field what is wrong with it, or nothing; return whether the form has the field."""
        if name not in self._errors:
            return False
        self._errors[name].setText(sentence)
        self._errors[name].setVisible(bool(sentence))
        return True

    def set_value(self, value: Parameters) -> None:
        """Show parameters; `changed` is emitted once, if anything differs."""
        before = self.value()
        self._hidden = value
        self._setting = True
        try:
            for name in self._controls:
                self._write(name, getattr(value, name))
        finally:
            self._setting = False
        if self.value() != before:
            self.changed.emit()

    def set_choices(self, name: str, choices: Sequence[tuple[str, Any]]) -> None:
        """Replace the choices of a field; its value stays if it still is one, and is else added."""
        chosen = self._controls[name].value
        self._setting = True
        try:
            self._offer(name, choices, chosen)
        finally:
            self._setting = False

    def name_choice(self, name: str, words: str, value: Any) -> None:
        """Say what a value of a field with choices is called where it is not among them."""
        self._names[name, value] = words

    def _offer(self, name: str, choices: Sequence[tuple[str, Any]], chosen: Any) -> None:
        offered = list(choices)
        if all(value != chosen for _, value in offered):
            offered.append((self._names.get((name, chosen), str(chosen)), chosen))
        control = self._controls[name]
        assert isinstance(control, ComboBox)
        if offered != self._offered[name]:
            self._offered[name] = offered
            control.choices = offered
        control.value = chosen

    def set_step(self, name: str, step: float, *, decimals: int | None = None) -> None:
        """Set by how much the arrows of a number's control change it, and how many decimals it shows."""
        control = self._controls[name]
        assert isinstance(control, FloatSpinBox | SpinBox)
        control.step = step
        if decimals is not None:
            control.native.setDecimals(decimals)

    def set_nothing(self, name: str, word: str) -> None:
        """Show a word at the bottom of a number's range, for a field that must be given and is not yet."""
        self._controls[name].native.setSpecialValueText(word)

    def control(self, name: str) -> QWidget:
        """Return the Qt widget of a field."""
        native: QWidget = self._controls[name].native
        return native

    def _read(self, name: str) -> Any:
        value = self._controls[name].value
        if name in self._optional and isinstance(self._controls[name], FloatSpinBox | SpinBox) and value == 0:
            return None
        if name in self._optional and value in ("", Path()):
            return None
        # A value that the control shows rounded, and that nobody changed, is what was set.
        exact = self._exact.get(name)
        if isinstance(exact, float) and exact != value:
            decimals = self._controls[name].native.decimals()
            return exact if abs(exact - value) <= 0.5000001 * 10.0**-decimals else value
        return value

    def _write(self, name: str, value: Any) -> None:
        control = self._controls[name]
        self._exact[name] = value
        if isinstance(control, ComboBox):
            self._offer(name, self._offered[name], value)
        elif value is None:
            control.value = _NOTHING.get(type(control))
        else:
            control.value = value

    def _on_changed(self) -> None:
        if not self._setting:
            self.changed.emit()


def _choices(field: FieldInfo, given: Sequence[tuple[str, Any]] | None) -> list[tuple[str, Any]] | None:
    kind = _bare(field.annotation)
    if given is None and get_origin(kind) is Literal:
        return [(str(value), value) for value in get_args(kind)]
    return None if given is None else list(given)


def _control(field: FieldInfo, choices: Sequence[tuple[str, Any]] | None, nothing: str) -> ValueWidget[Any]:
    kind = _bare(field.annotation)
    default = None if field.is_required() else field.get_default(call_default_factory=True)
    if choices is not None:
        box = ComboBox(choices=list(choices), value=default)
        native = box.native
        assert isinstance(native, QComboBox)
        native.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        native.setMinimumContentsLength(_LEAST_CHARACTERS)
        return box
    if kind is bool:
        return CheckBox(value=bool(default))
    if kind is float or kind is int:
        lowest, highest = _range(field)
        if _is_optional(field):
            lowest = 0
        spin: ValueWidget[Any]
        if kind is float:
            spin = FloatSpinBox(value=default or 0, min=lowest, max=highest, step=1)
        else:
            spin = SpinBox(value=default or 0, min=int(lowest), max=int(highest))
        if kind is float:
            spin.native.setDecimals(2 if _is_positive(field) else 3)
        spin.native.setKeyboardTracking(False)  # what is half typed is no value yet
        unit = _UNIT.search(field.description or "")
        if unit:
            spin.native.setSuffix(f" {unit[1]}")
        if _is_optional(field):
            spin.native.setSpecialValueText(nothing)
        return spin
    if kind is Path:
        extra = field.json_schema_extra
        is_folder = isinstance(extra, dict) and extra.get("format") == "directory-path"
        mode = FileDialogMode.EXISTING_DIRECTORY if is_folder else FileDialogMode.EXISTING_FILE
        chosen: Any = FileEdit(value=default, nullable=True, mode=mode)
        return chosen  # type: ignore[no-any-return]
    return LineEdit(value=default or "")


def _parts(annotation: Any) -> tuple[Any, ...]:
    """Return the members of a union, or the one type that it is."""
    origin = get_origin(annotation)
    return get_args(annotation) if origin in (Union, types.UnionType) else (annotation,)


def _bare(annotation: Any) -> Any:
    """Return a field's type without None and without its constraints."""
    [kind, *_] = [part for part in _parts(annotation) if part is not types.NoneType]
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    return kind


def _is_optional(field: FieldInfo) -> bool:
    return types.NoneType in _parts(field.annotation)


def _is_positive(field: FieldInfo) -> bool:
    """Whether a number's constraints say that it is above, or not below, zero."""
    return _range(field)[0] == 0


def _range(field: FieldInfo) -> tuple[float, float]:
    """Return the lowest and highest number that the constraints allow, bounds that are excluded included."""
    constraints = list(field.metadata)
    for part in _parts(field.annotation):
        if get_origin(part) is Annotated:
            constraints += get_args(part)[1:]
    lows = [getattr(one, name, None) for one in constraints for name in ("gt", "ge")]
    highs = [getattr(one, name, None) for one in constraints for name in ("lt", "le")]
    return (
        max((low for low in lows if low is not None), default=-_LARGEST),
        min((high for high in highs if high is not None), default=_LARGEST),
    )
