"""The dock widget *Refine* in a real viewer: set up with a silent worker, run with a real one."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from docks import put_beside
from worker_stand_ins import end_worker

from blushcore.interactive.messages import CheckRefinement, Failed, ParticlesMade, RefinementChecked
from blushcore.jobs.refine.parameters import RefineParameters
from tiny_refinement import BOX, DIAMETER, PIXEL_SIZE, TinySet, write_tiny_set

pytestmark = pytest.mark.gui
PATIENCE = 600_000


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinySet:
    return write_tiny_set(tmp_path_factory.mktemp("tiny"), count=40)


@pytest.fixture
def open_widget(make_viewer: Callable[..., Any], data_folder: Path) -> Iterator[Callable[..., Any]]:
    """Make a viewer with the widget; nothing of it, and no worker, is left after the test."""
    made: list[Any] = []
    watched: set[Path] = set()

    def open_one(worker: Any = None) -> tuple[Any, Any]:
        from napari_blush.refine.widget import RefineWidget

        viewer = make_viewer()
        widget = RefineWidget(viewer, worker)
        put_beside(viewer, widget, "Refine")
        made.append(widget)
        return viewer, widget

    yield open_one
    for widget in made:
        if widget.view is not None:
            watched.add(widget.view.run.directory)
        widget.shut_down()
        widget.shut_down()
        assert not widget.readiness._settle.isActive()
        assert not widget._worker.is_running
        assert not widget._scratch.exists()
    for directory in watched:
        end_worker(directory)


def fill(widget: Any, tiny: TinySet, output: Path, **changes: Any) -> RefineParameters:
    params = tiny.parameters(**changes)
    widget.setValue(params)
    widget.run_section.output.path = output
    return params


def answer_check(worker: Any, **changes: Any) -> None:
    request = worker.asked(CheckRefinement)[-1]
    values: dict[str, Any] = {
        "id": request.id,
        "particles": 40,
        "half_sizes": (20, 20),
        "box": BOX,
        "pixel_size": PIXEL_SIZE,
        "optics_groups": 1,
        "device": "cpu",
        "device_name": "a processor",
        "host_peak": 2**30,
        "host_free": 2**33,
        "device_peak": 0,
        "device_free": 0,
        "disk": 2**20,
        "disk_free": 2**33,
        "seconds": (60.0, 300.0),
    }
    worker.said.emit(RefinementChecked(**{**values, **changes}))


def checked(qtbot: Any, worker: Any, count: int) -> None:
    qtbot.waitUntil(lambda: len(worker.asked(CheckRefinement)) >= count, timeout=120_000)


def test_the_states_of_setting_up(open_widget, silent, tiny, tmp_path, qtbot):
    _, widget = open_widget(silent)
    card, shown = widget.card, lambda name: not widget.card.buttons[name].isHidden()
    assert (widget.state, card.title.text()) == ("empty", "No particles yet")
    assert [shown(name) for name in ("open", "demo", "attach", "pause")] == [True, True, True, False]
    assert not card.picture.isHidden()
    assert widget.run_section.isHidden()
    widget.set_up.particles.choose(tiny.star)
    assert widget.state == "asking"
    assert card.text.text() == "Give a reference and the particle's diameter (Å)."
    qtbot.waitUntil(lambda: widget.set_up.particles.facts is not None, timeout=PATIENCE)
    particles = widget.set_up.particles
    assert particles.size_label.text() == "40 images · 24 pixels · 4 Å a pixel · 96 Å box"
    assert particles.gallery.count == 8
    assert widget.run_section.output.path == tiny.folder / "refine_001"
    widget.set_up.reference.choose(tiny.reference)
    widget.set_up.diameter = DIAMETER
    assert widget.state == "checking"
    assert particles.gallery.diameter_px == DIAMETER / PIXEL_SIZE
    checked(qtbot, silent, 1)
    answer_check(silent)
    assert (widget.state, widget.run_section.button.isEnabled()) == ("ready", True)
    assert "Memory 1.0 GiB of 8.0 GiB free" in widget.run_section.need_label.text()
    assert "60 s to 5 min" in widget.run_section.need_label.text()


def test_a_fault_is_said_at_its_field(open_widget, silent, tiny, tmp_path, qtbot):
    _, widget = open_widget(silent)
    fill(widget, tiny, tmp_path / "run")
    checked(qtbot, silent, 1)
    request = silent.asked(CheckRefinement)[-1]
    said = {"request": "check_refinement", "problem": "It is too large.", "remedy": "Give less."}
    silent.said.emit(Failed(id=request.id, field="diameter", **said))
    label = widget.set_up.form._errors["diameter"]
    assert (widget.state, label.text()) == ("wrong", "It is too large. Give less.")
    assert not widget.run_section.button.isEnabled()
    silent.said.emit(Failed(id="an older one", field="reference", **said))
    assert not widget.set_up.reference.error_label.text()
    widget.set_up.diameter = 60.0
    assert (widget.state, label.text()) == ("checking", "")
    # What the model itself refuses needs no worker; expert fields unfold.
    widget.set_up.expert.set_values({"offset_range": 4.0, "offset_step": 6.0})
    qtbot.waitUntil(lambda: widget.state == "wrong", timeout=PATIENCE)
    assert "larger than offset_range" in widget.set_up.expert._errors["offset_step"].text()
    assert widget.set_up.panel.expert_button.isChecked()
    widget.set_up.expert.set_values({"offset_range": 8.0, "offset_step": 4.0})
    widget.set_up.form.set_values({"symmetry": "E7"})
    qtbot.waitUntil(lambda: widget.state == "wrong", timeout=PATIENCE)
    assert widget.set_up.form._errors["symmetry"].text().startswith("E7 will not do. Point group")
    widget.set_up.form.set_values({"symmetry": "C1"})
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "params.json").write_text("{}")
    widget.run_section.output.path = tmp_path / "taken"
    qtbot.waitUntil(lambda: widget.state == "wrong", timeout=PATIENCE)
    assert widget.run_section.error_label.text().startswith("taken holds a run already.")


def test_a_worker_that_dies_while_it_looks_is_told_and_tried_again(open_widget, silent, tiny, tmp_path, qtbot):
    _, widget = open_widget(silent)
    buttons = widget.card.buttons
    fill(widget, tiny, tmp_path / "run")
    checked(qtbot, silent, 1)
    silent.died.emit("The worker ended by itself (exit code 1).", "Restart it.")
    assert (widget.state, widget.card.text.text()) == (
        "broken",
        "The worker ended by itself (exit code 1). Restart it.",
    )
    assert not buttons["details"].isHidden()
    buttons["details"].click()
    from qtpy.QtWidgets import QMessageBox

    [box] = widget.card.findChildren(QMessageBox)
    assert box.detailedText() == "last words"
    box.done(0)
    box.deleteLater()
    buttons["again"].click()
    assert widget.state == "checking"
    checked(qtbot, silent, 2)
    answer_check(silent)
    assert widget.state == "ready"


def test_particles_that_cannot_be_read_are_told(open_widget, silent, tmp_path, qtbot):
    _, widget = open_widget(silent)
    widget.set_up.particles.choose(tmp_path / "none.star")
    qtbot.waitUntil(lambda: widget.state == "wrong", timeout=PATIENCE)
    assert "none.star" in widget.set_up.particles.error_label.text()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"prior": "blush", "spectral_trailing": False, "symmetry": "D3", "seed": 7, "padding": 1},
        {
            "diameter": 61.23456,
            "offset_range": 13.3333333,
            "offset_step": 2.00001,
            "adaptive_fraction": 0.99991,
        },
        {"max_iterations": 3, "keep": "full", "first_iteration_cc": True, "healpix_order": 0},
    ],
)
def test_parameters_go_round_with_params_json(open_widget, silent, tiny, tmp_path, changes):
    from blushcore.runs import create_run

    _, widget = open_widget(silent)
    params = fill(widget, tiny, tmp_path / "run", **changes)
    assert widget.value() == params
    run = create_run(tmp_path / "run", "refine", widget.value())
    read = json.loads(run.description.read_text())["parameters"]
    widget.setValue(RefineParameters(particles="p.star", reference="r.mrc", diameter=10.0))
    assert widget.value() != params
    widget.setValue(RefineParameters.parse(read, "params.json"))
    assert widget.value() == params


def test_the_circle_and_the_diameter_follow_each_other(open_widget, silent, tiny, tmp_path, qtbot):
    viewer, widget = open_widget(silent)
    fill(widget, tiny, tmp_path / "run")
    qtbot.waitUntil(lambda: widget.set_up.diameter_panel.circle is not None, timeout=PATIENCE)
    assert [layer.name for layer in viewer.layers] == ["reference"]
    assert widget.value().reference == tiny.reference
    widget.set_up.diameter_panel.circle.diameter = 71.0
    assert widget.set_up.diameter == 71.0
    assert widget.set_up.particles.gallery.diameter_px == 71.0 / PIXEL_SIZE
    widget.set_up.diameter = 50.0
    assert widget.set_up.diameter_panel.circle.diameter == 50.0


def test_a_layer_without_a_file_is_written_for_the_run(open_widget, silent, tiny, tmp_path):
    from napari.layers import Image

    from blushcore.volumes import read_map
    from napari_blush.layers.maps import map_arguments

    viewer, widget = open_widget(silent)
    volume = read_map(tiny.reference)
    viewer.add_layer(Image(volume.data * 2, **map_arguments(volume, name="twice / as much")))
    widget.set_up.reference.choose(viewer.layers[0])
    assert widget.set_up.reference.path is None
    path = widget.set_up.reference.file_for(tmp_path)
    assert path == tmp_path / "twice___as_much.mrc"
    np.testing.assert_allclose(read_map(path).data, 2 * volume.data)


def test_every_control_says_what_it_is_for(open_widget, silent):
    from qtpy.QtWidgets import QAbstractButton, QAbstractSpinBox, QComboBox, QLineEdit

    _, widget = open_widget(silent)
    for kind in (QAbstractButton, QComboBox, QAbstractSpinBox, QLineEdit):
        for control in widget.findChildren(kind):
            parents = (control.parent(), control.parent().parent())
            assert control.toolTip() or any(one.toolTip() for one in parents), control


def test_the_built_in_set_is_five_clicks_away(open_widget, silent, tiny, tmp_path, qtbot):
    _, widget = open_widget(silent)
    widget.card.buttons["demo"].click()
    assert (widget.state, widget.card.bar.isHidden()) == ("making", False)
    parameters = tiny.parameters().model_dump(mode="json")
    silent.said.emit(
        ParticlesMade(id="demo", folder=tiny.folder, truth=tiny.folder / "truth.mrc", parameters=parameters)
    )
    checked(qtbot, silent, 1)
    answer_check(silent)
    assert widget.state == "ready"
    assert widget.value().particles == tiny.star
    assert widget.run_section.button.isEnabled()


def test_a_classification_is_set_up_with_what_both_jobs_share(open_widget, silent, tiny, tmp_path, qtbot):
    from blushcore.jobs.classify.parameters import ClassifyParameters

    _, widget = open_widget(silent)
    fill(widget, tiny, tmp_path / "run", symmetry="C2")
    widget.set_up.kind_buttons["classify"].click()
    widget.set_up.form.set_values({"classes": 3, "alignment": "offsets", "iterations": 7, "tau_fudge": 2.0})
    params = widget.value()
    assert isinstance(params, ClassifyParameters)
    assert (params.particles, params.reference, params.diameter) == (tiny.star, (tiny.reference,), DIAMETER)
    assert (params.symmetry, params.classes, params.alignment) == ("C2", 3, "offsets")
    assert (params.iterations, params.tau_fudge, params.prior) == (7, 2.0, "wiener")
    checked(qtbot, silent, 1)
    qtbot.waitUntil(lambda: silent.asked(CheckRefinement)[-1].job == "classify", timeout=120_000)
    answer_check(silent, half_sizes=None, seconds=None)
    assert widget.state == "ready"
    assert "40 images · cpu" in widget.run_section.need_label.text()
    several = params.replace(reference=(tiny.reference, tiny.folder / "other.mrc"), classes=2)
    widget.setValue(several)
    assert widget.value() == several  # what has no control of its own goes round too
    widget.set_up.kind_buttons["refine"].click()
    assert isinstance(widget.value(), RefineParameters)
    assert widget.value().symmetry == "C2"


def test_the_priors_default_is_the_models(open_widget, silent):
    _, widget = open_widget(silent)
    for panel in widget.set_up.panels.values():
        assert panel.values()["prior"] == panel.kind.model.model_fields["prior"].default


def drop(widget: Any, *paths: Path) -> bool:
    """Drop files on a widget as the desktop does; return whether they were taken."""
    from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl, qVersion
    from qtpy.QtGui import QDragEnterEvent, QDropEvent

    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    how = (Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier)
    # Qt 6.12, so far PySide6's, takes fractions of pixels and warns of whole ones; before, it takes none.
    fractions = tuple(map(int, qVersion().split("."))) >= (6, 12)
    enter = QDragEnterEvent((QPointF if fractions else QPoint)(9, 9), *how)
    widget.dragEnterEvent(enter)
    event = QDropEvent(QPointF(9, 9), *how)
    widget.dropEvent(event)
    return enter.isAccepted() and event.isAccepted()


def test_files_are_dropped(open_widget, silent, tiny, recorded, tmp_path, qtbot):
    _, widget = open_widget(silent)
    assert drop(widget, tiny.star, tiny.reference)
    assert widget.set_up.particles.path == tiny.star
    assert widget.set_up.reference.path == tiny.reference
    told: list[str] = []
    widget.say = told.append
    drop(widget, tmp_path / "notes.txt")
    assert told == ["notes.txt is neither a STAR file, nor a map, nor a run directory."]
    widget.say_error = lambda error: told.append(str(error))
    drop(widget, tmp_path)
    assert "not a run directory" in told[1]
    assert drop(widget, recorded)
    qtbot.waitUntil(lambda: widget.state == "finished", timeout=PATIENCE)
    qtbot.wait(1100)  # the heart was looked at, and is on its way back
    gone: list[bool] = []  # (waitSignal would disconnect from the dead view, which PySide6 refuses)
    widget.view.destroyed.connect(lambda *_: gone.append(True))
    drop(widget, tiny.star)  # particles are for a new run
    qtbot.waitUntil(lambda: bool(gone), timeout=120_000)
    assert widget.view is None
    assert widget.pages["set_up"].isChecked()


def test_the_circle_is_on_the_particles_too(open_widget, silent, tiny, tmp_path, qtbot):
    viewer, widget = open_widget(silent)
    fill(widget, tiny, tmp_path / "run")
    particles = widget.set_up.particles
    qtbot.waitUntil(lambda: particles.facts is not None, timeout=PATIENCE)
    particles.open_button.click()
    circles = widget.reference_layer._particles
    qtbot.waitUntil(lambda: circles.circle is not None, timeout=PATIENCE)
    circle = circles.circle
    assert circle.layer.data.shape == (40, BOX, BOX)
    assert circle.diameter == DIAMETER
    np.testing.assert_allclose(circle.centre[1:], BOX // 2 * PIXEL_SIZE)
    viewer.dims.set_current_step(0, 3)
    assert circle.radius_here == DIAMETER / 2  # the same on each image
    circle.diameter = 72.0
    assert widget.set_up.diameter == 72.0
    widget.set_up.diameter = 64.0
    assert circle.diameter == 64.0


def started(widget: Any, tiny: TinySet, output: Path, qtbot: Any, **changes: Any) -> None:
    fill(widget, tiny, output, **changes)
    qtbot.waitUntil(lambda: widget.state in ("ready", "wrong"), timeout=PATIENCE)
    assert widget.state == "ready", widget.card.text.text()
    widget.run_section.button.click()
    assert widget.state == "starting"
    qtbot.waitUntil(lambda: widget.view is not None, timeout=PATIENCE)


def iteration(widget: Any) -> int:
    number = widget.view.run.summary.iteration
    return -1 if number is None else int(number)


def test_a_run_is_started_paused_killed_resumed_and_attached_to(open_widget, tiny, tmp_path, qtbot):
    from blushcore.runs import find_worker

    directory = tmp_path / "run"
    viewer, widget = open_widget()
    started(widget, tiny, directory, qtbot, max_iterations=30)
    pid = widget.worker_pid()
    assert pid is not None
    assert pid != os.getpid()
    buttons = widget.card.buttons

    # Three iterations arrive, in layers and plots, with their shapes and scales.
    qtbot.waitUntil(lambda: iteration(widget) >= 3, timeout=PATIENCE)
    buttons["pause"].click()
    qtbot.waitUntil(lambda: widget.state == "paused", timeout=PATIENCE)
    assert not buttons["go_on"].isHidden()
    held = iteration(widget)
    view = widget.view
    qtbot.waitUntil(lambda: (view.layers.shown or 0) == held, timeout=PATIENCE)
    layers = {layer.name: layer for layer in viewer.layers if layer.visible}
    name = next(name for name in layers if "map" in name)
    shape, scale = layers[name].data.shape, layers[name].scale
    np.testing.assert_allclose(np.array(shape) * scale, BOX * PIXEL_SIZE, rtol=1e-5)
    assert [figures["iteration"] for figures in view.run.history] == list(range(held + 1))
    qtbot.waitUntil(
        lambda: "heartbeat" in widget.card.facts.text() and " s ago" in widget.card.facts.text(),
        timeout=PATIENCE,
    )
    assert " · cpu · " in widget.card.facts.text()
    time.sleep(1.0)
    assert iteration(widget) == held

    # Closing leaves it alive, and the next viewer attaches to it by itself.
    widget.shut_down()
    assert find_worker(directory).pid == pid
    _, widget = open_widget()
    qtbot.waitUntil(lambda: widget.state == "paused", timeout=PATIENCE)
    assert widget.view.run.directory == directory
    assert widget.worker_pid() == pid
    widget.card.buttons["go_on"].click()
    qtbot.waitUntil(lambda: widget.state == "running", timeout=PATIENCE)

    # A worker that is killed is recognised; resume goes on from its last iteration.
    os.kill(pid, signal.SIGKILL)
    qtbot.waitUntil(lambda: widget.state == "dead", timeout=PATIENCE)
    assert widget.card.property("tone") == "bad"
    done = iteration(widget)
    widget.card.buttons["resume"].click()
    assert widget.state == "starting"
    qtbot.waitUntil(lambda: widget.state == "running", timeout=PATIENCE)
    assert widget.worker_pid() not in (None, pid)
    qtbot.waitUntil(lambda: widget.view.run.summary.attempt == 2, timeout=PATIENCE)
    widget.card.buttons["stop_after"].click()
    assert widget.state == "stopping"
    qtbot.waitUntil(lambda: widget.state == "stopped", timeout=PATIENCE)
    assert done < iteration(widget) <= done + 2
    assert widget.worker_pid() is None


def test_a_run_is_stopped_at_once_and_a_finished_one_is_looked_at(open_widget, tiny, tmp_path, qtbot):
    _, widget = open_widget()
    started(widget, tiny, tmp_path / "run", qtbot, max_iterations=30)
    qtbot.waitUntil(lambda: widget.state == "running", timeout=PATIENCE)
    widget.card.buttons["stop_now"].click()
    qtbot.waitUntil(lambda: widget.state == "stopped", timeout=PATIENCE)
    widget.card.buttons["set_up"].click()
    assert widget.view is None
    assert widget.run_section.output.path != tmp_path / "run"
    started(widget, tiny, tmp_path / "run2", qtbot, max_iterations=1)
    qtbot.waitUntil(lambda: widget.state == "finished", timeout=PATIENCE)
    assert "Å (FSC of the halves 0.143, no mask) after 1 iteration," in widget.card.text.text()
    assert (tmp_path / "run2" / "run_class001.mrc").is_file()
