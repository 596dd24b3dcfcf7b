"""What the live view says of a run in words."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.gui

NEWEST = {
    "iteration": 4,
    "resolution_angstrom": 6.5,
    "angular_step_deg": 7.5,
    "current_size": 48,
    "seconds": 12.3,
    "prior": "blush",
}


def test_the_newest_figures_stand_in_a_line():
    from napari_blush.live.words import key_figures

    assert key_figures([]) == ""
    assert key_figures([{"iteration": 0}]) == ""
    assert (
        key_figures([{"iteration": 3}, NEWEST])
        == "Iteration 4 · 6.50 Å at 0.143 · step 7.5° · images 48 px · 12 s"
    )


def test_what_the_denoiser_took_stands_beside_the_time():
    from napari_blush.live.words import key_figures

    assert key_figures([{**NEWEST, "denoising_seconds": 1.23}]).endswith("12 s (10 % in the denoiser)")
    assert key_figures([{**NEWEST, "denoising_seconds": 0.0}]).endswith("12 s")


@pytest.mark.parametrize(("trailing", "marked"), [(False, True), (True, False), (None, False)])
def test_a_run_without_spectral_trailing_is_marked(trailing, marked):
    from napari_blush.live.words import WITHOUT_TRAILING, key_figures

    figures = NEWEST if trailing is None else {**NEWEST, "spectral_trailing": trailing}
    assert key_figures([figures]).endswith(WITHOUT_TRAILING) is marked
