"""An iteration of a classification in a few lines of text, one line a class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from blushcore.cli.refinement_lines import number, time_taken

_BAR = 20


def is_classification(figures: Mapping[str, Any]) -> bool:
    """Whether an iteration's figures are those of a classification."""
    return {"class_distribution", "class_resolution_angstrom", "change_classes"} <= figures.keys()


def classification_lines(iteration: int, figures: Mapping[str, Any]) -> str:
    """Return an iteration as people want to see it: the classes, what moved, how sure, how long, and why.

    ::

        iteration 7: 12.0 Å, 4.1 % changed class, images to 44 px, Pmax 0.61, 14.2 s
          class 1  62.4 % ████████████          12.0 Å    624 particles
          class 2  37.6 % ████████              14.1 Å    376 particles
          moved by 1.9° and 0.33 Å
    """
    get = figures.get
    last = "last " if get("is_last") else ""
    head = (
        f"{last}iteration {iteration}: {number(get('resolution_angstrom'))} Å, "
        f"{100 * figures['change_classes']:.1f} % changed class, images to {get('current_size')} px, "
        f"Pmax {number(get('mean_p_max'), 2)}{time_taken(figures)}"
    )
    lines = [head]
    empty = get("empty_classes") or ()
    for index, share in enumerate(figures["class_distribution"]):
        resolution = number(figures["class_resolution_angstrom"][index])
        count = figures["class_particles"][index]
        bar = "█" * round(_BAR * share)
        what = f"{bar:<{_BAR}s} {resolution:>5s} Å {count:>6d} particles"
        what = "empty" if index + 1 in empty else what
        lines.append(f"class {index + 1:<2d} {100 * share:5.1f} % {what}")
    if get("alignment") != "none":
        angle = f"{number(get('change_angle_deg'))}° and " if get("alignment") != "offsets" else ""
        lines.append(f"moved by {angle}{number(get('change_offset_angstrom'), 2)} Å")
    if get("why"):
        lines.append(str(get("why")))
    return "\n  ".join(lines)
