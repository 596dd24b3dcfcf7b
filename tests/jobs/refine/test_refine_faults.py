"""Troubles in the middle of a refinement: named in a sentence, and gone on from as if nothing had been."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from blushcore.jobs.expectation_maximisation import inputs
from blushcore.jobs.expectation_maximisation.outputs import ParticleFile
from blushcore.jobs.refine.job import JOB
from blushcore.protocol import BlushError, Event, Failed, Finished, IterationDone, Message, Started
from blushcore.runs import resume, run_job
from tiny_refinement import TinySet, write_tiny_set

MAPS = ("run_class001.mrc", "run_half1_class001_unfil.mrc", "run_half2_class001_unfil.mrc")
_HEADER = 1024


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> TinySet:
    return write_tiny_set(tmp_path_factory.mktemp("tiny"), count=40)


@pytest.fixture(scope="module")
def undisturbed(tiny, tmp_path_factory) -> list[bytes]:
    """The final maps of a run without any trouble."""
    run = tmp_path_factory.mktemp("whole") / "run"
    list(run_job(JOB, tiny.parameters(max_iterations=3), run))
    return maps(run)


def maps(run: Path) -> list[bytes]:
    return [(run / name).read_bytes()[_HEADER:] for name in MAPS]


def each(look: Callable[[Event], None], events: Iterable[Event]) -> None:
    for event in events:
        look(event)


def gone_on_with(run: Path, iteration: int) -> None:
    events = list(resume(run))
    assert isinstance(events[0], Started)
    assert events[0].resumed_from_iteration == iteration
    assert isinstance(events[-1], Finished)


def test_a_disk_that_is_full_is_named_and_the_run_goes_on_when_there_is_room(
    tiny, undisturbed, tmp_path, monkeypatch
):
    run, write = tmp_path / "run", ParticleFile.write

    def without_room(self: ParticleFile, path: Path) -> None:
        if self.name.startswith("run_it002"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        write(self, path)

    monkeypatch.setattr(ParticleFile, "write", without_room)
    events = []
    with pytest.raises(BlushError, match="The disk is full") as caught:
        each(events.append, run_job(JOB, tiny.parameters(max_iterations=3), run))
    assert "run_it002_data.star could not be written" in caught.value.problem
    assert "blush resume" in caught.value.remedy
    assert isinstance(events[-1], Failed)
    monkeypatch.undo()
    gone_on_with(run, 1)
    assert maps(run) == undisturbed


def test_a_stack_that_vanishes_is_named_with_its_rows_and_the_run_goes_on_when_it_is_back(
    tiny, undisturbed, tmp_path, monkeypatch
):
    monkeypatch.setattr(inputs, "SHARE_FOR_IMAGES", 0.0)  # images are read again in each iteration
    run, away = tmp_path / "run", tmp_path / "away.mrcs"

    def take_away(event: Event) -> None:
        if isinstance(event, IterationDone) and event.iteration == 1:
            tiny.stack.rename(away)

    try:
        said = r"particles\.star, rows? .*particles\.mrcs does not exist any more"
        with pytest.raises(BlushError, match=said) as caught:
            each(take_away, run_job(JOB, tiny.parameters(max_iterations=3), run))
        assert caught.value.remedy == "Has it been moved or rewritten, or is a disk away? Put it back."
        with pytest.raises(BlushError, match=r"particles\.mrcs"):
            list(resume(run))
    finally:
        away.rename(tiny.stack)
    gone_on_with(run, 1)
    assert maps(run) == undisturbed


def test_a_project_that_was_moved_goes_on(tiny, undisturbed, tmp_path):
    project = tmp_path / "project"
    shutil.copytree(tiny.folder, project)
    moved = TinySet(project, tiny.truth, tiny.angles_deg, tiny.offsets_px)
    run = project / "Refine3D" / "run"
    stream = run_job(JOB, moved.parameters(max_iterations=3), run)
    next(event for event in stream if isinstance(event, IterationDone) and event.iteration == 1)
    stream.close()
    project.rename(tmp_path / "elsewhere")
    again = tmp_path / "elsewhere" / "Refine3D" / "run"
    events = list(resume(again))
    assert isinstance(events[-1], Finished)
    told = [event.text for event in events if isinstance(event, Message)]
    assert any(f"{tmp_path / 'elsewhere' / 'particles.star'} is taken" in text for text in told)
    assert maps(again) == undisturbed
