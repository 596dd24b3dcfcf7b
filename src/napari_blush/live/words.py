"""How a run stands, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from blushcore.protocol import Failed
from napari_blush.live.status import RunStatus
from napari_blush.panels.words import duration

Tone: TypeAlias = Literal["idle", "busy", "good", "bad", "ask"]

_LIVES: dict[str, tuple[Tone, str, str]] = {
    "waiting": ("idle", "Waiting", "No worker has begun it."),
    "running": ("busy", "Running", ""),
    "silent": ("ask", "No sign of life", "Its process hangs or sleeps, or its disk or machine is away."),
    "dead": (
        "bad",
        "Its process is gone",
        "It ended without a word, and can be resumed.",
    ),
    "finished": ("good", "Finished", ""),
    "failed": ("bad", "Failed", ""),
    "stopped": ("idle", "Stopped", "It was stopped before its end, and can be resumed."),
    "unreachable": ("ask", "Not there", "The run directory cannot be reached; it is looked for."),
}

WITHOUT_TRAILING = "without spectral trailing: the resolution may be told too good"
"""The mark of a run whose references kept what the network made up."""


@dataclass(frozen=True)
class Standing:
    """What is said of a run: tone, a word or two, a sentence."""

    tone: Tone
    title: str
    text: str


def standing(status: RunStatus) -> Standing:
    """Say how a run stands."""
    tone, title, text = _LIVES[status.life]
    if status.life == "running":
        title = "Paused" if status.paused else title
        tone = "idle" if status.paused else tone
        text = _stage(status)
    elif status.life in ("silent", "unreachable") and status.iteration is not None:
        text += f" Iteration {status.iteration} was the last that came."
    elif status.life == "failed" and status.ending is not None and isinstance(status.ending.event, Failed):
        text = f"{status.ending.event.problem} {status.ending.event.remedy}".strip()
    elif status.life == "finished":
        text = _result(status)
    return Standing(tone, title, text)


def _stage(status: RunStatus) -> str:
    if not status.stage:
        return "It has begun."
    words = status.stage[:1].upper() + status.stage[1:]
    if status.total:
        words += f": {status.done} of {status.total} {status.unit}".rstrip()
    if status.eta_seconds:
        words += f" · {duration(status.eta_seconds)} left"
    return words


def _result(status: RunStatus) -> str:
    figures = status.figures
    resolution = figures.get("resolution_angstrom")
    words = f"{status.iteration} iteration{'s' * (status.iteration != 1)}" if status.iteration else "It is done"
    if not resolution:
        return f"{words}."
    criterion = "in the best class (SSNR 1)" if has_classes(figures) else "at FSC 0.143"
    return f"{words}, {resolution:.2f} Å {criterion}."


def has_classes(figures: Mapping[str, Any]) -> bool:
    """Whether figures are of a classification."""
    return bool(figures.get("class_distribution"))


def key_figures(history: Sequence[Mapping[str, Any]]) -> str:
    """Return a run's newest figures in a line; nothing before the first iteration."""
    if not history or len(history[-1]) == 1:
        return ""
    newest = history[-1]
    words = [f"Iteration {newest['iteration']}"]
    for name, text, factor in (
        ("resolution_angstrom", "best class {:.2f} Å" if has_classes(newest) else "{:.2f} Å at 0.143", 1.0),
        ("change_classes", "{:.0f} % changed class", 100.0),
        ("angular_step_deg", "step {:.3g}°", 1.0),
        ("current_size", "images {} px", 1),
        ("seconds", "{:.0f} s", 1.0),
    ):
        if newest.get(name) is not None:
            words.append(text.format(newest[name] * factor))
    if newest.get("seconds") and newest.get("denoising_seconds"):
        words[-1] += f" ({100 * newest['denoising_seconds'] / newest['seconds']:.0f} % in the denoiser)"
    if newest.get("spectral_trailing") is False:
        words.append(WITHOUT_TRAILING)
    return " · ".join(words)
