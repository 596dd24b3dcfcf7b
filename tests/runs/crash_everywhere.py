"""Kills a run at each of its steps on the disk, resumes it, and says what came of it. Run by test_crashes.

Each step (open, write, fsync, link, rename, unlink) of a short run is one point to die at: the process forks,
and the child ends without a word right before that step, or in the middle of it where it is a write. The parent
then resumes the run (with ``--twice``, after a second death at a later step) and compares everything with an
uninterrupted run. Forking is why this is a program of its own: it has no threads when it forks.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from toy_job import TOY, ArrayFile, ToyParameters

from blushcore.protocol import Event, IterationDone
from blushcore.runs import RunReader, read_run, resume, run_job
from blushcore.runs.files import TEMPORARY_PREFIX

PARAMETERS = ToyParameters(walk="crash", iterations=3, size=50)
STEPS = ("open", "write", "fsync", "link", "replace", "unlink", "mkdir")


class Reaper:
    """Counts the steps on the disk and ends the process at the one given."""

    def __init__(self, at: int | None) -> None:
        self.at = at
        self.count = 0

    def step(self, halfway: Callable[[], Any] = lambda: None) -> None:
        self.count += 1
        if self.count == self.at:
            halfway()
            os._exit(9)

    def install(self) -> None:
        for name in STEPS:
            setattr(os, name, self._wrapped(name, getattr(os, name)))
        content = ArrayFile.write

        def write_in_two(artefact: ArrayFile, path: Path) -> None:
            content(artefact, path)
            whole = path.read_bytes()
            self.step(lambda: path.write_bytes(whole[: len(whole) // 2]))

        ArrayFile.write = write_in_two  # type: ignore[method-assign]

    def _wrapped(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **options: Any) -> Any:
            if name == "write":
                descriptor, content = arguments
                self.step(lambda: original(descriptor, content[: len(content) // 2]))
            else:
                self.step()
            return original(*arguments, **options)

        return step


def child(work: Callable[[], Iterator[Event]], at: int | None) -> bool:
    """Do `work` in a process that dies at step `at`; whether it died."""
    pid = os.fork()
    if pid == 0:
        reaper = Reaper(at)
        reaper.install()
        try:
            for _ in work():
                pass
        except BaseException:
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, 9), f"a child failed with {code}"
    return code == 9


def is_done(run: Path) -> bool:
    return (run / "params.json").exists() and read_run(run).summary.is_done


def go_on(run: Path) -> Iterator[Event]:
    """Resume, or begin again if the first process died before it was a run; nothing if it is done."""
    if is_done(run):
        return iter(())
    if (run / "params.json").exists():
        return resume(run, {"toy": TOY})
    return run_job(TOY, PARAMETERS, run)


def check(run: Path, expected: dict[str, bytes]) -> list[str]:
    """Return what is wrong with the run that should be as if nothing had happened."""
    wrong = []
    for name, content in expected.items():
        if not (run / name).exists() or (run / name).read_bytes() != content:
            wrong.append(f"{name} differs")
    wrong += [f"left over: {path.name}" for path in run.rglob(f"{TEMPORARY_PREFIX}*")]
    wrong += [f"left over: {path.name}" for path in run.glob("run.lock*")]
    reader = RunReader(run)
    records = reader.poll()
    if [record.seq for record in records] != sorted({record.seq for record in records}):
        wrong.append("the numbers do not ascend")
    if any(problem for problem in reader.problems if "torn or damaged" not in problem.text):
        wrong.append(f"problems: {reader.problems}")
    if sorted(reader.summary.iterations) != [1, 2, 3]:
        wrong.append(f"iterations {sorted(reader.summary.iterations)}")
    if reader.life() != "finished":
        wrong.append(f"life is {reader.life()}")
    done = [r.event.iteration for r in records if isinstance(r.event, IterationDone)]
    if len(done) > 3:
        wrong.append(f"iterations done again although they were recorded: {done}")
    return wrong


def main(folder: Path, twice: bool) -> dict[str, Any]:
    truth = folder / "truth"
    list(run_job(TOY, PARAMETERS, truth))
    names = ["results/walk.npy", *(f"walk_it{i:03d}.npy" for i in (1, 2, 3))]
    expected = {name: (truth / name).read_bytes() for name in names}
    wrong: dict[str, list[str]] = {}
    tried = torn = died_late = 0
    random = np.random.default_rng(5)
    for at in itertools.count(1):
        run = folder / f"run{at}"
        if not child(lambda: run_job(TOY, PARAMETERS, run), at):  # noqa: B023 - used at once
            break
        if twice:
            child(lambda: go_on(run), int(random.integers(1, 70)))  # noqa: B023
        tried += 1
        try:
            if is_done(run):  # it died between its last line and giving back the lock
                (run / "run.lock").unlink(missing_ok=True)
                died_late += 1
            list(go_on(run))
            found = check(run, expected)
            torn += len(RunReader(run).poll()) < len((run / "events.jsonl").read_bytes().splitlines())
        except Exception as error:
            found = [f"{type(error).__name__}: {error}"]
        if found:
            wrong[f"step {at}"] = found
        shutil.rmtree(run)
    return {"tried": tried, "torn": torn, "died_late": died_late, "wrong": wrong}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), "--twice" in sys.argv)))
