"""How reports of trainings and fine-tunings read."""

from __future__ import annotations

from typing import Any

import pytest

from blushcore.cli.event_lines import describe
from blushcore.protocol import Finished, IterationDone

TRAINED = {"density_loss": 0.13292, "mask_loss": 0.09958, "fsc": 0.82364, "fsc_gain": 0.04127}
VALIDATED = {
    "validation_density_loss": 0.05658,
    "validation_mask_loss": 0.07722,
    "validation_fsc": 0.83028,
    "validation_fsc_gain": 0.05473,
}
REST = {
    "learning_rate": 0.00036971,
    "targets": "other half",
    "skipped_steps": 0,
    "blocks_per_second": 3.415,
    "waiting_share": 0.017,
    "seconds": 1029.2,
}
HELD_OUT = {
    "held_out_loss": 0.88122,
    "held_out_loss_at_start": 0.90109,
    "held_out_fsc": 0.5121,
    "held_out_fsc_gain": 0.0307,
    "best_step": 50,
    "seconds": 140.0,
}


def report(step: int, **figures: Any) -> str:
    return describe(IterationDone(iteration=step, figures=figures))


def test_a_report_says_what_matters_of_blocks_that_were_not_trained_on():
    assert report(1800, **TRAINED, **VALIDATED, **REST) == (
        "step   1800,  0:17:09: FSC 0.830 of unseen blocks, +0.055 over the input; loss 0.0566; "
        "rate 3.7e-04; 3.42 blocks/s"
    )


def test_reports_stand_in_columns():
    early = report(100, **TRAINED, **{**VALIDATED, "validation_fsc_gain": -0.0104}, **{**REST, "seconds": 57})
    late = report(100_000, **TRAINED, **VALIDATED, **{**REST, "seconds": 90_000, "blocks_per_second": 12.0})
    assert len(early) == len(late)
    for word in ("FSC", "over the input", "loss", "rate", "blocks/s"):
        assert early.index(word) == late.index(word)
    assert "-0.010 over" in early


@pytest.mark.parametrize(
    ("change", "end"),
    [
        ({"targets": "signal"}, "3.42 blocks/s; noise-free targets"),
        ({"waiting_share": 0.274}, "3.42 blocks/s; 27 % of the time waiting for half-maps"),
        ({"skipped_steps": 1}, "3.42 blocks/s; 1 step skipped so far"),
        ({"waiting_share": 0.1, "skipped_steps": 3}, "waiting for half-maps; 3 steps skipped so far"),
    ],
)
def test_what_is_seldom_to_be_told_comes_last(change, end):
    assert report(5, **TRAINED, **VALIDATED, **{**REST, **change}).endswith(end)


def test_without_validation_the_blocks_trained_on_are_told_and_called_so():
    line = report(1, **TRAINED, **REST)
    assert "FSC 0.824 of blocks trained on, +0.041 over the input; loss 0.1329;" in line
    nothing = report(1, **{**REST, "skipped_steps": 1})
    assert "no step gave a number; rate" in nothing
    not_a_step = {
        name: value for name, value in REST.items() if name not in ("blocks_per_second", "waiting_share")
    }
    assert report(2, **TRAINED, **not_a_step).endswith("; rate 3.7e-04")


@pytest.mark.parametrize(
    ("step", "end"),
    [(0, "(0.9011 at first)"), (50, "(0.9011 at first), the best"), (75, "first), best in step 50")],
)
def test_a_look_at_held_out_blocks_says_whether_it_is_the_best(step, end):
    line = report(step, **TRAINED, **HELD_OUT)
    assert line.startswith(
        f"step {step:6d},  0:02:20: FSC 0.512 of held-out blocks, +0.031 over the input; loss 0.8812 (0.9011 at"
    )
    assert line.endswith(end)


def test_ends_say_what_it_came_to():
    assert describe(Finished(figures={**TRAINED, **VALIDATED, **REST})) == (
        "done in 0:17:09: FSC 0.830 of unseen blocks, +0.055 over the input; loss 0.0566"
    )
    figures = {"helped": True, "steps": 200, "weights": "mine", **HELD_OUT, "seconds": 3725.0}
    assert describe(Finished(figures=figures)) == (
        "done in 1:02:05, 200 steps: loss of held-out blocks 0.9011 → 0.8812 in step 50"
    )
    assert describe(Finished(figures={**figures, "helped": False, "weights": "v1"})) == (
        "done in 1:02:05, 200 steps: the weights v1 are kept; fine-tuning was no better"
    )
