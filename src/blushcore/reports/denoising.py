"""What a report tells of the denoiser: whether it kept to the data, where that was measured, and its cost."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

from blushcore.reports import charts
from blushcore.reports.facts import RunFacts


def denoiser_section(facts: RunFacts) -> str:
    """Return what the denoiser did to the maps, and what it took; nothing of a run without one."""
    known = [figures for figures in facts.history if figures.get("denoiser_cross_fsc")]
    if known:
        gain = charts.over_iterations(known, (("denoiser_gain", "gain"),), "gain in cross-validation")
        return f'{charts.denoiser_chart(known[-1])}{_held(facts, known[-1])}<div class="pair">{gain}</div>'
    if not _seconds(facts)[0]:
        return ""
    if facts.newest.get("class_distribution"):
        said = (
            "In each iteration the map of every class went through the denoiser, the last time too. There are "
            "no halves to hold it against: refine a class on its own for that."
        )
    else:
        said = "Half-maps went through the denoiser. What it did to them was not measured."
    return f'<p class="caption">{said} Weights {_weights(facts.newest)}.{_cost(facts)}</p>'


def _held(facts: RunFacts, last: Mapping[str, Any]) -> str:
    """Tell what the curves of the last iteration that has any mean."""
    cut = last.get("cutoff_angstrom")
    trailing = f"Denoised maps are cut off at {cut:.2f} Å." if cut else "Denoised maps are not cut off."
    return (
        f'<p class="caption">Does it keep to the data? Iteration {last["iteration"]}, weights '
        f"{_weights(last)}. Each denoised half against the raw <i>other</i> one: above the "
        "dashed curve noise was taken away, below it signal was lost or detail made up "
        f"(gain {last['denoiser_gain']:+.3f}). {trailing}{_cost(facts)} None of these is a resolution.</p>"
    )


def _cost(facts: RunFacts) -> str:
    denoising, total = _seconds(facts)
    return f" It took {100 * denoising / total:.0f} % of the time." if total else ""


def _seconds(facts: RunFacts) -> tuple[float, float]:
    """Return what the denoiser and what all stages of all iterations took."""
    stages = [figures.get("stage_seconds") or {} for figures in facts.history]
    return sum(each.get("denoising", 0.0) for each in stages), sum(sum(each.values()) for each in stages)


def _weights(figures: Mapping[str, Any]) -> str:
    return html.escape(str(figures.get("weights", "")))
