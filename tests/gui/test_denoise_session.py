"""The session: its states, and that nothing stale is heard."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from blushcore.interactive.messages import (
    Cancel,
    Compare,
    Compared,
    Denoise,
    DenoiseSettings,
    Done,
    Failed,
    Focus,
    Load,
    Prepare,
    Prepared,
    SliceInView,
    SlicePicture,
    Working,
)
from blushcore.protocol import BlushError
from blushcore.volumes import Volume

pytestmark = pytest.mark.gui

FIGURES = {"weights": "w", "seconds": 1.5, "blocks": 4, "device": "cpu", "precision": "float32"}


@pytest.fixture
def worker(silent):
    return silent


@pytest.fixture
def session(worker) -> Iterator:
    from napari_blush.background import Background
    from napari_blush.denoise.session import DenoiseSession

    session = DenoiseSession(worker, Background())
    session.seen = []
    session.state_changed.connect(lambda state: session.seen.append(str(state)))
    worker.said.connect(session.on_event)
    worker.died.connect(session.on_death)
    session.warm_up()
    yield session
    results = session._store.folder
    session.close()
    assert not worker.is_running
    assert not results.exists()


def volume(seed: int = 0, shape=(10, 11, 12), size: float = 1.5) -> Volume:
    values = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return Volume(values, (size,) * 3)


def ready(session, worker, count: int = 1) -> list[Volume]:
    volumes = [volume(seed) for seed in range(count)]
    session.open(volumes, [f"half{i + 1}" for i in range(count)])
    worker.answer_loads(100.0)
    return volumes


def finish(worker, source: Volume) -> None:
    """Answer the last request to denoise."""
    request = worker.asked(Denoise)[-1]
    worker.said.emit(Working(id=request.id, stage="denoising", done=1, total=4, eta_seconds=3.0))
    worker.said.emit(
        Done(
            id=request.id,
            key=request.key,
            map_path=worker.array(f"map-{request.id}", source.data * 0.5),
            mask_path=worker.array(f"mask-{request.id}", np.ones(source.shape)),
            figures=FIGURES,
        )
    )


def test_from_nothing_to_a_result(session, worker):
    from worker_stand_ins import wait_until

    assert worker.starts == 1
    assert session.state == "empty"
    [source] = ready(session, worker)
    assert session.estimated_diameter == 100
    assert session.can_work
    session.settings = DenoiseSettings(diameter=90)
    progress = []
    session.progressed.connect(progress.append)
    session.denoise()
    # What is changed meanwhile is for the next time.
    session.settings = DenoiseSettings(diameter=50)
    finish(worker, source)
    wait_until(lambda: session.state == "done")
    assert session.seen == ["loading", "ready", "running", "done"]
    [result] = session.history
    assert result.settings.diameter == 90
    assert (progress[-1].done, progress[-1].total, progress[-1].eta_seconds) == (1, 4, 3.0)
    np.testing.assert_allclose(result.blended(0, 0.5), source.data * 0.75, rtol=1e-5)
    np.testing.assert_allclose(result.change(0, 1.0), -source.data * 0.5, rtol=1e-5)
    record = result.record(0.5)
    assert record["settings"]["diameter"] == 90
    assert record["strength"] == 0.5
    assert DenoiseSettings.parse(record["settings"], "record") == result.settings
    assert not list(worker.folder.glob("*map-*")) or not list(worker.folder.glob("mask-*"))


def test_the_history_keeps_the_newest_and_what_is_in_use(session, worker, monkeypatch):
    from worker_stand_ins import wait_until

    from napari_blush.denoise import store

    monkeypatch.setattr(store, "MOST_RESULTS", 3)
    [source] = ready(session, worker)
    for count in range(1, 6):
        session.denoise()
        finish(worker, source)
        wait_until(lambda count=count: session.state == "done" and session.history[-1].number == count)
        session.shorten_history([session.history[0], session.history[-1]])
    assert [result.number for result in session.history] == [1, 4, 5]
    files = {path.name for path in session._store.folder.iterdir() if path.suffix == ".npy"}
    assert len(files) == 6  # a map and a mask each: the others' are gone
    for result in session.history:
        assert isinstance(result.mask, np.memmap)  # nor does memory fill up
        assert isinstance(result.maps[0], np.memmap)


def test_two_halves_one_after_the_other_and_their_fsc(session, worker):
    from worker_stand_ins import wait_until

    first, second = ready(session, worker, 2)
    curves, progress = [], []
    session.fsc_came.connect(curves.append)
    session.progressed.connect(progress.append)
    session.denoise()
    finish(worker, first)
    assert len(worker.asked(Denoise)) == 2
    finish(worker, second)
    # Of eight blocks four and one; what is left of this half and no other.
    assert (progress[-1].done, progress[-1].total, progress[-1].eta_seconds) == (5, 8, 3.0)
    assert progress[0].eta_seconds == 7.0
    [compare] = worker.asked(Compare)
    assert compare.results == tuple(request.id for request in worker.asked(Denoise))
    worker.said.emit(
        Compared(
            id=compare.id,
            box_size_angstrom=15,
            before=(1.0, 0.5),
            after=(1.0, 0.9),
            resolution_before=5,
            reaches_nyquist=False,
        )
    )
    wait_until(lambda: bool(curves))
    assert curves[0].after == (1.0, 0.9)
    result = session.history[-1]
    assert len(result.maps) == 2
    assert result.figures["seconds"] == 3.0
    assert result.names == ("half1", "half2")


def test_cancelling_is_at_once_and_late_results_are_not_heard(session, worker):
    from worker_stand_ins import pump

    [source] = ready(session, worker)
    session.denoise()
    request = worker.asked(Denoise)[-1]
    session.cancel()
    assert session.state == "cancelled"
    assert worker.asked(Cancel)[-1].id == request.id
    finish(worker, source)
    pump(0.1)
    assert session.state == "cancelled"
    assert not session.history
    assert not list(worker.folder.glob("map-*"))
    session.denoise()
    assert session.state == "running"


def test_a_cancel_after_the_last_block_is_too_late(session, worker):
    from worker_stand_ins import wait_until

    [source] = ready(session, worker)
    session.denoise()
    finish(worker, source)
    session.cancel()  # while the result is being read
    wait_until(lambda: len(session.history) == 1, 60)
    assert session.seen[-2:] == ["running", "done"]


def test_a_preview_follows_slices_and_settings(session, worker):
    ready(session, worker)
    pictures = []
    session.picture_came.connect(pictures.append)
    session.look_at(SliceInView(axis=0, index=3))
    session.preview(True)
    first = worker.asked(Denoise)[-1]
    assert (first.mode, first.focus.index) == ("preview", 3)
    session.look_at(SliceInView(axis=0, index=4))
    session.look_at(SliceInView(axis=0, index=4))
    assert [request.focus.index for request in worker.asked(Focus)] == [4]

    def picture(work: str, index: int) -> SlicePicture:
        path = worker.array(f"slice-{work}-{index}", np.full((11, 12), index))
        return SlicePicture(
            id=work, axis=0, index=index, path=path, blocks_done=1, blocks_total=2, whole=True, approximate=True
        )

    worker.said.emit(picture(first.id, 4))
    assert pictures[-1].values[0, 0] == 4
    session.settings = DenoiseSettings(diameter=70)
    second = worker.asked(Denoise)[-1]
    assert worker.asked(Cancel)[-1].id == first.id
    assert (second.settings.diameter, second.focus.index) == (70, 4)
    worker.said.emit(picture(first.id, 5))  # of the settings before
    assert len(pictures) == 1
    assert not list(worker.folder.glob("slice-*"))
    session.preview(False)
    assert session.state == "ready"
    assert worker.asked(Cancel)[-1].id == second.id


def test_failures_leave_a_way_on(session, worker):
    ready(session, worker)
    session.denoise()
    work = worker.asked(Denoise)[-1].id
    worker.said.emit(Failed(request="denoise", id=work, problem="Too big.", remedy="Crop it."))
    assert session.state == "failed"
    assert (session.failure.problem, session.failure.crashed) == ("Too big.", False)
    session.denoise()
    assert session.state == "running"
    assert session.failure is None
    notes = []
    session.noted.connect(notes.append)
    worker.said.emit(Failed(request="compare", id="x", problem="Not cubes."))
    assert session.state == "running"
    assert notes == ["Not cubes."]


def test_a_crash_and_the_way_back(session, worker):
    from worker_stand_ins import wait_until

    ready(session, worker)
    session.preview(True)
    worker.stop()
    worker.died.emit("It was killed.", "Restart it.")
    assert session.state == "failed"
    assert session.failure.crashed
    assert session.failure.details == "last words"
    assert not session.can_work
    session.denoise()
    session.preview(True)
    assert session.state == "failed"  # not without a worker
    session.restart()
    assert worker.starts == 2
    worker.answer_loads()
    assert session.state == "ready"
    session.denoise()
    wait_until(lambda: session.state == "running")


def test_another_map_forgets_the_one_before(session, worker):
    from worker_stand_ins import wait_until

    ready(session, worker)
    session.denoise()
    session.open([volume(7)], ["other"])
    assert session.state == "loading"
    assert worker.asked(Cancel)
    wait_until(lambda: bool(worker.asked(Load)))
    stale = Failed(request="load", id="1-map1", problem="stale")
    worker.said.emit(stale)
    assert session.state == "loading"
    worker.answer_loads()
    assert session.state == "ready"
    session.open([], [])
    assert session.state == "empty"


def test_a_map_that_the_worker_refuses(session, worker):
    from worker_stand_ins import wait_until

    session.open([volume()], ["map"])
    wait_until(lambda: bool(worker.asked(Load)))
    key = worker.asked(Load)[-1].key
    worker.said.emit(Failed(request="load", id=key, problem="NaN.", remedy="Write it again."))
    assert session.state == "failed"
    assert not session.can_work


def test_halves_of_two_grids_are_refused(session):
    with pytest.raises(BlushError, match="not on one grid"):
        session.open([volume(), volume(shape=(10, 11, 13))], ["a", "b"])
    with pytest.raises(BlushError, match="not on one grid"):
        session.open([volume(), volume(size=1.6)], ["a", "b"])


def test_the_network_is_made_ready_ahead(session, worker):
    assert len(worker.asked(Prepare)) == 1
    ready(session, worker)
    session.settings = DenoiseSettings(diameter=3)
    assert len(worker.asked(Prepare)) == 1
    session.settings = DenoiseSettings(diameter=3, weights="other")
    assert worker.asked(Prepare)[-1].settings.weights == "other"
    worker.said.emit(Failed(request="prepare", id=None, problem="No weights 'other'."))
    assert session.state == "failed"
    session.settings = DenoiseSettings(diameter=3)
    network = {"weights": "v1", "sha256": "ab", "device": "cpu", "device_name": "EPYC", "precision": "float32"}
    worker.said.emit(Prepared(**network))
    assert session.state == "ready"
    assert session.failure is None
