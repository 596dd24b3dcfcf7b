"""A refinement whose prior is the denoiser: what it leaves, says and marks."""

from __future__ import annotations

import numpy as np
import pytest
import starfile

from blushcore.denoiser import Denoiser
from blushcore.denoiser.provenance import is_denoised
from blushcore.jobs.refine.job import JOB
from blushcore.protocol import Finished, IterationDone, Message, Started
from blushcore.reconstruction import cutoff_shell
from blushcore.runs import run_job
from blushcore.shells import power_spectrum
from blushcore.volumes import read_map
from tiny_refinement import BOX, PIXEL_SIZE, write_tiny_set

DIAMETER = 44.0
"""Å: on the network's grid, edge and all, a single block."""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_tiny_set(tmp_path_factory.mktemp("tiny"), count=60)


@pytest.fixture(scope="module")
def run(tiny, random_weights, tmp_path_factory):
    """A run of three iterations: its folder, its events, and how often a network was loaded."""
    folder = tmp_path_factory.mktemp("run") / "run"
    loaded, load = [], Denoiser.load
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Denoiser, "load", lambda *args: loaded.append(args) or load(*args))
        params = tiny.parameters(
            prior="blush", weights=str(random_weights), diameter=DIAMETER, max_iterations=3, keep="full"
        )
        events = list(run_job(JOB, params, folder))
    return folder, events, len(loaded)


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


def test_the_network_is_loaded_once_and_named(run, random_weights):
    _, events, loaded = run
    assert loaded == 1
    texts = [message.text for message in of(Message, events)]
    assert any("The prior is Blush with the weights random (sha256 " in text for text in texts)
    assert not any("spectral trailing" in text for text in texts)


def test_an_iteration_tells_where_it_was_cut_off_and_what_denoising_took(run):
    _, events, _ = run
    first, second, last = (event.figures for event in of(IterationDone, events)[1:])
    for figures in (first, second):
        cutoff = cutoff_shell(np.array(figures["fsc"]))
        assert figures["cutoff_shell"] == cutoff
        assert figures["cutoff_angstrom"] == pytest.approx(BOX * PIXEL_SIZE / cutoff)
    assert last["cutoff_shell"] is None
    for figures in (first, second, last):
        assert (figures["prior"], figures["weights"], figures["spectral_trailing"]) == ("blush", "random", True)
        stages = figures["stage_seconds"]
        assert stages["denoising"] > 0
        assert figures["denoising_seconds"] == stages["denoising"]
        assert sum(stages.values()) == pytest.approx(figures["seconds"], abs=0.05)


def test_each_iteration_says_whether_the_denoiser_keeps_to_the_data(run):
    folder, events, _ = run
    first, second, last = (event.figures for event in of(IterationDone, events)[1:])
    for number, figures in ((1, first), (2, second)):
        raw, cross = (np.array(figures[f"denoiser_{name}_fsc"]) for name in ("raw", "cross"))
        shells = figures["current_size"] // 2 + 1
        assert len(raw) == len(cross) == len(figures["denoiser_transfer_noise"]) == shells
        below = np.flatnonzero(raw[1:] < 0.143)
        up_to = int(below[0]) if below.size else shells - 1
        assert figures["denoiser_gain"] == pytest.approx((cross - raw)[1 : up_to + 1].mean(), abs=1e-3)
        assert figures["denoiser_gain"] < -0.005  # what an untrained network does to a map is harm
        assert 0 < figures["safeguards_seconds"] < 0.5 * figures["stage_seconds"]["denoising"]
        model = starfile.read(folder / f"run_it00{number}_half1_model.star")["blush_class_1"]
        assert len(model) == BOX // 2 + 1
        np.testing.assert_allclose(model["blushFscCrossValidation"][:shells], cross, atol=1e-4)
    assert "denoiser_gain" not in last  # there are no references


def test_the_safeguards_can_be_left_out(tiny, random_weights, tmp_path):
    params = tiny.parameters(
        prior="blush", weights=str(random_weights), diameter=DIAMETER, max_iterations=2, safeguards=False
    )
    events = list(run_job(JOB, params, tmp_path / "run"))
    figures = of(IterationDone, events)[1].figures
    assert "denoiser_gain" not in figures
    assert "blush_class_1" not in starfile.read(tmp_path / "run" / "run_it001_half1_model.star")


def test_maps_before_and_after_the_prior_are_there(run):
    folder, events, _ = run
    figures = of(IterationDone, events)[2].figures
    cutoff = figures["cutoff_shell"]
    for half in (1, 2):
        before = read_map(folder / f"run_it002_half{half}_class001_before_prior.mrc")
        after = read_map(folder / f"run_it002_half{half}_class001.mrc")
        assert is_denoised(after)
        assert not is_denoised(before)
        power, raw = power_spectrum(after.data), power_spectrum(before.data)
        # Solvent flattening spreads a little over the cut-off; the raw map has noise there.
        assert (
            power[cutoff + 3 :].sum() / power[1:cutoff].sum()
            < 0.1 * raw[cutoff + 3 :].sum() / raw[1:cutoff].sum()
        )


def test_the_final_map_is_wieners_and_a_denoised_one_lies_beside_it(run):
    folder, events, _ = run
    files = of(Finished, events)[0].files
    assert files["denoised"] == "run_class001_denoised.mrc"
    final, denoised = read_map(folder / files["map"]), read_map(folder / files["denoised"])
    assert not is_denoised(final)
    assert is_denoised(denoised)
    assert not np.array_equal(final.data, denoised.data)
    for half in (1, 2):
        assert not is_denoised(read_map(folder / files[f"half{half}_unfil"]))


def test_a_run_without_trailing_is_marked(tiny, random_weights, tmp_path):
    params = tiny.parameters(
        prior="blush", weights=str(random_weights), diameter=DIAMETER, max_iterations=2, spectral_trailing=False
    )
    events = list(run_job(JOB, params, tmp_path / "run"))
    assert of(Started, events)[0].parameters["spectral_trailing"] is False
    warnings = [message.text for message in of(Message, events) if message.level == "warning"]
    assert any("Without spectral trailing" in text and "The run is marked" in text for text in warnings)
    figures = of(IterationDone, events)[1].figures
    assert figures["spectral_trailing"] is False
    assert figures["cutoff_shell"] is None
    optimiser = starfile.read(tmp_path / "run" / "run_it001_optimiser.star")
    assert optimiser["blushSpectralTrailing"] == 0
    assert optimiser["blushPrior"] == "blush"
    assert "Without spectral trailing" in (tmp_path / "run" / "events.jsonl").read_text()
    assert of(Finished, events)[0].figures["spectral_trailing"] is False
    for name in ("run_it001_half1_model.star", "run_model.star"):
        assert starfile.read(tmp_path / "run" / name)["model_general"]["blushSpectralTrailing"] == 0
