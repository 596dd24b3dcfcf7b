"""The coverage of a whole map, from that of its shells, as RELION's program reckons it."""

from __future__ import annotations

import numpy as np
import pytest

from blushcore.jobs.expectation_maximisation.map_curves import overall_coverage

# rlnFourierCompleteness and, of the class, rlnOverallFourierCompleteness, as relion_refine 3.1.3 wrote them for
# two of its classifications (the second without alignment); the shell is that of rlnEstimatedResolution.
FROM_RELION = [
    (5, [1.0, 1.0, 0.899083, 0.769874, 0.695550, 0.313725, 0.0], 0.638512),
    (5, [1.0, 0.948276, 0.853211, 0.774059, 0.764637, 0.573152, 0.0], 0.729489),
]


@pytest.mark.parametrize(("shell", "of_shells", "overall"), FROM_RELION)
def test_it_is_that_of_relion(shell, of_shells, overall):
    coverage = np.array([*of_shells, *np.zeros(6)])
    assert overall_coverage(coverage, shell) == pytest.approx(overall, abs=2e-6)


def test_shells_beyond_the_resolution_do_not_count():
    coverage = np.ones(13)
    coverage[7:] = 0
    assert overall_coverage(coverage, 6) == 1.0
    assert overall_coverage(coverage, 9) < 1.0
    assert overall_coverage(coverage, 12) < overall_coverage(coverage, 9)


def test_a_map_of_nothing_has_none():
    assert overall_coverage(np.zeros(13), 0) == 0.0
    assert overall_coverage(np.ones(13), 40) == 1.0  # no further than there are shells
