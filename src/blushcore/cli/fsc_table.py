"""The FSC on a terminal: the resolution in a sentence, then the curves as a table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from blushcore.shells import FscCurves, Resolution

_ROWS = 24
_BAR_CELLS = 12
_EIGHTHS = " ▏▎▍▌▋▊▉"


def resolution_sentence(curves: FscCurves, found: Resolution) -> str:
    """Say up to where the halves agree."""
    kind = "unmasked" if curves.corrected is None else "corrected"
    if found.reaches_nyquist:
        return (
            f"The halves agree up to Nyquist, {found.angstrom:.2f} Å: "
            f"the {kind} FSC never falls below {found.threshold:g}."
        )
    if found.shell == 0:
        return f"The halves do not agree: the {kind} FSC is below {found.threshold:g} from the first shell on."
    return (
        f"Resolution {found.angstrom:.2f} Å, the last shell ({found.shell}) before the {kind} FSC falls below "
        f"{found.threshold:g} (interpolated {found.interpolated_angstrom:.2f} Å)."
    )


def mask_sentence(curves: FscCurves, outside: Resolution) -> str | None:
    """Say what the mask did; None without one."""
    if curves.mask_fraction is None:
        return None
    share = f"The mask lets {100 * curves.mask_fraction:.1f} % of the box through"
    if curves.randomised_from_shell is None:
        return f"{share}; the unmasked FSC stays above 0.8, so there was nothing to correct for."
    start = curves.resolutions[curves.randomised_from_shell]
    return f"{share}; phases were randomised beyond {start:.2f} Å. Without it: {outside}."


def shown_shells(shells: int, found: Resolution) -> list[int]:
    """Return the shells of a table of about 24 rows: evenly spaced ones, both at the crossing, the last."""
    step = math.ceil((shells - 1) / _ROWS)
    chosen = {*range(step, shells, step), shells - 1, found.shell, found.shell + 1}
    return sorted(shell for shell in chosen if 0 < shell < shells)


def fsc_table(curves: FscCurves, found: Resolution) -> Table:
    """Return the curves as a table, the last shell above the threshold in bold."""
    present = [
        name for name in ("unmasked", "masked", "randomised", "corrected") if getattr(curves, name) is not None
    ]
    shown = shown_shells(len(curves.unmasked), found)
    thinned = len(shown) < len(curves.unmasked) - 1
    table = Table(box=None, pad_edge=False, header_style="bold", caption_justify="left", caption_style="dim")
    for heading in ("shell", "Å", "1/Å", *present):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for shell in shown:
        above = curves.best[shell] >= found.threshold
        table.add_row(
            str(shell),
            f"{curves.resolutions[shell]:.2f}",
            f"{curves.frequencies[shell]:.4f}",
            *(f"{getattr(curves, name)[shell]:.3f}" for name in present),
            Text(bar(curves.best[shell]), style="blue" if above else "bright_black"),
            style="bold" if shell == found.shell else None,
        )
    if thinned:
        table.caption = f"{len(shown)} of {len(curves.unmasked) - 1} shells; --json has all."
    return table


def bar(value: float) -> str:
    """Return a bar as long as `value` (0 to 1) of 12 cells, in eighths of a cell."""
    eighths = round(min(max(value, 0.0), 1.0) * _BAR_CELLS * 8)
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()
