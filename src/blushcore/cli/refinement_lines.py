"""An iteration of a refinement in a few lines of text, its FSC curve as a row of blocks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

_BLOCKS = " ▁▂▃▄▅▆▇█"
_WIDEST = 64


def is_refinement(figures: Mapping[str, Any]) -> bool:
    """Whether an iteration's figures are those of a refinement."""
    return {"fsc", "resolution_angstrom", "current_size", "voxel_size_angstrom"} <= figures.keys()


def iteration_lines(iteration: int, figures: Mapping[str, Any]) -> str:
    """Return an iteration as people want to see it: how good, how fine, how sure, how long, and why.

    ::

        iteration 7: 8.4 Å (in use 9.1 Å), searched everywhere by 3.8°, images to 44 px, Pmax 0.61, 14.2 s
          moved by 1.9° and 0.33 Å; can be told to 2.2° and 0.93 Å
          FSC ██████████▇▆▄▂▁▁ to 5.2 Å
    """
    get = figures.get
    where = "near the last poses" if get("local_search") else "everywhere"
    last = "last " if get("is_last") else ""
    head = (
        f"{last}iteration {iteration}: {number(get('resolution_angstrom'))} Å "
        f"(in use {number(get('resolution_in_use_angstrom'))} Å), searched {where} by "
        f"{number(get('fine_angular_step_deg'))}°, images to {get('current_size')} px, "
        f"Pmax {number(get('mean_p_max'), 2)}{time_taken(figures)}"
    )
    moved = f"moved by {number(get('change_angle_deg'))}° and {number(get('change_offset_angstrom'), 2)} Å"
    if get("accuracy_angle_deg") is not None:
        moved += (
            f"; can be told to {number(get('accuracy_angle_deg'))}° and "
            f"{number(get('accuracy_offset_angstrom'), 2)} Å"
        )
    if get("spectral_trailing") is False:
        moved += "; without spectral trailing"
    lines = [head, moved, fsc_sketch(figures["fsc"], figures["voxel_size_angstrom"])]
    if get("why"):
        lines.append(str(get("why")))
    return "\n  ".join(lines)


def fsc_sketch(curve: Sequence[float | None], voxel_size: float) -> str:
    """Return an FSC curve from its first shell to Nyquist as a row of blocks, ``█`` for 1.

    Long curves are thinned: each block is the mean of neighbouring shells.
    """
    values = [value or 0.0 for value in curve[1:]]
    bins = -(-len(values) // _WIDEST)
    means = [sum(values[i : i + bins]) / len(values[i : i + bins]) for i in range(0, len(values), bins)]
    top = len(_BLOCKS) - 1
    row = "".join(_BLOCKS[max(0, min(top, round(mean * top)))] for mean in means)
    return f"FSC {row}▏to {2 * voxel_size:.3g} Å"


def number(value: float | None, decimals: int = 1) -> str:
    """Return a figure with so many decimals; a question mark where it is not known."""
    return "?" if value is None or not math.isfinite(value) else f"{value:.{decimals}f}"


def time_taken(figures: Mapping[str, Any]) -> str:
    """Return what an iteration took as the end of a line, and the denoiser's share; nothing if not known."""
    seconds, denoising = figures.get("seconds"), figures.get("denoising_seconds")
    if seconds is None:
        return ""
    words = f", {seconds:.1f} s" if seconds < 60 else f", {seconds / 60:.1f} min"
    share = f" ({100 * denoising / seconds:.0f} % in the denoiser)" if denoising and seconds else ""
    return words + share


def iterations(figures: Mapping[str, Any]) -> str:
    """Return how many iterations a finished run had."""
    count = figures["iterations"]
    return f"{count} iteration{'s' * (count != 1)}"
