"""Reports of runs: one HTML file with the figures, charts and slices that a lab files."""

from __future__ import annotations

import datetime as dt
from pathlib import Path


def report_of(
    directory: Path, *, mask: Path | None = None, truth: Path | None = None, title: str = "", note: str = ""
) -> str:
    """Return the report of a run as HTML; of a live run, as it stands.

    Parameters
    ----------
    directory
        The run directory.
    mask
        In which the final halves are compared; by default that of the run.
    truth
        What the images were simulated from, if they were.
    title, note
        The heading, and a paragraph below it.

    Raises
    ------
    BlushError
        If it is no run directory, or a file does not fit.
    """
    from blushcore.reports.facts import read_facts

    facts = read_facts(directory)
    # Only now: they bring torch along, and whoever mistyped a name should not wait for that.
    from blushcore.reports.classification import measure_classes
    from blushcore.reports.measured import measure_halves, measure_truth, measure_views
    from blushcore.reports.page import report_page
    from blushcore.reports.sections import Measured

    has_halves = facts.job != "classify"
    measured = Measured(
        measure_halves(facts, mask),
        measure_truth(facts, truth) if truth is not None and has_halves else None,
        measure_views(facts),
        None if has_halves else measure_classes(facts, truth),
    )
    return report_page(facts, measured, title=title, note=note, today=dt.datetime.now().astimezone())
