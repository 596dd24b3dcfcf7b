from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blushcore.shells import resolution


def test_last_shell_before_the_first_crossing_and_the_line_to_the_next():
    found = resolution([1.0, 0.9, 0.5, 0.1, 0.3, 0.0], 100.0, threshold=0.2)
    assert (found.shell, found.reaches_nyquist) == (2, False)
    assert found.angstrom == pytest.approx(50.0)
    assert found.interpolated_angstrom == pytest.approx(100 / 2.75)


def test_nyquist_is_said():
    found = resolution([1.0, 0.9, 0.5, 0.4], 30.0)
    assert (found.shell, found.reaches_nyquist) == (3, True)
    assert found.angstrom == found.interpolated_angstrom == pytest.approx(10.0)
    assert "Nyquist" in str(found)


def test_no_agreement_at_all_is_no_resolution():
    found = resolution([1.0, 0.1, 0.9], 30.0)
    assert found.shell == 0
    assert math.isinf(found.angstrom)
    assert math.isinf(found.interpolated_angstrom)
    assert str(found).startswith("none")


def test_exactly_at_the_threshold_is_not_below_it():
    assert resolution([1.0, 0.5, 0.5, 0.2], 30.0, threshold=0.5).shell == 2


@pytest.mark.parametrize("curve", [[1.0], [1.0, np.nan], [[1.0, 0.5]]])
def test_what_is_no_curve_is_a_programming_error(curve):
    with pytest.raises(ValueError, match="two shells"):
        resolution(curve, 30.0)


@given(
    curve=st.lists(st.floats(-1, 1), min_size=2, max_size=40),
    threshold=st.floats(0.01, 0.9),
    box=st.floats(10, 1000),
)
def test_display_lies_between_the_shell_and_the_next(curve, threshold, box):
    found = resolution(curve, box, threshold)
    if found.shell == 0:
        assert curve[1] < threshold
        return
    assert all(value >= threshold for value in curve[1 : found.shell + 1])
    assert found.reaches_nyquist == (found.shell == len(curve) - 1)
    assert found.angstrom == pytest.approx(box / found.shell)
    assert box / (found.shell + 1) * (1 - 1e-9) <= found.interpolated_angstrom <= found.angstrom * (1 + 1e-9)
