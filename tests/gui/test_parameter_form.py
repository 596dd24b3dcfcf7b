"""Forms made from parameter models."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field, PositiveFloat

from blushcore.interactive.messages import DenoiseSettings
from blushcore.protocol import Parameters

pytestmark = pytest.mark.gui


class Everything(Parameters):
    """One field of each kind."""

    number: PositiveFloat = Field(2.5, description="A length (Å)")
    signed: float = Field(-1.0, description="A shift (px)")
    perhaps: PositiveFloat | None = Field(None, description="A diameter (Å)")
    count: int = Field(3, ge=0, description="How many")
    switch: bool = Field(False, description="Whether")
    kind: Literal["one", "two"] = Field("one", description="Which")
    text: str | None = Field(None, description="What")
    file: Path | None = Field(None, description="Where")


OTHER = Everything(
    number=7.25, signed=-3.5, perhaps=120, count=9, switch=True, kind="two", text="words", file=Path("/a/b.mrc")
)


def test_values_go_round(qtbot):
    from napari_blush.parameter_form import ParameterForm

    form = ParameterForm(Everything)
    qtbot.addWidget(form)
    assert form.value() == Everything()
    changes = []
    form.changed.connect(lambda: changes.append(form.value()))
    form.set_value(OTHER)
    assert changes == [OTHER]
    form.set_value(OTHER)
    assert len(changes) == 1
    form.set_value(Everything())
    assert form.value() == Everything()


def test_units_and_descriptions_are_shown(qtbot):
    from napari_blush.parameter_form import ParameterForm

    form = ParameterForm(Everything, nothing={"perhaps": "whole box"})
    qtbot.addWidget(form)
    assert form.control("number").text() == "2.50 Å"
    assert form.control("perhaps").text() == "whole box"
    assert form.control("signed").suffix() == " px"
    assert all(form.control(name).toolTip() for name in Everything.model_fields)


def test_hidden_fields_keep_their_values(qtbot):
    from napari_blush.parameter_form import ParameterForm

    form = ParameterForm(Everything, fields=["kind"])
    qtbot.addWidget(form)
    form.set_value(OTHER)
    assert form.value() == OTHER


def test_choices_come_and_go_but_not_what_is_chosen(qtbot):
    from napari_blush.parameter_form import ParameterForm

    form = ParameterForm(
        DenoiseSettings, choices={"weights": [("default", None)], "device": [("auto", "auto")]}
    )
    qtbot.addWidget(form)
    form.set_value(DenoiseSettings(weights="mine", device="cuda:3"))
    form.set_choices("weights", [("w1 (default)", None), ("w2", "w2")])
    assert form.value() == DenoiseSettings(weights="mine", device="cuda:3")
    changes = []
    form.changed.connect(lambda: changes.append(form.value()))
    box = form.control("weights")
    box.setCurrentIndex(box.findText("w2"))
    assert changes == [DenoiseSettings(weights="w2", device="cuda:3")]
    box.setCurrentIndex(box.findText("w1 (default)"))
    assert form.value().weights is None


def test_folders_are_chosen_as_folders_and_files_as_files(qtbot):
    from napari_blush.parameter_form import ParameterForm

    class Places(Parameters):
        """A folder and a file."""

        folder: Path | None = Field(None, description="Where", json_schema_extra={"format": "directory-path"})
        file: Path | None = Field(None, description="Which")

    form = ParameterForm(Places)
    qtbot.addWidget(form)
    assert [form._controls[name].mode.value for name in ("folder", "file")] == ["d", "r"]
