"""Events as lines of text: one each, but for the iterations of refinements and classifications."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from blushcore import protocol
from blushcore.cli.classification_lines import classification_lines, is_classification
from blushcore.cli.durations import duration
from blushcore.cli.refinement_lines import is_refinement, iteration_lines
from blushcore.cli.training_lines import (
    finetuning_end,
    finetuning_line,
    is_finetuned,
    is_finetuning,
    is_training,
    training_end,
    training_line,
)
from blushcore.protocol import Event, Failed, Finished


def describe(event: Event) -> str:
    """Return `event` as a line for people; empty if there is nothing to say."""
    match event:
        case protocol.Started():
            where = f" on {event.device}" if event.device else ""
            since = event.resumed_from_iteration
            return f"{event.job} {'starts' if since is None else f'goes on from iteration {since}'}{where}"
        case protocol.Progress():
            left = "" if event.eta_seconds is None or event.is_end else f", {duration(event.eta_seconds)} left"
            return f"{event.stage}: {count(event)}{left}"
        case protocol.Message():
            return f"warning: {event.text}" if event.level == "warning" else event.text
        case protocol.IterationDone() if is_classification(event.figures):
            return classification_lines(event.iteration, event.figures)
        case protocol.IterationDone() if is_refinement(event.figures):
            return iteration_lines(event.iteration, event.figures)
        case protocol.IterationDone() if is_training(event.figures):
            return training_line(event.iteration, event.figures)
        case protocol.IterationDone() if is_finetuning(event.figures):
            return finetuning_line(event.iteration, event.figures)
        case protocol.IterationDone():
            return f"iteration {event.iteration}{_figures(event.figures)}"
        case protocol.Acknowledged():
            changes = _figures(event.changes)
            if event.accepted:
                return f"command {event.action}{changes}: obeyed"
            return f"command {event.action or 'unknown'}{changes}: refused, {event.text}"
        case protocol.Paused():
            return "paused"
        case protocol.Resumed():
            return "goes on"
        case Finished() if is_training(event.figures):
            return training_end(event.figures)
        case Finished() if is_finetuned(event.figures):
            return finetuning_end(event.figures)
        case Finished():
            return f"{event.outcome}{_figures(event.figures)}"
        case Failed():
            return f"failed: {event.problem} {event.remedy}".strip()
        case _:
            return ""


def count(event: protocol.Progress) -> str:
    """Return how much of a stage is done."""
    total = f" of {event.total}" if event.total else ""
    return f"{event.done}{total} {event.unit}".rstrip()


def _figures(figures: Mapping[str, Any]) -> str:
    """Return the single numbers and words among `figures`; curves are for the viewer."""
    shown = []
    for name, value in figures.items():
        if isinstance(value, (str, bool, int)):
            shown.append(f"{name} {value}")
        elif isinstance(value, float):
            shown.append(f"{name} {value:.4g}")
    return ": " + ", ".join(shown) if shown else ""
