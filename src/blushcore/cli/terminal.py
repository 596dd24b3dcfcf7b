"""A job's events on a terminal: a bar with the time left where there is a terminal, plain lines elsewhere.

A command that runs a job hands over how to start it::

    return run_in_terminal(lambda commands: run_job(TRAIN, parameters, output, commands=commands), json=json)

Everything for people goes to stderr; stdout is for results.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn
from rich.text import Text

from blushcore import protocol
from blushcore.cli.durations import duration
from blushcore.cli.event_lines import count, describe
from blushcore.cli.exit_codes import DONE, STOPPED
from blushcore.cli.interrupts import Interrupts
from blushcore.protocol import BlushError, CommandSource, Event, Failed, Finished

PLAIN_PROGRESS_SECONDS = 10.0
"""Without a terminal, a stage's progress is a line at most so often,"""
_PLAIN_PROGRESS_SHARE = 1 / 20
"""and the longer it has taken the less often, by this share of it, so that logs of days can be read,"""
_RAREST_PROGRESS_SECONDS = 300.0
"""but never less often than this."""


def run_in_terminal(
    start: Callable[[CommandSource], Iterator[Event]],
    *,
    json: bool = False,
    closing: Callable[[Finished], str] | None = None,
) -> int:
    """Run a job to its end, show what it does, and return the exit code.

    Ctrl-C (or SIGTERM) once stops the job cleanly, twice at once.

    Parameters
    ----------
    start
        Called with the source of commands that Ctrl-C is; returns the job's events.
    json
        Show nothing, and print one JSON object at the end: ``outcome`` (done, stopped or failed), ``figures``
        and ``files``, or ``problem`` and ``remedy``; and the job's ``warnings``.
    closing
        What to say of a job that is done; by default its figures.

    Raises
    ------
    BlushError
        What the job raised; `main` prints it.
    """
    last: Event | None = None
    warnings: list[str] = []
    try:
        with Interrupts() as interrupts, QuietView() if json else make_view() as view:
            for event in start(interrupts):
                if closing and isinstance(event, Finished) and event.outcome == "done":
                    view.line(closing(event))
                elif not isinstance(event, Failed):  # it is raised next, and told by `main`
                    view.show(event)
                if isinstance(event, protocol.Message) and event.level == "warning":
                    warnings.append(event.text)
                last = event
    except BlushError as error:
        last = _as_failed(error)
        raise
    finally:
        if json and last is not None:
            print_json({**_result(last), "warnings": warnings})
    return DONE if isinstance(last, Finished) and last.outcome == "done" else STOPPED


@contextlib.contextmanager
def failures_as_json(wanted: bool) -> Iterator[None]:
    """Print a `BlushError` of the block as `run_in_terminal` does with ``json``, and let it pass.

    Parameters
    ----------
    wanted
        Whether the user asked for JSON.
    """
    try:
        yield
    except BlushError as error:
        if wanted:
            print_json({**_result(_as_failed(error)), "warnings": []})
        raise


def _as_failed(error: BlushError) -> Failed:
    return Failed(problem=error.problem, remedy=error.remedy)


def print_json(values: Mapping[str, Any]) -> None:
    """Print `values` as one line of JSON on stdout, at once."""
    print(json.dumps(values, ensure_ascii=False), flush=True)


def _result(event: Event) -> dict[str, Any]:
    from blushcore.runs.records import json_value

    match event:
        case Finished():
            figures = json_value(event.figures, "figures")
            return {"outcome": event.outcome, "figures": figures, "files": dict(event.files)}
        case Failed():
            return {"outcome": "failed", "problem": event.problem, "remedy": event.remedy}
        case _:
            return {"outcome": "failed", "problem": "The job ended without a word.", "remedy": ""}


class View(Protocol):
    """Shows events, between ``with``'s begin and end."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, event: Event) -> None:
        """Show one event."""
        ...

    def line(self, text: str) -> None:
        """Show one line of text."""
        ...


def make_view() -> View:
    """Return the view that fits stderr."""
    console = Console(stderr=True, highlight=False)
    return BarView(console) if console.is_terminal else PlainView(console)


class QuietView:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def show(self, event: Event) -> None:
        """Show nothing."""

    def line(self, text: str) -> None:
        """Show nothing."""


class PlainView(QuietView):
    """One line each, for files and pipes; progress is thinned.

    Parameters
    ----------
    console
        Where to write.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._stage = ""
        self._began = self._since = float("-inf")

    def show(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, protocol.Progress):
            now = time.monotonic()
            if event.stage != self._stage:
                self._stage, self._began = event.stage, now
            elif not event.is_end and now - self._since < self._pause(now):
                return
            self._since = now
        if text := describe(event):
            self.line(text)

    def line(self, text: str) -> None:
        """Show one line of text."""
        # soft_wrap: one event, one line, whatever width the console believes in.
        self._console.print(text, markup=False, soft_wrap=True)

    def _pause(self, now: float) -> float:
        """Seconds between two lines of the stage in progress."""
        share = _PLAIN_PROGRESS_SHARE * (now - self._began)
        return min(max(PLAIN_PROGRESS_SECONDS, share), _RAREST_PROGRESS_SECONDS)


class BarView(QuietView):
    """A bar for the stage in progress, below the lines of all other events.

    Parameters
    ----------
    console
        The terminal.
    """

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[count]}", markup=False),
            _TimeLeft(),
            console=console,
            transient=True,
        )
        self._task: TaskID | None = None
        self._stage = ""

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, protocol.Progress):
            self._show_progress(event)
        elif text := describe(event):
            self.line(text)

    def line(self, text: str) -> None:
        """Show one line of text."""
        self._progress.console.print(text, markup=False)

    def _show_progress(self, event: protocol.Progress) -> None:
        total = event.total or None
        if self._task is None or event.stage != self._stage:
            if self._task is not None:
                self._progress.remove_task(self._task)
            self._stage = event.stage
            self._task = self._progress.add_task(event.stage, total=total, count="", eta=None)
        self._progress.update(
            self._task, completed=event.done, total=total, count=count(event), eta=event.eta_seconds
        )


class _TimeLeft(ProgressColumn):
    """The time left: the job's own estimate, else from the pace so far."""

    def render(self, task: Task) -> Text:
        eta: float | None = task.fields.get("eta")
        seconds = eta if eta is not None else task.time_remaining
        return Text("" if seconds is None else f"{duration(seconds)} left")
