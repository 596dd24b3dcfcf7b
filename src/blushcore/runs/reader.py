"""Follows a run from outside: the same for a live run, one on a shared disk, and one that ended long ago.

A reader keeps a byte offset into ``events.jsonl`` and takes complete lines only. It looks when asked to
(`poll`) and relies on no notification. What is not as it should be it notes in `problems` and passes over.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from blushcore.protocol import BlushError
from blushcore.runs.layout import RunDescription, RunDirectory, read_description
from blushcore.runs.life import ENDED, Life, LifeJudge
from blushcore.runs.records import LaterVersionError, Record, decode
from blushcore.runs.summary import RunSummary

FILE_PATIENCE_SECONDS = 10.0
"""How long an event is held back because a file that it names is not there yet (network disks, synchronised
folders)."""

OLD_SECONDS = 120.0
"""Files of events older than this are not waited for: they were deleted. Of what arrives while one watches the
clock of the writer's machine is not asked, which may be minutes off."""


@dataclass(frozen=True)
class Look:
    """What one look at a run found: its life, and the records that are new, oldest first."""

    life: Life
    records: list[Record]


@dataclass(frozen=True)
class Problem:
    """Something in a run directory that is not as it should be, in one sentence for the user."""

    text: str


class RunWatch(Protocol):
    """The face of everything that can be watched as a run; viewers and the terminal know no more than this."""

    @property
    def directory(self) -> Path:
        """Where the run lies."""
        ...

    @property
    def job(self) -> str:
        """The name of its job."""
        ...

    @property
    def summary(self) -> RunSummary:
        """The sum of the records that `poll` has returned."""
        ...

    @property
    def problems(self) -> list[Problem]:
        """What was not as it should be, oldest first."""
        ...

    def poll(self) -> list[Record]:
        """Return the records that are new since the last call, oldest first; never waits."""
        ...

    def life(self) -> Life:
        """Whether the run lives, as of now."""
        ...

    def files(self, record: Record) -> Mapping[str, Path]:
        """Return the record's files that are there, by role."""
        ...

    def follow(self, poll_seconds: float = 0.5) -> Iterator[Look]:
        """Look again and again, until the run has ended."""
        ...


class RunReader:
    """The reader of our own run directories; see `RunWatch`.

    Parameters
    ----------
    directory
        The run directory.
    file_patience_seconds
        How long to hold an event back for its files; 0 returns events at once, whatever is there.

    Raises
    ------
    BlushError
        If `directory` is not a run directory.
    """

    def __init__(self, directory: Path, *, file_patience_seconds: float = FILE_PATIENCE_SECONDS) -> None:
        self._run = RunDirectory(directory)
        self._file_patience_seconds = file_patience_seconds
        self._stamp = (0, 0)
        with contextlib.suppress(OSError):  # told by what follows
            self._stamp = self._stamp_now()
        self.description: RunDescription = read_description(self._run)
        self._begin()
        self._judge = LifeJudge(self._run)
        self._problems: list[Problem] = []

    def _begin(self) -> None:
        self._summary = RunSummary.of(self.description)
        self._offset = 0
        self._line_number = 0
        self._is_of_later_version = False
        self._hole_since: float | None = None
        self._expected_seq = 0
        self._held: list[tuple[float, bool, Record]] = []
        self._has_read = False

    @property
    def directory(self) -> Path:
        """Where the run lies."""
        return self._run.path

    @property
    def job(self) -> str:
        """The name of its job."""
        return self.description.job

    @property
    def summary(self) -> RunSummary:
        """The sum of the records that `poll` has returned."""
        return self._summary

    @property
    def problems(self) -> list[Problem]:
        """What was not as it should be, oldest first."""
        return self._problems

    @property
    def is_of_later_version(self) -> bool:
        """Whether lines were left out because a later version of blush wrote them."""
        return self._is_of_later_version

    def poll(self) -> list[Record]:
        """Return the records that are new since the last call, oldest first.

        A record whose files are not there yet is held back for a while, and those after it with it. A directory
        that cannot be reached has nothing new; when it comes back, reading goes on where it stopped.
        """
        was_watching = self._has_read
        arrived = self._read_new()  # before `_held` is looked up: it may begin anew
        is_news = was_watching and self._has_read
        self._has_read |= bool(arrived)
        now = time.monotonic()
        self._held.extend((now, is_news, record) for record in arrived)
        ready = []
        while self._held:
            since, is_news, record = self._held[0]
            if self._waits_for_files(record, now - since, is_news):
                break
            del self._held[0]
            self._summary.add(record)
            ready.append(record)
        return ready

    def life(self) -> Life:
        """Whether the run lives, as of now; judged on what `poll` has returned."""
        return self._judge.look(self._summary)

    def files(self, record: Record) -> Mapping[str, Path]:
        """Return the record's files that are there, whole, by role."""
        found = {}
        for role, name in record.files.items():
            try:
                path = self._run.inside(name)
                if path.stat().st_size == record.sizes.get(role, path.stat().st_size):
                    found[role] = path
            except (OSError, ValueError):
                continue
        return found

    def follow(self, poll_seconds: float = 0.5) -> Iterator[Look]:
        """Look again and again, until the run has ended, or could not be reached for some time.

        Every look is yielded, whether it found something new or not.
        """
        lost_since: float | None = None
        while True:
            life = self.life()  # judged before polling: what an ended run wrote last is not missed
            records = self.poll()
            yield Look(self.life() if records else life, records)
            if life == "unreachable":
                lost_since = lost_since or time.monotonic()
                if time.monotonic() - lost_since > FILE_PATIENCE_SECONDS:
                    return
            else:
                lost_since = None
                if life in ENDED and not records and not self._held:
                    return
            if not records:
                time.sleep(poll_seconds)

    def _read_new(self) -> list[Record]:
        try:
            with self._run.events.open("rb") as stream:
                if stream.seek(0, os.SEEK_END) < self._offset:
                    self._start_over("became shorter")
                elif self._is_of_another_run():
                    self._start_over("is another run's now")
                stream.seek(self._offset)
                content = stream.read()
        except OSError:
            return []
        content = content[: self._end_of_solid(content)]
        end = content.rfind(b"\n") + 1
        self._offset += end
        records = []
        for line in content[:end].split(b"\n")[:-1]:
            self._line_number += 1
            if (record := self._decode(line)) is not None:
                records.append(record)
        return records

    def _end_of_solid(self, content: bytes) -> int:
        """Return where a hole begins: NULs that a network disk shows for a while where pages have not arrived.

        After a while they are taken for what a power failure left behind, and the line for damaged.
        """
        hole = content.find(b"\0")
        if hole < 0:
            self._hole_since = None
            return len(content)
        now = time.monotonic()
        if self._hole_since is None:
            self._hole_since = now
        return len(content) if now - self._hole_since >= self._file_patience_seconds else hole

    def _stamp_now(self) -> tuple[int, int]:
        """Return what changes when another ``params.json``, which is written once, takes the place of this."""
        found = self._run.description.stat()
        return found.st_mtime_ns, found.st_ino

    def _is_of_another_run(self) -> bool:
        """Whether another run lies where this one lay."""
        stamp = self._stamp_now()
        if stamp == self._stamp:
            return False
        try:
            is_other = read_description(self._run).run_id != self.description.run_id
        except BlushError:  # on its way: asked again
            return False
        self._stamp = stamp
        return is_other

    def _start_over(self, why: str) -> None:
        """Read from the beginning: the file is another one (restored, or a new run)."""
        with contextlib.suppress(BlushError):  # on its way; the old one serves until then
            self.description = read_description(self._run)
        self._begin()
        self._problems.append(Problem(f"{self._run.events} {why}; it is read again from its beginning."))

    def _decode(self, line: bytes) -> Record | None:
        try:
            record = decode(line)
        except ValueError as error:
            self._is_of_later_version |= isinstance(error, LaterVersionError)
            self._problems.append(
                Problem(f"Line {self._line_number} of {self._run.events} is left out: {error}.")
            )
            return None
        if record.seq < self._expected_seq:
            self._problems.append(
                Problem(
                    f"Line {self._line_number} of {self._run.events} repeats number {record.seq}: "
                    "two processes may have written."
                )
            )
        self._expected_seq = max(self._expected_seq, record.seq + 1)
        return record

    def _waits_for_files(self, record: Record, waited: float, is_news: bool) -> bool:
        is_old = not is_news and time.time() - record.time > OLD_SECONDS
        if is_old or waited >= self._file_patience_seconds:
            return False
        return len(self.files(record)) < len(record.files)


def read_run(directory: Path) -> RunReader:
    """Return a reader that has read everything there is, without waiting for files.

    Raises
    ------
    BlushError
        If `directory` is not a run directory.
    """
    reader = RunReader(directory, file_patience_seconds=0.0)
    while reader.poll():
        pass
    return reader
