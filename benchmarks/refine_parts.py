"""Runs that were interrupted go on: RELION may need hours, and a benchmark is stopped and gone on with at will.

Beside a run's folder lie its command line and the seconds that its parts have taken so far. Without them, or
for another command line, it begins anew.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

_LOST_IN_RELIONS_FILES = ("--pool", "--pad", "--j")
"""Options with a value that ``--continue`` takes anew."""
_LOST_FLAGS = ("--dont_combine_weights_via_disc", "--preread_images", "--skip_gridding")


@dataclass(frozen=True)
class Parts:
    """Of one run: its command line, how often it was begun, and the seconds of all parts."""

    command: str
    count: int = 0
    seconds: float = 0.0

    @classmethod
    def of(cls, run: Path, command: str) -> Parts:
        """Return what is kept of a run, or none of it if it was of another command line."""
        try:
            kept = cls(**json.loads(_file(run).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return cls(command)
        return kept if kept.command == command else cls(command)

    def keep(self, run: Path, seconds: float) -> Parts:
        """Note that the part that runs has taken so many seconds, and return all so far."""
        now = replace(self, seconds=self.seconds + seconds)
        temporary = _file(run).with_suffix(".tmp")
        temporary.write_text(json.dumps(asdict(now)) + "\n", encoding="utf-8")
        temporary.replace(_file(run))
        return now


def forget(run: Path) -> None:
    """Let a run begin anew."""
    _file(run).unlink(missing_ok=True)


def command_to_go_on(command: list[str], folder: Path, run: Path) -> list[str] | None:
    """Return the command by which an interrupted run goes on; None if it has to begin anew.

    Parameters
    ----------
    command
        That it was begun by.
    folder, run
        Where it is, as the command names it, and as it is found from here.
    """
    if command[0] == "blush":
        return ["blush", "resume", str(folder)] if (run / "params.json").exists() else None
    done = sorted(run.glob("run_it*_optimiser.star"))
    if not done:
        return None
    end = command.index("relion_refine_mpi") + 1
    words = [*command[:end], "--continue", f"{folder}/{done[-1].name}", "--o", f"{folder}/run"]
    for option in _LOST_IN_RELIONS_FILES:
        words += [option, command[command.index(option) + 1]]
    return [*words, *(flag for flag in _LOST_FLAGS if flag in command)]


def _file(run: Path) -> Path:
    return run.with_name(f"{run.name}.parts.json")
