"""The scorecard as one picture for a model card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from quality_report import NAMES, PEER_ROWS, TIERS, Scorecard, methods


def draw(card: Scorecard, path: Path) -> None:
    """Draw gains by resolution, FSC curves, repeated application and the tests, as one PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 8), layout="constrained")
    axes = figure.subplots(2, 2)
    _draw_gains(axes[0, 0], card)
    _draw_curves(axes[0, 1], card)
    _draw_drift(axes[1, 0], card)
    _draw_verdicts(axes[1, 1], card)
    figure.savefig(path, dpi=110)


def _draw_gains(axes: Any, card: Scorecard) -> None:
    axes.set(
        title="Gain of the mean FSC over input × network's mask", xlabel="resolution (Å)", ylabel="FSC gain"
    )
    resolutions = sorted({record["resolution"] for record in card.quality})
    width = 0.8 / max(1, len(card.weights))
    for index, name in enumerate(card.weights):
        per = [card.gains(name, resolution=resolution) for resolution in resolutions]
        places = [k - 0.4 + width * (index + 0.5) for k, values in enumerate(per) if values]
        if places:
            axes.boxplot([v for v in per if v], positions=places, widths=0.8 * width, showfliers=True)
            axes.plot([], [], label=name)
    for _, least, _ in TIERS:
        axes.axhline(least, color="tab:green", lw=0.6, ls=":")
    axes.axhline(0, color="0.5", lw=0.8)
    axes.set_xticks(range(len(resolutions)), [f"{r:g}" for r in resolutions])


def _draw_curves(axes: Any, card: Scorecard) -> None:
    axes.set(
        title="FSC to the truth in its mask, mean of all cases", xlabel="frequency × resolution", ylabel="FSC"
    )
    grid = np.linspace(0.05, 1, 40)
    for method in methods(card):
        curves = [
            np.interp(grid, np.arange(1, len(curve) + 1) / len(curve), curve)
            for record in card.quality
            if method in record["scores"] and (curve := record["scores"][method]["fsc"])
        ]
        if curves:
            style = {"ls": "--", "lw": 1.0} if method in PEER_ROWS or "×" in method else {"lw": 2.0}
            axes.plot(grid, np.mean(curves, axis=0), label=NAMES.get(method, method), **style)
    if card.quality:
        axes.legend(fontsize=8)


def _draw_drift(axes: Any, card: Scorecard) -> None:
    axes.set(title="Applied again and again", xlabel="application", ylabel="mean FSC to the truth")
    for name in card.weights:
        runs = [r["found"]["fsc"] for r in card.behaviour if r["weights"] == name and r["kind"] == "drift"]
        if runs:
            mean = np.mean(runs, axis=0)
            axes.plot(range(1, len(mean) + 1), mean, "o-", label=name)
            axes.legend(fontsize=8)


def _draw_verdicts(axes: Any, card: Scorecard) -> None:
    axes.set(title="Hallucination: found (dots) against what is allowed (bars)")
    names = [name for name in card.verdicts if name != "unchanged"]
    tests = list(dict.fromkeys(v["test"] for found in card.verdicts.values() for v in found))
    height = 0.8 / max(1, len(names))
    for index, name in enumerate(names):
        for verdict in card.verdicts[name]:
            y = tests.index(verdict["test"]) - 0.4 + height * (index + 0.5)
            colour = "tab:blue" if verdict["passed"] else "tab:red"
            axes.barh(y, verdict["bound"], height=0.8 * height, color="0.85")
            axes.plot(verdict["found"], y, "o", color=colour)
            axes.annotate(name, (verdict["found"], y), fontsize=6, xytext=(5, -2), textcoords="offset points")
    axes.set_yticks(range(len(tests)), tests)
    axes.set_xscale("symlog", linthresh=0.01)
    axes.axvline(0, color="0.5", lw=0.8)
