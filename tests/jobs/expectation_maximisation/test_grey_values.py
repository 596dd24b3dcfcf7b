"""A reference whose grey values cannot be those of the images is noticed."""

from __future__ import annotations

from dataclasses import replace

import mrcfile
import numpy as np
import pytest

from blushcore.jobs.expectation_maximisation.grey_values import grey_value_warnings, power_ratio
from blushcore.jobs.refine.job import refine
from blushcore.jobs.refine.preflight import check_inputs
from blushcore.protocol import Control, IterationDone, Message
from tiny_refinement import BOX, PIXEL_SIZE, write_tiny_set


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_tiny_set(tmp_path_factory.mktemp("set"), count=30)


def warnings_before_the_first_iteration(params) -> list[str]:
    told, stream = [], refine(params, Control(), None)
    for event in stream:
        if isinstance(event, Message) and event.level == "warning":
            told.append(event.text)
        if isinstance(event, IterationDone):
            stream.close()
            return told
    raise AssertionError("no iteration")


@pytest.mark.parametrize(("factor", "said"), [(1e-4, "times weaker"), (1.0, ""), (1e3, "times stronger")])
def test_a_reference_of_another_scale_is_noticed(tiny, tmp_path, factor, said):
    path = tmp_path / "reference.mrc"
    path.write_bytes(tiny.reference.read_bytes())
    with mrcfile.open(path, "r+") as file:
        file.data[:] *= factor
    told = warnings_before_the_first_iteration(tiny.parameters(reference=path))
    assert len(told) == bool(said)
    assert not said or (said in told[0] and "--first-iteration-cc" in told[0])
    assert warnings_before_the_first_iteration(tiny.parameters(reference=path, first_iteration_cc=True)) == []


def test_the_ratio_is_that_of_powers(tiny):
    inputs = check_inputs(tiny.parameters())
    noise = [np.linspace(2.0, 1.0, BOX // 2 + 1)]
    one = power_ratio(inputs, 5, noise)
    assert one is not None
    assert power_ratio(inputs, 5, [3 * noise[0]]) == pytest.approx(one / 3, rel=1e-6)
    for factor, expected in ((3.0, pytest.approx(9 * one, rel=1e-4)), (0.0, None)):
        scaled = replace(inputs, references=(factor * inputs.references).astype(np.float32))
        assert power_ratio(scaled, 5, noise) == expected
    assert power_ratio(replace(inputs, voxel_size=2 * PIXEL_SIZE), 5, noise) is None
    assert grey_value_warnings(None, 40.0) == []
