"""A report as one HTML file that needs nothing else: to be opened, printed, sent and filed."""

from __future__ import annotations

import datetime as dt
import html
from pathlib import Path

from blushcore.reports import sections
from blushcore.reports.facts import RunFacts
from blushcore.reports.sections import Measured

_STYLE = Path(__file__).with_name("report.css")


def report_page(
    facts: RunFacts, measured: Measured, *, title: str = "", note: str = "", today: dt.datetime
) -> str:
    """Return the page.

    Parameters
    ----------
    facts, measured
        What is told.
    title
        Its heading; by default the job and the folder's name.
    note
        A paragraph of the user's below it.
    today
        When the report is made.
    """
    heading = title or f"{facts.job.capitalize()}: {facts.directory.resolve().name}"
    body = "".join(
        (
            sections.tiles(facts, measured),
            f"<section><h2>Warnings</h2>{sections.warnings(facts, measured)}</section>",
            sections.resolution(facts, measured),
            sections.classes(facts, measured),
            sections.maps(facts),
            sections.views(facts, measured),
            sections.denoiser(facts),
            sections.course(facts),
            sections.results(facts),
            sections.parameters(facts),
        )
    )
    style = _STYLE.read_text(encoding="utf-8")
    paragraph = f'<p class="user-note">{html.escape(note)}</p>' if note else ""
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(heading)}</title><style>{style}</style></head><body><main>"
        f'<header><h1>{html.escape(heading)}</h1><span class="badge {facts.tone}">{html.escape(facts.standing)}'
        f"</span><p>{_when(facts)}</p></header>{paragraph}{body}"
        f"<footer>blush {html.escape(facts.version)} · report made {today:%Y-%m-%d %H:%M} · "
        f"{html.escape(str(facts.directory.resolve()))}</footer></main></body></html>\n"
    )


def _when(facts: RunFacts) -> str:
    words = []
    if facts.started is not None:
        words.append(f"begun {facts.started:%Y-%m-%d %H:%M}")
    if facts.ended is not None:
        words.append(f"last event {facts.ended:%Y-%m-%d %H:%M}")
    if facts.attempts > 1:
        words.append(f"{facts.attempts} attempts")
    if facts.device:
        words.append(f"on {facts.device}")
    return html.escape(" · ".join(words))
