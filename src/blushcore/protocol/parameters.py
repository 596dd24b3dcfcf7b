"""Base of every job's parameter model."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict


class Parameters(BaseModel):
    """A job's parameters: frozen, validated, and closed to names it does not know.

    One model drives the command line, the GUI's panels and the run directory's ``params.json``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    def replace(self, **changes: Any) -> Self:
        """Return a copy with `changes` applied and validated as if it had been built from scratch."""
        return type(self).model_validate({**self.model_dump(), **changes})

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
