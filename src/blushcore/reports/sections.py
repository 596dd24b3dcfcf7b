"""The sections of a report: each takes what is known of a run and returns HTML, or nothing where nothing is."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from blushcore.protocol import BlushError
from blushcore.reports import charts
from blushcore.reports.classification import ClassesMeasured, class_roles, classes_section, drawn_classes
from blushcore.reports.denoising import denoiser_section
from blushcore.reports.directions import DirectionCounts
from blushcore.reports.facts import RunFacts
from blushcore.reports.measured import AgainstTruth, HalvesMeasured
from blushcore.reports.pictures import Row, slice_figure, views_figure
from blushcore.reports.words import duration, figure_words, resolution_words, value_words, where
from blushcore.volumes import read_map

_MISSING_VIEWS = 0.2
"""Share of directions without views from which on it is warned."""
_HARM = -0.01


@dataclass(frozen=True, eq=False)
class Measured:
    """What was worked out for the report itself; None where there was nothing to work it out from."""

    halves: HalvesMeasured | None = None
    truth: AgainstTruth | None = None
    views: DirectionCounts | None = None
    classes: ClassesMeasured | None = None


def tiles(facts: RunFacts, measured: Measured) -> str:
    """Return the figures that are looked for first."""
    found: list[tuple[str, str, str]] = []
    newest = {**facts.newest, **facts.figures}
    if measured.halves is not None:
        curves = measured.halves.curves
        resolution = curves.resolution()
        what = "FSC 0.143, unmasked" if curves.corrected is None else "FSC 0.143, mask-corrected"
        if _is_without_trailing(facts):
            what += ", no spectral trailing"
        nyquist = " (Nyquist)" if resolution.reaches_nyquist else ""
        reached = resolution_words(resolution.interpolated_angstrom)
        found.append((reached, "resolution" + nyquist, what))
    elif newest.get("resolution_angstrom"):
        what = "of the best class, estimated" if _has_classes(facts) else "FSC 0.143, unmasked"
        found.append((f"{newest['resolution_angstrom']:.2f} Å", "resolution", what))
    if _has_classes(facts):
        shares = facts.newest["class_distribution"]
        found.append((str(len(shares)), "classes", f"the largest has {100 * max(shares):.0f}\u00a0%"))
    if measured.truth is not None:
        reached = resolution_words(measured.truth.angstrom)
        found.append((reached, "against the truth", "FSC 0.5, in its mask"))
    if facts.history:
        found.append((str(facts.newest["iteration"]), "iterations", duration(newest.get("seconds_in_all"))))
    if measured.views is not None:
        found.append((f"{measured.views.images:,}".replace(",", " "), "particles", _group(facts)))
    if newest.get("mean_p_max") is not None:
        step = newest.get("angular_step_deg")
        found.append((f"{newest['mean_p_max']:.2f}", "mean Pmax", f"angular step {step:.3g}°" if step else ""))
    cells = (
        f'<div class="tile"><b>{_e(value)}</b><span>{_e(name)}</span><small>{_e(note)}</small></div>'
        for value, name, note in found
    )
    return f'<div class="tiles">{"".join(cells)}</div>' if found else ""


def warnings(facts: RunFacts, measured: Measured) -> str:
    """Return all there is to be warned of; a sentence if there is nothing."""
    told = list(facts.warnings)
    if facts.problem:
        told.insert(0, facts.problem)
    if facts.tone == "open":
        told.insert(0, f"{facts.standing}: figures and maps are those of the newest iteration.")
    if _is_without_trailing(facts):
        told.append("Spectral trailing was off: the resolution may be told too good.")
    gains = [figures["denoiser_gain"] for figures in facts.history if figures.get("denoiser_gain") is not None]
    if gains and gains[-1] < _HARM:
        told.append(
            f"In the end a denoised half agreed with the raw other one by {-gains[-1]:.3f} less than the raw "
            "halves do: the denoiser takes signal away or makes up detail."
        )
    if measured.halves is not None:
        told += measured.halves.warnings
    if measured.views is not None and missing_views(measured.views) > _MISSING_VIEWS:
        share = 100 * missing_views(measured.views)
        told.append(
            f"From {share:.0f} % of the directions there are no views: the map is not equally good all round."
        )
    told = list(dict.fromkeys(told))
    if not told:
        return '<p class="fine">No warnings.</p>'
    return '<ul class="warnings">' + "".join(f"<li>{_e(text)}</li>" for text in told) + "</ul>"


def resolution(facts: RunFacts, measured: Measured) -> str:
    """Return the FSC of the halves, and that with the truth."""
    parts = []
    if measured.halves is not None:
        parts.append(charts.fsc_chart(measured.halves.curves, facts.history))
        mask = measured.halves.mask_name
        said = (
            f"Inside {_e(mask)}, corrected by phase randomisation (Chen et al. 2013)."
            if mask
            else "Without a mask: the particle by itself is better than this says. Give one to see."
        )
        parts.append(
            f'<p class="caption">Fourier shell correlation of the final half-maps, which no denoiser has seen. '
            f"{said} Pale: the iterations before, each up to the resolution it used.</p>"
        )
    if measured.truth is not None:
        truth = measured.truth
        parts.append(charts.truth_chart(truth.with_truth, truth.between, truth.size_angstrom))
        parts.append(
            f'<p class="caption">The mean of the final undenoised halves against {_e(truth.name)}, from which '
            f"the images were simulated, in a soft mask made of it: 0.5 {where(truth.angstrom)}, mean "
            f"{truth.mean:.3f} over all shells. In the same mask the halves agree to 0.143 "
            f"{where(truth.half_angstrom)}.{_poses(truth)}</p>"
        )
    return _section("Resolution", *parts)


def _poses(truth: AgainstTruth) -> str:
    """Tell the errors of the poses, where the true ones are known."""
    frame = truth.frame
    if frame is None:
        return ""
    angle, offset = (float(np.median(errors)) for errors in (frame.angles_deg, frame.offsets_angstrom))
    moved = float(np.linalg.norm(frame.shift_angstrom))
    return (
        f" The poses are off the true ones by {angle:.2g}° and {offset:.2g} Å (medians), after the frame of "
        f"the run, which nothing fixes, was turned back by {frame.turn_deg:.2g}° and moved by {moved:.2g} Å."
    )


def maps(facts: RunFacts) -> str:
    """Return slices of the maps: before and after the prior, and the final ones."""
    parts = []
    role, what = _compared(facts)
    pair = _rows(
        facts.before_after,
        (f"{role}_before_prior", f"{what}, before the prior"),
        (role, "after the prior"),
    )
    if len(pair) == 2:
        parts.append(slice_figure(pair, label=f"{what} before and after the prior"))
        parts.append(
            f'<p class="caption">{what} in iteration {facts.last_reference}: as it was reconstructed, and '
            "the reference that the prior made of it; one grey scale.</p>"
        )
    final = _rows(facts.files, ("map", "Final map"), ("denoised", "denoised, to look at only"))
    if not final:
        final = _rows(facts.files, ("half1", "Half-map 1"), ("half2", "Half-map 2"))
    roles = class_roles(facts.files)
    if roles:
        numbers = drawn_classes(facts.newest["class_distribution"]) if _has_classes(facts) else list(roles)
        final = _rows(
            facts.files, *((roles[number], f"Class {number}") for number in numbers if number in roles)
        )
    if final:
        own = [Row(row.title, row.volume) for row in final]
        parts.append(slice_figure(own, label="Final maps"))
        parts.append('<p class="caption">Slices through the centre; greys over the middle 99.5 % of each.</p>')
    return _section("Maps", *parts)


def classes(facts: RunFacts, measured: Measured) -> str:
    """Return the classes of a classification."""
    return _section("Classes", classes_section(facts, measured.classes))


def views(facts: RunFacts, measured: Measured) -> str:
    """Return the angular distribution."""
    counts = measured.views
    if counts is None:
        return ""
    symmetry = facts.parameter("symmetry") or "C1"
    missing = 100 * missing_views(counts)
    return _section(
        "Views",
        views_figure(counts),
        f'<p class="caption">From where the {counts.images} particles are seen, in equal areas of the sphere '
        f"(Mollweide's map; {_e(str(symmetry))}, mates counted). The densest direction has "
        f"{counts.relative.max():.1f} times the mean; {missing:.0f} % of the directions have no view, "
        "opposite ones counted as one.</p>",
    )


def course(facts: RunFacts) -> str:
    """Return how the iterations went."""
    history = facts.history
    if not history:
        return ""
    resolution_is = "best class, estimated" if _has_classes(facts) else "FSC 0.143"
    drawn = [
        charts.over_iterations(
            history,
            (("resolution_angstrom", resolution_is), ("resolution_in_use_angstrom", "in use")),
            "resolution (Å)",
            is_log=True,
        ),
        charts.over_iterations(
            history,
            (("angular_step_deg", "step"), ("accuracy_angle_deg", "accuracy"), ("change_angle_deg", "change")),
            "angles (°)",
            is_log=True,
        ),
        charts.over_iterations(
            history,
            (
                ("offset_step_angstrom", "step"),
                ("accuracy_offset_angstrom", "accuracy"),
                ("change_offset_angstrom", "change"),
            ),
            "offsets (Å)",
            is_log=True,
        ),
        charts.over_iterations(history, (("mean_p_max", "mean Pmax"),), "mean Pmax"),
        charts.over_iterations(
            history, (("seconds", "iteration"), ("denoising_seconds", "of it the denoiser")), "time (s)"
        ),
    ]
    return _section("Course", f'<div class="pair">{"".join(drawn)}</div>')


def denoiser(facts: RunFacts) -> str:
    """Return what the denoiser did to the maps."""
    return _section("Denoiser", denoiser_section(facts))


def parameters(facts: RunFacts) -> str:
    """Return all parameters in force; those that are not the default stand out."""
    rows = "".join(
        f'<tr class="{"" if row.is_default else "set"}"><td><code>{_e(row.name)}</code></td>'
        f"<td>{_e(value_words(row.value))}</td><td>{_e(row.meaning)}</td></tr>"
        for row in facts.parameters
    )
    head = "<tr><th>parameter</th><th>value</th><th>meaning</th></tr>"
    return _section(
        "Parameters",
        f'<table class="parameters">{head}{rows}</table>',
        '<p class="caption">Bold: not the default.</p>',
    )


def results(facts: RunFacts) -> str:
    """Return the figures of the end, and the files."""
    newest = {**facts.newest, **facts.figures}
    rows = [
        (figure_words(name), value_words(value))
        for name, value in newest.items()
        if not isinstance(value, list | dict) and value is not None
    ]
    files = [(role, path.name, f"{path.stat().st_size / 1e6:.2f} MB") for role, path in facts.files.items()]
    half = -(-len(rows) // 2)
    both = "".join(table(("figure", "value"), part) for part in (rows[:half], rows[half:]) if part)
    parts = [f'<div class="twice">{both}</div>'] if rows else []
    if files:
        parts.append(f"<h3>Files in {_e(str(facts.directory))}</h3>")
        parts.append(table(("role", "file", "size"), files))
    return _section("Results", *parts)


def missing_views(counts: DirectionCounts) -> float:
    """Return the share of directions that are seen from neither side: both sides give the same information."""
    rot, tilt = counts.centres_deg()
    opposite = np.array([counts.cell_at(r + 180, 180 - t) for r, t in zip(rot, tilt, strict=True)])
    return float((counts.counts + counts.counts[opposite] == 0).mean())


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of plain words."""
    first = "".join(f"<th>{_e(word)}</th>" for word in head)
    body = "".join("<tr>" + "".join(f"<td>{_e(word)}</td>" for word in row) + "</tr>" for row in rows)
    return f"<table><tr>{first}</tr>{body}</table>"


def _rows(files: Mapping[str, Path], *wanted: tuple[str, str]) -> list[Row]:
    """Return the maps that are there and can be read; the second shares the first one's grey scale."""
    found: list[Row] = []
    for role, title in wanted:
        if role not in files:
            continue
        try:
            volume = read_map(files[role])
        except BlushError:
            continue  # it was moved or is damaged: a report of the rest is better than none
        found.append(Row(title, volume, 0 if found else None))
    return found


def _has_classes(facts: RunFacts) -> bool:
    return bool(facts.newest.get("class_distribution"))


def _is_without_trailing(facts: RunFacts) -> bool:
    return facts.parameter("prior") == "blush" and facts.parameter("spectral_trailing") is False


def _compared(facts: RunFacts) -> tuple[str, str]:
    """Return the role of the map that is shown before and after the prior, and what it is called."""
    if not _has_classes(facts):
        return "half1", "Half-map 1"
    shares = facts.newest["class_distribution"]
    largest = 1 + max(range(len(shares)), key=lambda index: float(shares[index]))
    return f"class{largest:03d}", f"Class {largest}"


def _group(facts: RunFacts) -> str:
    symmetry = facts.parameter("symmetry")
    return f"symmetry {symmetry}" if symmetry else ""


def _section(title: str, *parts: str) -> str:
    content = "".join(parts)
    return f"<section><h2>{_e(title)}</h2>{content}</section>" if content else ""


def _e(text: str) -> str:
    return html.escape(text)
