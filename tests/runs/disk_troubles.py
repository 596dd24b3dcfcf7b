"""A run on a disk that fills up or may not be written; run by test_disks in a mount namespace of its own.

Mounts a small file system of its own (which is why it needs that namespace), so the failures are the system's.
Prints one JSON object: what was seen.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from toy_job import TOY, ToyParameters

from blushcore.protocol import BlushError, Event, Finished
from blushcore.runs import RunReader, resume, run_job
from blushcore.runs.files import TEMPORARY_PREFIX, write_bytes_whole


def mount(disk: Path, *options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", disk], check=True)


def events_until_error(stream: Any) -> tuple[list[Event], str]:
    events: list[Event] = []
    try:
        events.extend(stream)
    except BlushError as error:
        return events, str(error)
    return events, ""


def full(disk: Path) -> dict[str, Any]:
    mount(disk, "size=512k")
    run = disk / "run"
    # An iteration's file and checkpoint take 80 kB each.
    events, error = events_until_error(run_job(TOY, ToyParameters(walk="full", size=10_000, iterations=8), run))
    reader = RunReader(run)
    records = reader.poll()
    seen = {
        "error": error,
        "kinds": [event.kind for event in events],
        "recorded": [record.event.kind for record in records],
        "life": reader.life(),
        "leftovers": [path.name for path in run.rglob(f"{TEMPORARY_PREFIX}*")],
        "problems": [problem.text for problem in reader.problems],
    }
    done = len(reader.summary.iterations)
    subprocess.run(["mount", "-o", "remount,size=8m", disk], check=True)
    events, seen["error_resumed"] = events_until_error(resume(run, {"toy": TOY}))
    first, last = events[0], events[-1]
    seen["resumed_from"] = [getattr(first, "resumed_from_iteration", None), done]
    seen["outcome"] = last.outcome if isinstance(last, Finished) else last.kind
    seen["figure"] = last.figures["distance"] if isinstance(last, Finished) else None
    return seen


def brimful(disk: Path) -> dict[str, Any]:
    """No room for as much as a line of the events."""
    mount(disk, "size=256k")
    stream = run_job(TOY, ToyParameters(walk="full", iterations=200), disk / "run")
    events = [next(stream), next(stream)]
    with (disk / "filler").open("wb", buffering=0) as filler:
        try:
            while True:
                filler.write(b"x" * 512)
        except OSError:
            pass
    more, error = events_until_error(stream)
    before = (disk / "run" / "events.jsonl").read_bytes()
    (disk / "filler").unlink()
    subprocess.run(["mount", "-o", "remount,size=8m", disk], check=True)
    events = list(resume(disk / "run", {"toy": TOY}))[-1:]
    after = RunReader(disk / "run")
    after.poll()
    return {
        "error": error,
        "kinds": [event.kind for event in more][-1:],
        "whole_before": before.endswith(b"\n"),
        "problems": [problem.text for problem in after.problems],
        "iterations": len(after.summary.iterations),
        "last": [event.kind for event in events],
    }


def read_only(disk: Path) -> dict[str, Any]:
    mount(disk, "size=1m")
    stream = run_job(TOY, ToyParameters(walk="x"), disk / "run")
    for _ in range(3):
        next(stream)
    stream.close()
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    seen: dict[str, Any] = {}
    seen["new"] = events_until_error(run_job(TOY, ToyParameters(walk="x"), disk / "other"))[1]
    seen["inside"] = events_until_error(run_job(TOY, ToyParameters(walk="x"), disk))[1]
    seen["resume"] = events_until_error(resume(disk / "run", {"toy": TOY}))[1]
    try:
        write_bytes_whole(disk / "file", b"x")
    except BlushError as error:
        seen["file"] = str(error)
    reader = RunReader(disk / "run")
    seen["read"] = [len(reader.poll()), reader.life()]
    return seen


if __name__ == "__main__":
    scenario = {"full": full, "brimful": brimful, "read_only": read_only}[sys.argv[1]]
    print(json.dumps(scenario(Path(sys.argv[2]))))
