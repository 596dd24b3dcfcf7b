"""Parameters are frozen, validated, and explain themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field, ValidationError, model_validator

from blushcore.protocol import BlushError, Parameters


class Walk(Parameters):
    """A walk."""

    positional = ("start",)

    start: Path
    steps: int = Field(3, ge=1)
    size: float = 1.0

    @model_validator(mode="after")
    def _together(self) -> Walk:
        if self.steps * self.size > 100:
            raise ValueError("steps times size is more than 100")
        return self


def test_parameters_are_frozen_and_closed() -> None:
    walk = Walk(start=Path("a"))
    with pytest.raises(ValidationError):
        walk.steps = 4  # type: ignore[misc]
    with pytest.raises(ValidationError):
        Walk(start=Path("a"), stepps=4)  # type: ignore[call-arg]
    with pytest.raises(ValidationError):
        Walk(start=Path("a"), size=float("nan"))


def test_replace_validates() -> None:
    walk = Walk(start=Path("a"))
    assert walk.replace(steps=5) == Walk(start=Path("a"), steps=5)
    with pytest.raises(ValidationError):
        walk.replace(steps=0)


def test_the_repr_shows_what_is_not_default() -> None:
    assert repr(Walk(start=Path("a"), steps=5)) == "Walk(start=PosixPath('a'), steps=5)"
    assert Walk(start=Path("a")).non_defaults() == {"start": Path("a")}


def test_json_comes_back() -> None:
    walk = Walk(start=Path("a"), steps=5)
    assert Walk.parse(walk.model_dump(mode="json"), "here") == walk


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "params.json: start is missing."),
        ({"start": "a", "steps": 0}, "params.json: steps should be greater than or equal to 1 (it is 0)."),
        ({"start": "a", "speed": 0}, "params.json: speed is not a known parameter."),
        ({"start": "a", "size": 90}, "params.json: the parameters: steps times size is more than 100."),
        ({"steps": "x"}, "params.json: start is missing. steps should be a valid integer"),
    ],
)
def test_what_is_wrong_is_said_by_field(values: dict[str, object], sentence: str) -> None:
    with pytest.raises(BlushError) as caught:
        Walk.parse(values, "params.json")
    assert str(caught.value).startswith(sentence)


def test_paths_become_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert Walk(start=Path("a/b")).with_absolute_paths().start == tmp_path / "a" / "b"
    assert Walk(start=Path("/x")).with_absolute_paths() == Walk(start=Path("/x"))


def test_fields_are_options_unless_named_positional() -> None:
    assert [name for name, field in Walk.model_fields.items() if not field.kw_only] == ["start"]
