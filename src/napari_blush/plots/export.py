"""What plots export: tables, and figures for papers."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 240


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Return a table as CSV, UTF-8."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()


def blank_figure(width_inches: float, height_inches: float) -> Figure:
    """Return an empty figure on white."""
    from matplotlib.figure import Figure

    size = (width_inches, height_inches)
    return Figure(figsize=size, dpi=DPI, facecolor="white", layout="constrained")


def drawn(figure: Figure, file_format: str) -> bytes:
    """Return a figure as a file's content, ``png`` or ``svg``; in SVG, text is text."""
    from matplotlib import rc_context

    content = io.BytesIO()
    with rc_context({"svg.fonttype": "none"}):
        figure.savefig(content, format=file_format)
    return content.getvalue()
