"""Whether a run lives: judged from outside by its lock, its heartbeat and its last event."""

from __future__ import annotations

from typing import Literal, TypeAlias

from blushcore.protocol import Finished
from blushcore.runs.heartbeat import SILENCE_SECONDS, Pulse
from blushcore.runs.layout import RunDirectory
from blushcore.runs.lock import read_lock
from blushcore.runs.summary import RunSummary

Life: TypeAlias = Literal[
    "waiting", "running", "silent", "dead", "finished", "failed", "stopped", "unreachable"
]
"""
waiting
    Made, but no worker has begun it.
running
    A worker holds the lock and its heartbeat advances (a paused run too).
silent
    A worker holds the lock, but its heartbeat stands still: the process hangs or is suspended, its disk is
    away, or it died on another machine.
dead
    The worker ended without a word: killed, the machine went down, or not even its first could be written.
finished, failed, stopped
    The newest attempt ended so.
unreachable
    The directory is not there: moved, deleted, or its disk is away.
"""

ENDED: frozenset[Life] = frozenset({"dead", "finished", "failed", "stopped"})
"""Nothing more comes unless the run is resumed."""


class LifeJudge:
    """Judges a run's life again and again; it needs to see the heartbeat advance.

    Parameters
    ----------
    run
        The run directory.
    silence_seconds
        How long the heartbeat may stand still.
    """

    def __init__(self, run: RunDirectory, *, silence_seconds: float = SILENCE_SECONDS) -> None:
        self._run = run
        self._pulse = Pulse(run.heartbeat, silence_seconds=silence_seconds)

    def look(self, summary: RunSummary) -> Life:
        """Return the life of the run whose events so far amount to `summary`."""
        beats = self._pulse.look()
        holder = None
        alive: bool | None = False
        try:
            if not self._run.description.exists():
                return "unreachable"
            holder = read_lock(self._run.lock)
            if holder is not None:
                alive = holder.process.is_alive()
        except ValueError:  # being written at this very moment, or damaged
            alive = None
        except OSError:
            return "unreachable"
        if alive or (alive is None and beats):
            return "running" if beats else "silent"
        if summary.ending is not None:
            return _how_it_ended(summary)
        if alive is None:
            return "silent"
        never_begun = summary.last is None and holder is None and not self._run.heartbeat.exists()
        return "waiting" if never_begun else "dead"


def _how_it_ended(summary: RunSummary) -> Life:
    assert summary.ending is not None
    event = summary.ending.event
    if isinstance(event, Finished):
        return "finished" if event.outcome == "done" else "stopped"
    return "failed"
