"""Base of every job's parameter model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from blushcore.protocol.errors import BlushError


class Parameters(BaseModel):
    """A job's parameters: frozen, validated, and closed to names it does not know.

    One model drives the command line, the GUI's panels and the run directory's ``params.json``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    positional: ClassVar[tuple[str, ...]] = ()
    """Names of the fields that a command line takes by position; all others are options."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        for name, field in cls.model_fields.items():
            field.kw_only = name not in cls.positional

    @classmethod
    def parse(cls, values: Mapping[str, Any], where: str) -> Self:
        """Build the parameters from `values`; `where` they come from is named in the error.

        Raises
        ------
        BlushError
            If a value is missing, unknown or out of its range; the sentence names the fields.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise BlushError(f"{where}: {explain_validation_error(error)}") from error

    def replace(self, **changes: Any) -> Self:
        """Return a copy with `changes` applied and validated as if it had been built from scratch."""
        return type(self).model_validate({**self.model_dump(), **changes})

    def with_absolute_paths(self) -> Self:
        """Return a copy whose fields that are paths do not depend on the working directory."""
        paths = {name: value.absolute() for name, value in self if isinstance(value, Path)}
        return self.replace(**paths)

    def non_defaults(self) -> dict[str, Any]:
        """Return the fields whose value differs from their default (required ones always)."""
        fields = type(self).model_fields
        return {
            name: value
            for name, value in self
            if fields[name].is_required() or value != fields[name].get_default(call_default_factory=True)
        }

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={value!r}" for name, value in self.non_defaults().items())
        return f"{type(self).__name__}({inside})"

    __str__ = __repr__


def explain_validation_error(error: ValidationError, name_of: Callable[[str], str] = str) -> str:
    """Return pydantic's findings as plain sentences, each with the field's name and the value given.

    Parameters
    ----------
    error
        What pydantic raised.
    name_of
        Turns a field's name into what the user knows it by, e.g. an option of the command line.
    """
    sentences = []
    for finding in error.errors(include_url=False):
        location = [str(part) for part in finding["loc"]]
        name = ".".join([name_of(location[0]), *location[1:]]) if location else "the parameters"
        match finding["type"]:
            case "missing":
                sentences.append(f"{name} is missing.")
            case "extra_forbidden":
                sentences.append(f"{name} is not a known parameter.")
            case "path_type":
                sentences.append(f"{name} should be a file name (it is {finding['input']!r}).")
            case "string_pattern_mismatch":
                sentences.append(f"{name} cannot be {finding['input']!r}.")
            case "value_error":
                sentences.append(f"{name}: {str(finding['ctx']['error']).rstrip('.')}.")
            case _:
                text = finding["msg"].removeprefix("Input ").rstrip(".")
                sentences.append(f"{name} {text} (it is {finding['input']!r}).")
    return " ".join(sentences)
