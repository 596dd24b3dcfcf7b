"""Reports of a training and of a fine-tuning as lines of text, one below the other in columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from blushcore.cli.durations import duration

_SHOWN_WAIT = 0.02
"""Share of the time waiting for half-maps from which on it is told: below it more workers are of no use."""


def is_training(figures: Mapping[str, Any]) -> bool:
    """Whether figures are those of a training's report, or of its end."""
    return {"learning_rate", "skipped_steps", "seconds"} <= figures.keys()


def is_finetuning(figures: Mapping[str, Any]) -> bool:
    """Whether figures are those of a look at a fine-tuning's held-out blocks."""
    return {"held_out_loss", "held_out_fsc", "best_step", "seconds"} <= figures.keys()


def is_finetuned(figures: Mapping[str, Any]) -> bool:
    """Whether figures are those of a fine-tuning's end."""
    losses = {"held_out_loss", "held_out_loss_at_start"}
    return {"helped", "best_step", "steps", "seconds", "weights", *losses} <= figures.keys()


def training_line(step: int, figures: Mapping[str, Any]) -> str:
    """Return a report of a training as people want to see it; what is seldom to be told comes last.

    ::

        step   1800,  0:17:09: FSC 0.830 of unseen blocks, +0.055 over the input; loss 0.0566; rate 3.7e-04; …
    """
    words = [agreement(figures), f"rate {figures['learning_rate']:.1e}"]
    if "blocks_per_second" in figures:
        words.append(f"{figures['blocks_per_second']:4.3g} blocks/s")
    if figures.get("targets") == "signal":
        words.append("noise-free targets")
    waiting = figures.get("waiting_share", 0.0)
    if waiting >= _SHOWN_WAIT:
        words.append(f"{100 * waiting:.0f} % of the time waiting for half-maps")
    if skipped := figures["skipped_steps"]:
        words.append(f"{skipped} step{'s' * (skipped != 1)} skipped so far")
    return f"{_place(step, figures)}: {'; '.join(words)}"


def finetuning_line(step: int, figures: Mapping[str, Any]) -> str:
    """Return a look at the held-out blocks as a line.

    ::

        step     50,  0:02:20: FSC 0.512 of held-out blocks, +0.031 over the input; loss 0.8812 (0.9011 at …
    """
    best = figures["best_step"]
    words = f"{agreement(figures)} ({figures['held_out_loss_at_start']:.4f} at first)"
    if step > 0:
        words += ", the best" if step == best else f", best in step {best}"
    return f"{_place(step, figures)}: {words}"


def training_end(figures: Mapping[str, Any]) -> str:
    """Return what a training came to."""
    return f"done in {duration(figures['seconds'])}: {agreement(figures)}"


def finetuning_end(figures: Mapping[str, Any]) -> str:
    """Return what a fine-tuning came to, without where its weights are."""
    took = f"done in {duration(figures['seconds'])}, {figures['steps']} steps"
    if not figures["helped"]:
        return f"{took}: the weights {figures['weights']} are kept; fine-tuning was no better"
    return (
        f"{took}: loss of held-out blocks {figures['held_out_loss_at_start']:.4f} → "
        f"{figures['held_out_loss']:.4f} in step {figures['best_step']}"
    )


def agreement(figures: Mapping[str, Any]) -> str:
    """Return FSC, its gain over the input and the loss, of blocks not trained on where there are any."""
    for prefix, loss, blocks in (
        ("held_out_", "held_out_loss", "held-out blocks"),
        ("validation_", "validation_density_loss", "unseen blocks"),
        ("", "density_loss", "blocks trained on"),
    ):
        if f"{prefix}fsc" in figures:
            fsc, gain = figures[f"{prefix}fsc"], figures[f"{prefix}fsc_gain"]
            return f"FSC {fsc:.3f} of {blocks}, {gain:+.3f} over the input; loss {figures[loss]:.4f}"
    return "no step gave a number"


def _place(step: int, figures: Mapping[str, Any]) -> str:
    return f"step {step:6d}, {duration(figures['seconds']):>8s}"
