"""How long something takes, in words."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Return `seconds` as hours, minutes and seconds."""
    minutes, rest = divmod(round(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
