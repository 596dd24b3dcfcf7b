"""Values and names of figures as people write them."""

from __future__ import annotations

import math
from typing import Any

_UNITS = {"_angstrom": "Å", "_deg": "°", "_px": "px", "_seconds": "s"}


def value_words(value: Any) -> str:
    """Return a value as people write it."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(value_words(one) for one in value)
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def figure_words(name: str) -> str:
    """Return the name of a figure as people write it, with its unit."""
    for ending, unit in _UNITS.items():
        if name.endswith(ending):
            return f"{name.removesuffix(ending).replace('_', ' ')} ({unit})"
    return name.replace("_", " ")


def resolution_words(angstrom: float) -> str:
    """Return a resolution with its unit; none where a curve is below its threshold from the first shell on."""
    return f"{angstrom:.2f} Å" if math.isfinite(angstrom) else "none"


def where(angstrom: float) -> str:
    """Return where a curve falls below its threshold, as a sentence goes on: at 4.10 Å, or nowhere."""
    return f"at {angstrom:.2f} Å" if math.isfinite(angstrom) else "nowhere"


def duration(seconds: float | None) -> str:
    """Return a time in words."""
    if seconds is None:
        return ""
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
