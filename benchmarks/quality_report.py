"""The scorecard as JSON and as tables in markdown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

TIERS = (
    ("goal", 0.03, 0.95),
    ("after half an hour on a large GPU", 0.01, 0.95),
    ("trained on a CPU", 0.005, 0.80),
)
"""Name, least gain of the mean FSC over the baseline, in which share of the cases."""
CONTROLS = ("unchanged", "from memory")
PEER_ROWS = ("input", "wiener", "gaussian", "non_local_means")
NAMES = {"input": "noisy input", "wiener": "Wiener by FSC", "non_local_means": "non-local means"}


@dataclass(frozen=True)
class Scorecard:
    """All that was found.

    Attributes
    ----------
    command
        That it was found with.
    weights
        SHA-256 by name.
    quality, behaviour
        One record a case; see denoiser_quality.py.
    verdicts
        Of the tests of hallucination, by denoiser, controls included.
    """

    command: str
    weights: dict[str, str]
    quality: list[dict[str, Any]]
    behaviour: list[dict[str, Any]]
    verdicts: dict[str, list[dict[str, Any]]]

    @property
    def controls_hold(self) -> bool:
        """Whether each test passes what changes nothing and fails what invents."""
        return not self.blind_tests

    @property
    def blind_tests(self) -> list[str]:
        """Tests in which a control does not do what it must: they tell nothing about the others."""
        honest, inventing = (self.verdicts.get(name, []) for name in CONTROLS)
        return [
            *(v["test"] for v in honest if not v["passed"]),
            *(v["test"] for v in inventing if v["passed"]),
        ]

    def gains(self, name: str, **only: object) -> list[float]:
        """Return the gains of a set of weights over its baseline in the cases with these properties."""
        found = []
        for record in self.quality:
            scores = record["scores"]
            if name in scores and all(record[key] == value for key, value in only.items()):
                found.append(mean_fsc(scores[name]) - mean_fsc(scores[f"{name} × mask"]))
        return found


def mean_fsc(score: dict[str, Any]) -> float:
    return float(np.mean(score["fsc"]))


def tier(gains: Sequence[float]) -> str:
    """Return the highest tier that these gains reach."""
    values = np.array(gains)
    for name, least, share in TIERS:
        if len(values) and (values >= least).mean() >= share:
            return f"{name} (at least {least:+g} in {100 * share:.0f} % of the cases)"
    return "none"


def write_scorecard(card: Scorecard, folder: Path) -> str:
    """Write both files and return the markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    text = as_markdown(card)
    (folder / "scorecard.json").write_text(json.dumps(asdict(card), indent=1), encoding="utf-8")
    (folder / "scorecard.md").write_text(text, encoding="utf-8")
    return text


def as_markdown(card: Scorecard) -> str:
    """Return the scorecard's tables."""
    lines = ["# Scorecard of denoisers", "", f"    {card.command}", ""]
    lines += [f"- {name}: {sha256[:12]}" for name, sha256 in card.weights.items()]
    for name in card.weights:
        lines += _summary(card, name)
    for route in sorted({record["route"] for record in card.quality}):
        lines += [
            "",
            f"## Half-maps by the {route} route" if route == "fast" else "## Half-maps by way of images",
        ]
        lines += _quality_table(card, route)
        lines += _gain_table(card, route)
        for name in card.weights:
            lines += _resolution_table(card, name, route)
    lines += _behaviour_tables(card)
    lines += _verdict_table(card)
    return "\n".join(lines) + "\n"


def _summary(card: Scorecard, name: str) -> list[str]:
    gains = card.gains(name)
    if not gains:
        return []
    records = [record["scores"] for record in card.quality if name in record["scores"]]
    folds = [s["input"]["solvent"] / max(s[name]["solvent"], 1e-12) for s in records if "input" in s]
    falls = [float(np.min(np.subtract(s[name]["fsc"], s[f"{name} × mask"]["fsc"]))) for s in records]
    dice = np.mean([s[name]["dice"] for s in records])
    share = ", ".join(f"{100 * np.mean(np.array(gains) >= least):.0f} % by {least:+g}" for _, least, _ in TIERS)
    solvent = f"solvent ÷ {np.exp(np.mean(np.log(folds))):.0f} (least ÷ {min(folds):.1f}); " if folds else ""
    line = (
        f"**{name}**, {len(gains)} cases: mean FSC over the mask baseline {np.mean(gains):+.4f} "
        f"(rising in {100 * np.mean(np.array(gains) > 0):.0f} %; {share}); worst shell {min(falls):+.3f}; "
        f"{solvent}mask Dice {dice:.2f}. **Tier: {tier(gains)}.**"
    )
    return ["", line]


def methods(card: Scorecard) -> list[str]:
    return [*PEER_ROWS, *(label for name in card.weights for label in (f"{name} × mask", name))]


def _quality_table(card: Scorecard, route: str) -> list[str]:
    """FSC by resolution, and the real-space figures, a row a method."""
    records = [record for record in card.quality if record["route"] == route]
    resolutions = sorted({record["resolution"] for record in records})
    head = " | ".join(f"FSC {resolution:g} Å" for resolution in resolutions)
    lines = [
        "",
        f"| map | {head} | correlation | solvent | cases |",
        "| --- |" + " --- |" * (len(resolutions) + 3),
    ]
    for method in methods(card):
        mine = [record for record in records if method in record["scores"]]
        if not mine:
            continue
        cells = []
        for resolution in resolutions:
            values = [mean_fsc(r["scores"][method]) for r in mine if r["resolution"] == resolution]
            cells.append(f"{np.mean(values):.4f}" if values else "")
        correlation = np.mean([r["scores"][method]["correlation"] for r in mine])
        solvent = np.exp(np.mean([np.log(max(r["scores"][method]["solvent"], 1e-12)) for r in mine]))
        label = NAMES.get(method, method.replace(" × mask", "'s mask × input"))
        lines.append(f"| {label} | {' | '.join(cells)} | {correlation:.3f} | {solvent:.2g} | {len(mine)} |")
    return lines


def _gain_table(card: Scorecard, route: str) -> list[str]:
    """Gains over the baseline by anisotropy."""
    kinds = list(dict.fromkeys(record["anisotropy"] for record in card.quality if record["route"] == route))
    lines = [
        "",
        "| gain over the mask baseline | " + " | ".join(kinds) + " |",
        "| --- |" + " --- |" * len(kinds),
    ]
    for name in card.weights:
        gains = [card.gains(name, route=route, anisotropy=kind) for kind in kinds]
        cells = [f"{np.mean(g):+.4f} ({100 * np.mean(np.array(g) > 0):.0f} % rise)" if g else "" for g in gains]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _resolution_table(card: Scorecard, name: str, route: str) -> list[str]:
    """Say what a set of weights does at each resolution: the table of a model card."""
    records = [r for r in card.quality if r["route"] == route and {name, "input"} <= r["scores"].keys()]
    if not records:
        return []
    head = [f"{name}, Å", "cases", "input", "baseline", "denoised", "gain", "least", "worst shell"]
    head += ["solvent, lower by", "mask Dice", "correlation"]
    lines = ["", "| " + " | ".join(head) + " |", "| --- |" + " --- |" * (len(head) - 1)]
    for resolution in [*sorted({record["resolution"] for record in records}), None]:
        some = [r["scores"] for r in records if resolution in (None, r["resolution"])]
        rows = [(scores["input"], scores[f"{name} × mask"], scores[name]) for scores in some]
        fscs = np.array([[mean_fsc(score) for score in row] for row in rows])
        gains = fscs[:, 2] - fscs[:, 1]
        worst = min(float(np.min(np.subtract(after["fsc"], masked["fsc"]))) for _, masked, after in rows)
        folds = [before["solvent"] / max(after["solvent"], 1e-12) for before, _, after in rows]
        correlations = np.mean(
            [(before["correlation"], after["correlation"]) for before, _, after in rows], axis=0
        )
        cells = ["all" if resolution is None else f"{resolution:g}", str(len(rows))]
        cells += [f"{value:.3f}" for value in fscs.mean(0)]
        cells += [f"{gains.mean():+.3f}", f"{gains.min():+.3f}", f"{worst:+.3f}"]
        cells += [f"{np.exp(np.mean(np.log(folds))):.0f} × (least {min(folds):.1f})"]
        cells += [f"{np.mean([after['dice'] for *_, after in rows]):.2f}"]
        cells += ["{:.3f} → {:.3f}".format(*correlations)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _behaviour_tables(card: Scorecard) -> list[str]:
    if not card.behaviour:
        return []
    lines = ["", "## Again and again, and turned", ""]
    head = ["weights", "FSC after 1", "2", "5", "10 applications", "amplitude after 10", "change 2nd → last"]
    head += ["diverging", "quarter turns: error, FSC", "any turn: FSC (interpolation alone)"]
    lines += ["| " + " | ".join(head) + " |", "| --- |" + " --- |" * 9]
    for name in card.weights:
        drifts, turns = (
            [r["found"] for r in card.behaviour if r["weights"] == name and r["kind"] == kind]
            for kind in ("drift", "equivariance")
        )
        cells = [""] * 9
        if drifts:
            fscs = [np.mean([d["fsc"][min(k, len(d["fsc"])) - 1] for d in drifts]) for k in (1, 2, 5, 10)]
            amplitude = np.mean([d["amplitude"][-1] for d in drifts])
            first, last = (np.mean([d["change"][k] for d in drifts]) for k in (0, -1))
            cells[:7] = [f"{value:.4f}" for value in fscs] + [
                f"{amplitude:.2f}",
                f"{first:.3f} → {last:.3f}",
                f"{sum(_diverges(d) for d in drifts)} of {len(drifts)}",
            ]
        if turns:
            mean = {key: np.mean([t[key] for t in turns]) for key in turns[0]}
            cells[7] = f"{mean['quarter_turn']:.3f}, {mean['quarter_turn_fsc']:.4f}"
            cells[8] = f"{mean['any_turn_fsc']:.4f} ({mean['any_turn_fsc_of_interpolation']:.4f})"
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _diverges(found: dict[str, Any]) -> bool:
    return not (0.5 <= found["amplitude"][-1] <= 2.0 and found["change"][-1] <= found["change"][0])


def _verdict_table(card: Scorecard) -> list[str]:
    if not card.verdicts:
        return []
    names = list(card.verdicts)
    tests = list(dict.fromkeys(v["test"] for found in card.verdicts.values() for v in found))
    lines = ["", "## Does it make things up?", "", "Found, at most allowed, and whether that passes.", ""]
    lines += ["| test | " + " | ".join(names) + " |", "| --- |" + " --- |" * len(names)]
    meanings: dict[str, str] = {}
    for test in tests:
        cells = []
        for name in names:
            verdict = next((v for v in card.verdicts[name] if v["test"] == test), None)
            if verdict is None:
                cells.append("")
                continue
            word = "pass" if verdict["passed"] else "**FAIL**"
            if test in card.blind_tests and name not in CONTROLS:
                word = "(tells nothing)"
            cells.append(f"{verdict['found']:+.4f} / {verdict['bound']:.4f} {word}")
            meanings[test] = verdict["meaning"]
        lines.append(f"| {test} | {' | '.join(cells)} |")
    lines += ["", *(f"- {test}: {meaning}." for test, meaning in meanings.items())]
    if card.controls_hold:
        held = "The controls do as they must: what changes nothing passes, what goes by memory fails."
    else:
        held = f"A control does not do what it must, and no verdict counts, in: {', '.join(card.blind_tests)}."
    lines += ["", held]
    return lines
