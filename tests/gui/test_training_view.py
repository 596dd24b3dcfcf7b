"""A training in the viewer: slices, curves, and the dock that sets up a fine-tuning."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from docks import let_go, put_beside

from blushcore.interactive.messages import CheckFinetuning, Failed, FinetuningChecked
from blushcore.runs import read_run
from blushcore.volumes import Volume, write_map

pytestmark = [pytest.mark.gui, pytest.mark.usefixtures("no_log_errors")]


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from recorded_training import recorded_training

    return recorded_training(tmp_path_factory.mktemp("training") / "my-training")


def test_a_training_arrives_as_layers_and_curves(
    qtbot: Any, make_viewer: Callable[..., Any], training: Path, tmp_path: Path
) -> None:
    from recorded_training import BLOCKS, EDGE, slices_at
    from replay import Replay

    from napari_blush.live import open_run
    from napari_blush.training.view import TrainingView

    viewer = make_viewer(show=True)
    with Replay(training, tmp_path / "live") as replay:
        view = open_run(viewer, replay.run.path)
        assert isinstance(view, TrainingView)
        replay.play_iteration()
        qtbot.waitUntil(lambda: len(view.examples.layers) == 5, timeout=120_000)
        assert view.card.title.text().startswith("Running · live")
        assert "3 % of the time waiting" in view.card.figures.text()
        assert [layer.name for layer in viewer.layers] == [
            f"{words} · live" for words in ("input", "output", "target", "mask", "mask found")
        ]
        output = view.examples.layers["output"]
        assert output.data.shape == (BLOCKS * EDGE + (BLOCKS - 1) * 4, EDGE)
        np.testing.assert_array_equal(output.data[:EDGE], slices_at(0.25)["output"][0].astype(np.float32))
        assert output.translate[1] > view.examples.layers["input"].extent.world[1][1]  # side by side
        assert output.contrast_limits == view.examples.layers["target"].contrast_limits

        output.contrast_limits = (-1.0, 1.0)
        replay.play_iteration()
        second = slices_at(0.5)["output"][0].astype(np.float32)
        qtbot.waitUntil(lambda: np.array_equal(output.data[:EDGE], second), timeout=120_000)
        assert tuple(output.contrast_limits) == (-1.0, 1.0)  # what somebody chose stays
        replay.play()
    qtbot.waitUntil(lambda: view.card.title.text().startswith("Finished"), timeout=120_000)
    assert view.card.problems.text() == "This training was made up."

    view.slider.slider.setValue(0)
    first = slices_at(0.25)["output"][0].astype(np.float32)
    qtbot.waitUntil(lambda: np.array_equal(output.data[:EDGE], first), timeout=120_000)
    steps, gains = view.plots._plots[1].listDataItems()[1].getData()
    assert steps.tolist() == [100, 200, 300, 400]
    assert gains == pytest.approx([0.0, 0.01, 0.02, 0.03])
    view.plots.export(tmp_path / "curves.csv")
    assert (tmp_path / "curves.csv").read_text().startswith("step,density_loss,validation_density_loss")
    view.plots.export(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 10_000
    view.close_run()


def test_the_dock_sets_up_a_fine_tuning_from_its_parameters(
    qtbot: Any,
    make_viewer: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    training: Path,
    recorded: Path,
    silent: Any,
) -> None:
    from worker_stand_ins import wait_until

    from napari_blush.training import widget as module

    started: list[Path] = []
    monkeypatch.setattr(module, "start_worker", started.append)
    viewer = make_viewer()
    dock = module.FinetuneWidget(viewer, silent)
    put_beside(viewer, dock, "Fine-tune")
    dock.run()
    assert dock.form._errors["half1"].text() == "Choose a map."
    assert not silent.is_running

    values = np.random.default_rng(0).random((12, 12, 12)).astype(np.float32)
    for number in (1, 2):
        write_map(tmp_path / f"my_half{number}.mrc", Volume(values + number, (1.5,) * 3))
    dock.take_files([tmp_path / "my_half2.mrc", tmp_path / "my_half1.mrc"])
    assert dock.form.values()["half1"] == tmp_path / "my_half1.mrc"
    assert dock.form.values()["half2"] == tmp_path / "my_half2.mrc"

    def answered(event: type, **values: Any) -> None:
        """Say what the worker finds out about what it was asked last."""
        wait_until(lambda: bool(silent.asked(CheckFinetuning)))
        [*_, request] = silent.asked(CheckFinetuning)
        silent.requests.remove(request)
        silent.said.emit(event(id=request.id, **values))

    # It is looked at by itself; what is wrong stands under its field.
    answered(Failed, request="check_finetuning", problem="They are the same map.", field="half2")
    assert dock.form._errors["half2"].text() == "They are the same map."
    silent.describe()
    dock.form.set_values({"name": "mine", "steps": 50, "weights": "second"})
    assert dock.form._errors["half2"].text() == ""
    dock.run()
    assert not dock.start.isEnabled()
    answered(Failed, request="check_finetuning", problem="There is no such device.", field="device")
    assert (dock.start.isEnabled(), started) == (True, [])
    dock.run()
    found = {"resolution": 8.0, "diameter": 60.0, "device": "cpu", "device_name": "EPYC"}
    answered(FinetuningChecked, **found, warnings=("They look filtered.",))
    assert dock.message.text().endswith("They look filtered.")
    assert dock.message.objectName() == "blushWarning"
    assert not silent.is_running  # the training needs the memory
    qtbot.waitUntil(lambda: dock.view is not None, timeout=120_000)
    assert started == [tmp_path / "finetune_001"]
    run = read_run(tmp_path / "finetune_001")
    parameters = run.summary.parameters
    assert (run.job, parameters["name"], parameters["steps"]) == ("finetune", "mine", 50)
    assert parameters["weights"] == "second"
    assert not dock.start.isEnabled()

    dock.take_files([recorded])
    assert dock.message.text().startswith(f"{recorded} holds no training.")
    assert dock.view.run.directory == tmp_path / "finetune_001"
    dock.attach(training)  # any training can be watched here
    qtbot.waitUntil(lambda: dock.view.card.title.text().startswith("Finished"), timeout=120_000)
    assert dock.start.isEnabled()
    let_go(viewer, dock)
