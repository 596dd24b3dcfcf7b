"""A run that is moved with what it reads finds it again."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from blushcore.protocol import Parameters
from blushcore.runs.moved import found_again


class Inputs(Parameters):
    positional: ClassVar[tuple[str, ...]] = ()

    particles: Path
    references: tuple[Path, ...] = ()
    mask: Path | None = None
    count: int = 3


def project(folder: Path) -> Path:
    """A project with a run two folders below; returns the run."""
    run = folder / "Refine" / "run1"
    run.mkdir(parents=True)
    for name in ("particles.star", "one.mrc", "two.mrc"):
        (folder / name).touch()
    return run


def inputs_of(folder: Path) -> Inputs:
    return Inputs(particles=folder / "particles.star", references=(folder / "one.mrc", folder / "two.mrc"))


def test_a_project_that_was_moved(tmp_path: Path) -> None:
    was = project(tmp_path / "here")
    before = inputs_of(tmp_path / "here")
    assert found_again(before, was, was) == (before, [])
    (tmp_path / "there").mkdir()
    (tmp_path / "here").rename(tmp_path / "there" / "mine")
    now = tmp_path / "there" / "mine" / "Refine" / "run1"
    found, told = found_again(before, was, now)
    assert found == inputs_of(tmp_path / "there" / "mine")
    assert len(told) == 3
    assert str(tmp_path / "here" / "particles.star") in told[0]
    assert str(found.particles) in told[0]


def test_what_is_still_there_is_taken_from_there(tmp_path: Path) -> None:
    was = project(tmp_path / "here")
    now = project(tmp_path / "copy")
    before = inputs_of(tmp_path / "here")
    assert found_again(before, was, now) == (before, [])


def test_what_is_nowhere_stays_as_it_was_named(tmp_path: Path) -> None:
    before = inputs_of(tmp_path / "gone")
    assert found_again(before, tmp_path / "gone" / "run", tmp_path / "run") == (before, [])
    assert found_again(before, None, tmp_path / "run") == (before, [])
