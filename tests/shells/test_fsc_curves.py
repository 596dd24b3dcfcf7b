from __future__ import annotations

import json

import numpy as np
import pytest

from blushcore.protocol import BlushError
from blushcore.shells import FscCurves


def curves(**changes) -> FscCurves:
    shells = np.linspace(1, 0, 5)
    values = {
        "box": 8,
        "voxel_size": 1.25,
        "unmasked": shells**2,
        "masked": shells,
        "randomised": np.array([1, 0.9, 0.1, 0.05, -0.02]),
        "corrected": shells**1.1,
        "randomised_from_shell": 2,
        "mask_fraction": 0.25,
    }
    return FscCurves(**{**values, **changes})


ALONE = {
    "masked": None,
    "randomised": None,
    "corrected": None,
    "randomised_from_shell": None,
    "mask_fraction": None,
}


@pytest.mark.parametrize("changes", [{}, ALONE, {"randomised": None, "randomised_from_shell": None}])
def test_json_keeps_every_bit(changes):
    before = curves(**changes)
    after = FscCurves.from_json(before.to_json())
    for name in ("unmasked", "masked", "randomised", "corrected"):
        a, b = getattr(before, name), getattr(after, name)
        assert (a is None and b is None) or np.array_equal(a, b)
    for name in ("box", "voxel_size", "randomised_from_shell", "mask_fraction"):
        assert getattr(before, name) == getattr(after, name)


def test_json_says_the_frequencies():
    values = json.loads(curves().to_json())
    assert values["frequency_per_angstrom"] == pytest.approx(np.arange(5) / 10)


def test_best_is_corrected_where_there_is_a_mask():
    assert curves().best is not curves(**ALONE).best
    assert np.array_equal(curves().best, curves().corrected)
    assert np.array_equal(curves(**ALONE).best, curves().unmasked)
    assert curves().resolution(0.4).shell == 2
    assert curves(**ALONE).resolution(0.4).shell == 1


@pytest.mark.parametrize(
    "changes",
    [{"unmasked": np.ones(4)}, {"masked": np.ones(6)}, {"corrected": None}, {"randomised": None}],
)
def test_curves_that_do_not_fit_together_are_a_programming_error(changes):
    with pytest.raises(ValueError, match=r"shape|together"):
        curves(**changes)


def damaged(**changes) -> str:
    values = json.loads(curves().to_json())
    for name, value in changes.items():
        if value is ...:
            del values[name]
        else:
            values[name] = value
    return json.dumps(values)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        (damaged(schema=99), "schema 99"),
        (damaged(masked=...), "lack the field 'masked'"),
        (damaged(unmasked=None), "damaged"),
        (damaged(unmasked=[1, 2]), "damaged"),
        (damaged(unmasked=["a"] * 5), "damaged"),
        (damaged(box="eight"), "damaged"),
    ],
)
def test_what_is_no_record_of_curves_is_refused(text, sentence):
    with pytest.raises(BlushError, match=sentence):
        FscCurves.from_json(text)
