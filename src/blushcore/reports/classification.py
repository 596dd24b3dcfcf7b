"""What a report tells of the classes of a classification: shares, curves, how far the maps differ."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from blushcore.protocol import BlushError
from blushcore.reports.charts import frequency_axes, over_iterations
from blushcore.reports.facts import RunFacts
from blushcore.reports.measured import mask_of_truth
from blushcore.reports.svg import Axes, Line, Tick, chart
from blushcore.reports.words import resolution_words
from blushcore.shells import fsc, resolution
from blushcore.shells.resolution import MAP_MODEL_THRESHOLD
from blushcore.volumes import Volume, fourier_resample, read_map, require_same_grid

MOST_DRAWN = 5
"""Classes with a curve of their own: the page has so many colours."""


@dataclass(frozen=True, eq=False)
class ClassesMeasured:
    """The class maps held against each other and, where there is one, against a truth.

    Attributes
    ----------
    largest
        Number of the class with the greatest share, from 1.
    with_largest
        FSC of each other class's map with that one's, by number; float64 ``(n // 2 + 1,)``.
    size_angstrom
        Side of the box.
    truth
        Name of the map that images were simulated from; nothing for none.
    with_truth
        FSC of each class's map with it, in a soft mask made of it.
    """

    largest: int
    with_largest: Mapping[int, NDArray[np.float64]]
    size_angstrom: float
    truth: str
    with_truth: Mapping[int, NDArray[np.float64]]

    def truth_angstrom(self, number: int) -> float:
        """Return where the FSC of a class with the truth falls below 0.5 (Å)."""
        found = resolution(self.with_truth[number], self.size_angstrom, MAP_MODEL_THRESHOLD)
        return found.interpolated_angstrom


def class_roles(files: Mapping[str, Path]) -> dict[int, str]:
    """Return the roles of class maps among files, by the number of the class."""
    roles = sorted(role for role in files if role.startswith("class") and role[5:].isdigit())
    return {int(role[5:]): role for role in roles}


def drawn_classes(shares: Sequence[float]) -> list[int]:
    """Return the numbers of the classes that get a curve: the largest ones, in their order."""
    order = sorted(range(1, len(shares) + 1), key=lambda number: -shares[number - 1])
    return sorted(order[:MOST_DRAWN])


def measure_classes(facts: RunFacts, truth: Path | None) -> ClassesMeasured | None:
    """Hold the maps of the largest classes against each other and a truth; None if there are not two maps.

    Raises
    ------
    BlushError
        If a file cannot be read, or the truth is on another grid.
    """
    shares = facts.newest.get("class_distribution")
    roles = class_roles(facts.files)
    if not shares or len(roles) != len(shares):
        if truth is not None:
            problem = f"{facts.directory} has no class maps yet to hold against {truth}."
            raise BlushError(problem, "Wait for its first iteration.")
        return None
    empty = facts.newest.get("empty_classes") or []
    maps = {
        number: read_map(facts.files[roles[number]]) for number in drawn_classes(shares) if number not in empty
    }
    if not maps:
        return None
    largest = max(maps, key=lambda number: float(shares[number - 1]))
    first = maps[largest]
    others = {number: fsc(first.data, each.data) for number, each in maps.items() if number != largest}
    with_truth: dict[int, NDArray[np.float64]] = {}
    if truth is not None:
        wanted = read_map(truth)
        whole = {number: _whole(each, facts) for number, each in maps.items()}
        require_same_grid(facts.files[roles[largest]], whole[largest], truth, wanted)
        mask = mask_of_truth(wanted)
        with_truth = {number: fsc(each.data * mask, wanted.data * mask) for number, each in whole.items()}
    size = first.shape[0] * first.isotropic_voxel_size
    return ClassesMeasured(largest, others, size, "" if truth is None else truth.name, with_truth)


def _whole(volume: Volume, facts: RunFacts) -> Volume:
    """Return a map of the run's history, which may be cropped to its resolution, on the run's own grid."""
    box = int(facts.newest["box"])
    if volume.shape[0] == box:
        return volume
    data = fourier_resample(torch.from_numpy(np.asarray(volume.data, np.float32)), (box,) * 3).numpy()
    return Volume(data, (float(facts.newest["voxel_size_angstrom"]),) * 3)


def classes_section(facts: RunFacts, measured: ClassesMeasured | None) -> str:
    """Return the table and the charts of the classes; nothing of a run without classes."""
    newest = facts.newest
    shares = newest.get("class_distribution")
    if not shares:
        return ""
    drawn = drawn_classes(shares)
    colours = {number: f"c{place % MOST_DRAWN + 1}" for place, number in enumerate(drawn)}
    parts = [_table(newest, measured), _shares_chart(facts.history, drawn), _signal_chart(newest, colours)]
    if measured is not None and measured.with_truth:
        parts.append(_truth_chart(measured, colours))
    if measured is not None and measured.with_largest:
        parts.append(_between_chart(measured, colours))
    left = len(shares) - len(drawn)
    if left > 0:
        parts.append(
            f'<p class="caption">Curves are of the {len(drawn)} largest classes; {left} have none.</p>'
        )
    return "".join(parts)


def _table(newest: Mapping[str, Any], measured: ClassesMeasured | None) -> str:
    shares = newest["class_distribution"]
    empty = set(newest.get("empty_classes") or [])
    head = ["class", "share of the posterior", "particles", "resolution, estimated", "accuracy"]
    if measured is not None and measured.with_truth:
        head.append("FSC 0.5 with the truth")
    rows = []
    for number, share in enumerate(shares, 1):
        angle, offset = (
            _entry(newest, f"class_accuracy_{name}", number) for name in ("angle_deg", "offset_angstrom")
        )
        row = [
            f"{number} (empty)" if number in empty else str(number),
            f"{100 * share:.1f} %",
            _words(_entry(newest, "class_particles", number), "{:.0f}"),
            _words(_entry(newest, "class_resolution_angstrom", number), "{:.2f} Å"),
            "–" if angle is None or offset is None else f"{angle:.2f}°, {offset:.2f} Å",
        ]
        if measured is not None and measured.with_truth:
            known = number in measured.with_truth
            row.append(resolution_words(measured.truth_angstrom(number)) if known else "–")
        rows.append("<tr>" + "".join(f"<td>{html.escape(word)}</td>" for word in row) + "</tr>")
    titles = "".join(f"<th>{html.escape(word)}</th>" for word in head)
    return (
        f"<table><tr>{titles}</tr>{''.join(rows)}</table>"
        '<p class="caption">Resolutions are where the power of a map falls to that of its noise, as the prior '
        "takes it; they are no measurement. Refine a class on its own, in two halves, for one.</p>"
    )


def _shares_chart(history: Sequence[Mapping[str, Any]], drawn: Sequence[int]) -> str:
    flat = [
        {
            "iteration": figures["iteration"],
            **{f"share{n}": _percent(_entry(figures, "class_distribution", n)) for n in drawn},
            **{f"angstrom{n}": _entry(figures, "class_resolution_angstrom", n) for n in drawn},
            "moved": _percent(figures.get("change_classes")),
        }
        for figures in history
        if figures.get("class_distribution")
    ]
    names = [(n, f"class {n}") for n in drawn]
    drawings = [
        over_iterations(flat, [(f"share{n}", name) for n, name in names], "share of the particles (%)"),
        over_iterations(flat, [("moved", "changed class")], "changed class (%)"),
        over_iterations(
            flat, [(f"angstrom{n}", name) for n, name in names], "estimated resolution (Å)", is_log=True
        ),
    ]
    return f'<div class="pair">{"".join(drawings)}</div>'


def _signal_chart(newest: Mapping[str, Any], colours: Mapping[int, str]) -> str:
    """Draw SSNR / (1 + SSNR) of each class: what an FSC would be, were the prior's SSNR right."""
    curves = newest.get("class_ssnr")
    if not curves:
        return ""
    size = float(newest["box"]) * float(newest["voxel_size_angstrom"])
    lines = []
    for number in colours:
        ratio = np.array([np.nan if value is None else value for value in curves[number - 1]], np.float64)
        share = ratio / (1 + ratio)
        lines.append(_line(number, share, size, colours))
    axes = _axes(lines, "share of signal", (Tick(0.5, "SSNR 1"),))
    return (
        chart(axes, lines[::-1], label="Share of signal in each class by spatial frequency")
        + '<p class="caption">Share of signal, SSNR / (1 + SSNR), by the spatial frequency. The signal is '
        "taken to be the reference's own power times T, so these curves flatter: they are for comparing "
        "classes.</p>"
    )


def _truth_chart(measured: ClassesMeasured, colours: Mapping[int, str]) -> str:
    lines = [
        _line(number, curve, measured.size_angstrom, colours) for number, curve in measured.with_truth.items()
    ]
    axes = _axes(lines, "FSC with the truth", (Tick(MAP_MODEL_THRESHOLD, f"{MAP_MODEL_THRESHOLD:g}"),))
    return (
        chart(axes, lines[::-1], label="Fourier shell correlation of each class with the truth")
        + f'<p class="caption">The map of each class against {html.escape(measured.truth)}, in a soft mask '
        "made of it. The maps are as the prior left them.</p>"
    )


def _between_chart(measured: ClassesMeasured, colours: Mapping[int, str]) -> str:
    lines = [
        _line(number, curve, measured.size_angstrom, colours) for number, curve in measured.with_largest.items()
    ]
    axes = _axes(lines, f"FSC with class {measured.largest}", (Tick(0.5, "0.5"),))
    return (
        chart(
            axes, lines[::-1], label=f"Fourier shell correlation of the classes with class {measured.largest}"
        )
        + f'<p class="caption">How far the classes differ: the FSC of each with class {measured.largest}, the '
        "largest. A curve that stays high is the same structure once more, or the same turned a little less "
        "well; one that falls early is another structure, noise, or the same in another frame.</p>"
    )


def _line(number: int, curve: NDArray[np.float64], size: float, colours: Mapping[int, str]) -> Line:
    """Return the curve of a class, which has one colour in all charts."""
    return Line(f"class {number}", np.arange(1, len(curve)) / size, curve[1:], colours[number], width=2.0)


def _axes(lines: Sequence[Line], y_label: str, levels: Sequence[Tick]) -> Axes:
    known = np.concatenate([np.asarray(line.y)[np.isfinite(np.asarray(line.y))] for line in lines])
    return frequency_axes(
        float(np.asarray(lines[0].x)[-1]),
        y_label=y_label,
        lowest=float(known.min()) if known.size else 0.0,
        levels=levels,
        height=300,
    )


def _entry(figures: Mapping[str, Any], name: str, number: int) -> float | None:
    """Return a class's value in a list over the classes; None where it is not known."""
    values = figures.get(name)
    if not values or number > len(values) or values[number - 1] is None:
        return None
    value = float(values[number - 1])
    return value if np.isfinite(value) else None


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _words(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)
