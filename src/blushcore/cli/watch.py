"""``blush watch``: a run as seen from a terminal, live or later, on this machine or over a shared disk."""

from __future__ import annotations

import json as json_lines
import sys
from pathlib import Path

from blushcore.cli.event_lines import describe
from blushcore.cli.exit_codes import DONE, FAILED, STOPPED
from blushcore.cli.terminal import View, failures_as_json, make_view, print_json
from blushcore.protocol import BlushError, Progress
from blushcore.runs import Life, Record, RunReader, RunWatch
from blushcore.runs.records import encode

_LIVES: dict[Life, str] = {
    "waiting": "waiting: no worker has begun it",
    "running": "running",
    "silent": "silent: no sign of life (its process hangs or is suspended, or its disk or machine is away)",
    "dead": "dead: its process ended without a word; go on with: blush resume",
    "finished": "finished",
    "failed": "failed; once the cause is mended, go on with: blush resume",
    "stopped": "stopped before its end; go on with: blush resume",
    "unreachable": "unreachable: the run directory is not there",
}

_CODES: dict[Life, int] = {"finished": DONE, "stopped": STOPPED}


def watch(run_dir: Path, /, *, once: bool = False, lines: int = 10, json: bool = False) -> int:
    """Watch a run until it ends.

    Watching changes nothing in the run, and Ctrl-C ends only the watching. The exit code is the run's: 0 when
    it finished, 1 when it failed or died, 130 when it was stopped.

    Parameters
    ----------
    run_dir
        The run directory: what was given as -o when the run was started.
    once
        Show how it stands now, and exit with 0.
    lines
        How many events of the past to show first.
    json
        Print every event, and every change of the run's state, as a line of JSON.
    """
    with failures_as_json(json):
        return _watch(run_dir, once=once, lines=lines, json=json)


def _watch(run_dir: Path, *, once: bool, lines: int, json: bool) -> int:
    # A terminal shows no files, so nothing is held back for them.
    reader: RunWatch = RunReader(run_dir, file_patience_seconds=0.0)
    try:
        life = _follow_as_json(reader, once) if json else _follow(reader, once, lines)
    except KeyboardInterrupt:
        print("blush: no longer watching; the run itself is not affected", file=sys.stderr)
        return STOPPED
    if life == "unreachable":
        raise BlushError(f"The run directory {run_dir} is not there any more.", "Has it been moved or deleted?")
    return DONE if once else _CODES.get(life, FAILED)


def _follow(reader: RunWatch, once: bool, lines: int) -> Life:
    """Show the past in a few lines, then what comes; return the life at the end."""
    life: Life | None = None
    seen_problems = 0
    with make_view() as view:
        for look in reader.follow():
            records = look.records
            if life is None:
                _show_past(reader, records, lines, view)
                records = []
            for record in records:
                view.show(record.event)
            for problem in reader.problems[seen_problems:]:
                view.line(f"warning: {problem.text}")
            seen_problems = len(reader.problems)
            if look.life != life:
                life = look.life
                view.line(_LIVES[life])
            if once:
                break
    return life or "unreachable"


def _show_past(reader: RunWatch, records: list[Record], lines: int, view: View) -> None:
    summary = reader.summary
    device = f" on {summary.device}" if summary.device else ""
    attempt = f", attempt {summary.attempt}" if summary.attempt > 1 else ""
    view.line(f"{reader.job} in {reader.directory}{device}{attempt}")
    told = [
        text
        for record in records
        if not isinstance(record.event, Progress) and (text := describe(record.event))
    ]
    if lines > 0:
        if len(told) > lines:
            view.line(f"({len(told) - lines} earlier events)")
        for text in told[-lines:]:
            view.line(text)
    if summary.progress is not None and summary.ending is None:
        view.show(summary.progress)
    if summary.paused:
        view.line("paused")


def _follow_as_json(reader: RunWatch, once: bool) -> Life:
    life: Life | None = None
    for look in reader.follow():
        for record in look.records:
            print_json(json_lines.loads(encode(record)))
        if look.life != life:
            life = look.life
            print_json({"kind": "life", "life": life})
        if once:
            break
    return life or "unreachable"
