"""Viewers for the tests of the plugin: real ones, through the proxy that napari gives to plugins."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from blushcore.volumes import MapHeader, Volume

if TYPE_CHECKING:
    from other_binding import OtherBinding

os.environ["NAPARI_CONFIG"] = ""  # what tests choose is not saved among the settings of who runs them


_OTHER = pytest.StashKey["OtherBinding"]()
_BOTH = "test_both_bindings.py"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin the run with the other Qt binding beside this one, which waits for it at its end."""
    waiting = [item for item in items if item.path.name == _BOTH]
    if not waiting:
        return
    items[:] = [item for item in items if item.path.name != _BOTH] + waiting
    if config.option.collectonly or all(any(item.iter_markers("skip")) for item in waiting):
        return
    if os.environ.get("BLUSH_ONE_BINDING") == "1":
        return
    from other_binding import OtherBinding, binding_not_used, is_installed

    name = binding_not_used()
    if is_installed(name):
        config.stash[_OTHER] = OtherBinding(name, Path(tempfile.mkdtemp(prefix="blush-other-binding-")))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave no run behind."""
    other = config.stash.get(_OTHER, None)
    if other is not None:
        other.remove()


@pytest.fixture
def other_binding(pytestconfig: pytest.Config) -> OtherBinding | None:
    """The run with the other Qt binding; None if that is not installed."""
    return pytestconfig.stash.get(_OTHER, None)


@pytest.fixture
def make_viewer(make_napari_viewer_proxy: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Make viewers, shown or not; widgets that outlive them fail the test, and so does what vispy only logs."""
    from napari_blush.qt_references import hold_constants

    hold_constants()  # as docks do; napari without any dock loses references, too
    monkeypatch.setenv("NAPARI_STRICT_QT", "raise")
    return make_napari_viewer_proxy


@pytest.fixture
def no_log_errors(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail on errors in the log: vispy reports those of OpenGL nowhere else."""
    yield
    assert [record.getMessage() for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")] == []


@pytest.fixture
def two_maps() -> tuple[Volume, Volume]:
    """Two maps (12, 14, 16) of 2 Å a voxel at (−10, 0, 30) Å; the first is 0 to 1, the second 100 more."""
    values = np.random.default_rng(5).random((12, 14, 16)).astype(np.float32)
    one = Volume(values, (2.0, 2.0, 2.0), MapHeader(origin=(-10.0, 0.0, 30.0), labels=("from elsewhere",)))
    return one, one.with_data(values + 100)


@pytest.fixture
def particle_set(tmp_path: Path) -> Path:
    """A STAR file whose stacks lie in its project, as RELION has it."""
    from particle_files import write_particle_set

    project = tmp_path / "project"
    project.mkdir()
    return write_particle_set(project)


@pytest.fixture
def silent(tmp_path: Path, qapp: Any) -> Any:
    """A worker that only listens."""
    from worker_stand_ins import SilentWorker

    return SilentWorker(tmp_path / "arrays")


@pytest.fixture
def open_widget(make_viewer: Callable[..., Any], tmp_path: Path) -> Iterator[Callable[..., tuple[Any, Any]]]:
    """Put *Denoise map* beside a viewer; its worker, timers and files are gone after the test."""
    made = []

    def open_one(worker: Any = None, viewer: Any = None) -> tuple[Any, Any]:
        from docks import put_beside

        from napari_blush.denoise.widget import DenoiseWidget

        viewer = make_viewer() if viewer is None else viewer
        widget = DenoiseWidget(viewer, worker)
        put_beside(viewer, widget, f"Denoise map {len(made) + 1}")
        made.append(widget)
        return viewer, widget

    yield open_one
    for widget in made:
        results = widget.session._store.folder
        widget.shut_down()
        widget.shut_down()
        assert not widget._settle.isActive()
        assert not widget._follower.is_waiting
        assert not widget._worker.is_running
        assert not results.exists()


@pytest.fixture
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the dock Refine makes its demo set, and remembers its run; no worker is left below `tmp_path`."""
    from worker_stand_ins import end_worker

    from napari_blush.refine import places, runs

    folder = tmp_path / "data"
    monkeypatch.setattr(places, "data_folder", lambda: folder)
    monkeypatch.setattr(runs, "_NICENESS", 0)  # what else runs here may not starve it
    yield folder
    for events in tmp_path.rglob("events.jsonl"):
        end_worker(events.parent)


@pytest.fixture
def themes() -> Iterator[Iterator[str]]:
    """Light, then dark: napari has each theme while one is at it."""
    from napari.settings import get_settings

    appearance = get_settings().appearance
    before = appearance.theme

    def each() -> Iterator[str]:
        for theme in ("light", "dark"):
            appearance.theme = theme
            yield theme

    yield each()
    appearance.theme = before


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished, made-up refinement of three iterations in a box of 24³; only to be read."""
    from replay import recorded_run

    return recorded_run(tmp_path_factory.mktemp("recorded") / "run", box=24)
