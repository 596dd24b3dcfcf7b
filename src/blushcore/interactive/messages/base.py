"""What all messages are."""

from __future__ import annotations

from typing import TypeAlias

from pydantic import BaseModel, ConfigDict

PROTOCOL = 5
"""Number of this protocol; `Ready` says it first of all."""

Triple: TypeAlias = tuple[float, float, float]


class Message(BaseModel):
    """A request or an event: what came in stays as it is, and nothing is in it that is not named."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
