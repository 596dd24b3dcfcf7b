"""The states of the dock widget, and what each says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from blushcore.protocol import Failed, Finished
from napari_blush.live.words import has_classes
from napari_blush.panels.words import duration

if TYPE_CHECKING:
    from napari_blush.live.status import RunStatus


class State(StrEnum):
    """Where things stand: with the inputs until a run begins, then with the run that is shown.

    ::

        EMPTY ─▶ ASKING ⇄ CHECKING ─▶ READY ─▶ STARTING ─▶ RUNNING ⇄ PAUSED ─▶ STOPPING ─▶ STOPPED
          │               │    ▲                             │ ▲                             │
          └─▶ MAKING      ▼    │                  SILENT ◀───┤ └───────── resume ────────────┤
                  WRONG, BROKEN ─┘                           ▼                               │
                                              FINISHED, FAILED, DEAD, UNREACHABLE ───────────┘
    """

    EMPTY = "empty"
    MAKING = "making"
    ASKING = "asking"
    CHECKING = "checking"
    WRONG = "wrong"
    BROKEN = "broken"
    READY = "ready"
    STARTING = "starting"
    LOOKING = "looking"
    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    SILENT = "silent"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"
    DEAD = "dead"
    UNREACHABLE = "unreachable"


OF_A_RUN = frozenset(State) - {
    State.EMPTY,
    State.MAKING,
    State.ASKING,
    State.CHECKING,
    State.WRONG,
    State.BROKEN,
    State.READY,
}
"""States in which a run is shown."""


@dataclass(frozen=True)
class Words:
    """What a state says.

    Attributes
    ----------
    tone
        idle, busy, good, bad or ask: the colour of the card's edge.
    title, text
        A word or two; a sentence or two.
    done, total
        For the bar, which is hidden where `total` is None and of unknown length where it is 0.
    """

    tone: str
    title: str
    text: str = ""
    done: int = 0
    total: int | None = None


_SETTING_UP = {
    State.EMPTY: Words(
        "idle", "No particles yet", "Drop a particles STAR file here, open one, or try the built-in set."
    ),
    State.MAKING: Words("busy", "Making the demo particles", "A few seconds, once.", total=0),
    State.CHECKING: Words("busy", "Looking at the inputs", "Files, boxes, pixel sizes, memory, disk.", total=0),
    State.READY: Words("good", "Ready", "Everything fits together."),
    State.STARTING: Words("busy", "Starting", "A process of its own is on its way up.", total=0),
}


def words_of_setting_up(state: State, text: str = "") -> Words:
    """Return what a state before the run says; `text` in place of its own words."""
    if state is State.ASKING:
        return Words("ask", "Something is missing", text)
    if state is State.WRONG:
        return Words("bad", "One thing to mend", text)
    if state is State.BROKEN:
        return Words("bad", "The inputs could not be looked at", text)
    words = _SETTING_UP[state]
    return Words(words.tone, words.title, text or words.text, words.done, words.total)


def state_of(status: RunStatus, stopping: bool) -> State:
    """Return the state of a run.

    Parameters
    ----------
    status
        What is known of it.
    stopping
        Whether it was told to stop, and has not yet.
    """
    match status.life:
        case "waiting":
            return State.WAITING
        case "running":
            return State.STOPPING if stopping else State.PAUSED if status.paused else State.RUNNING
        case other:
            return State(other)


def words_of_run(state: State, status: RunStatus) -> Words:
    """Return what a run's state says."""
    iteration = f"iteration {status.iteration}" if status.iteration else "the reference"
    match state:
        case State.WAITING:
            return Words("idle", "Not begun", "The run is made, but nothing works on it.")
        case State.STARTING:
            return _SETTING_UP[State.STARTING]
        case State.LOOKING:
            return Words("busy", "Looking at the run", "What happened so far is read.", total=0)
        case State.RUNNING:
            return Words("busy", "Running", _stage(status), status.done, status.total)
        case State.PAUSED:
            return Words("ask", "Paused", f"It holds still after {iteration} and keeps its memory.")
        case State.STOPPING:
            return Words("busy", "Stopping", _stage(status), status.done, status.total)
        case State.SILENT:
            return Words(
                "ask",
                "No sign of life",
                "Its heartbeat stands still: the process hangs, or its disk or machine is away.",
            )
        case State.FINISHED:
            return Words("good", "Finished", _result(status))
        case State.STOPPED:
            return Words("idle", f"Stopped after {iteration}", "Resume goes on from there.")
        case State.FAILED:
            event = None if status.ending is None else status.ending.event
            if isinstance(event, Failed):
                return Words("bad", event.problem, event.remedy)
            return Words("bad", "Failed")
        case State.DEAD:
            return Words(
                "bad",
                "The worker died",
                f"It ended without a word: killed, out of memory, its disk full, or the machine went down. "
                f"Everything up to {iteration} is kept; Resume goes on from there.",
            )
        case _:
            return Words("bad", "Out of reach", "The run directory is not there: moved, or its disk is away.")


def _stage(status: RunStatus) -> str:
    words = status.stage[:1].upper() + status.stage[1:]
    if status.total:
        words += f": {status.done} of {status.total} {status.unit}".rstrip()
    if status.eta_seconds is not None:
        words += f" · {duration(status.eta_seconds)} left in this step"
    return words or "The worker reads its inputs."


def _result(status: RunStatus) -> str:
    event = None if status.ending is None else status.ending.event
    figures = dict(event.figures) if isinstance(event, Finished) else {}
    if not figures:
        return ""
    criterion = "SSNR 1 in the best class" if has_classes(figures) else "FSC of the halves 0.143, no mask"
    resolution = figures.get("resolution_angstrom")
    words = "It is done" if resolution is None else f"{resolution:.2f} Å ({criterion})"
    if "iterations" in figures:
        count = figures["iterations"]
        words += f" after {count} iteration{'s' * (count != 1)}"
    if "seconds_in_all" in figures:
        words += f", {duration(figures['seconds_in_all'])}"
    return f"{words}."
