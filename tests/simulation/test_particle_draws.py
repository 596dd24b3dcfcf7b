"""What is drawn for a particle set, against the distributions that were asked for."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from blushcore.simulation import PreferredView, draw_particles
from blushcore.simulation.particle_draws import NOTHING
from blushcore.simulation.views import draw_viewing_angles

COUNT = 20_000


def directions(angles: np.ndarray) -> np.ndarray:
    rot, tilt = np.radians(angles[:, 0]), np.radians(angles[:, 1])
    return np.stack((np.sin(tilt) * np.cos(rot), np.sin(tilt) * np.sin(rot), np.cos(tilt)), axis=1)


def test_without_preferred_views_orientations_are_uniform():
    angles = draw_viewing_angles(COUNT, (), np.random.default_rng(0))
    seen = directions(angles)
    for axis in np.eye(3):
        assert stats.kstest(seen @ axis, stats.uniform(-1, 2).cdf).pvalue > 1e-3
    assert stats.kstest(angles[:, 2], stats.uniform(-180, 360).cdf).pvalue > 1e-3
    assert stats.kstest(angles[:, 0], stats.uniform(-180, 360).cdf).pvalue > 1e-3


@pytest.mark.parametrize("axis", [(0.0, 0.0, 1.0), (0.6, 0.0, -0.8), (1.0, 0.0, 0.0)])
def test_a_cluster_has_its_share_and_its_spread(axis):
    view = PreferredView(axis, concentration=10.0, weight=3.0)
    seen = directions(draw_viewing_angles(COUNT, (view,), np.random.default_rng(1))) @ np.array(axis)
    t = np.linspace(-1, 1, 4001)
    watson = np.exp(10 * (t**2 - 1))
    density = 0.25 * 0.5 + 0.75 * watson / np.trapezoid(watson, t)
    cumulative = np.concatenate(([0], np.cumsum((density[1:] + density[:-1]) / 2 * (t[1] - t[0]))))
    assert stats.kstest(seen, lambda x: np.interp(x, t, cumulative)).pvalue > 1e-3


def test_shares_of_objects_and_junk():
    draws = draw_particles(COUNT, [0.7, 0.3], junk=0.2, seed=4)
    assert draws.is_junk.mean() == pytest.approx(0.2, abs=0.01)
    assert (draws.shows == NOTHING).mean() == pytest.approx(0.1, abs=0.01)
    assert (draws.shows == draws.objects).mean() == pytest.approx(0.1, abs=0.01)
    particles = draws.shows[~draws.is_junk]
    assert (particles == 1).mean() == pytest.approx(0.3, abs=0.015)
    assert set(draws.class_numbers) == {0, 1, 2}
    assert np.array_equal(draws.class_numbers == 0, draws.is_junk)


def test_offsets_and_defocus():
    draws = draw_particles(COUNT, [1.0], offset_px=3.0, defocus=(9000.0, 12000.0), astigmatism=500.0, seed=5)
    assert stats.kstest(draws.offsets_px.ravel() / 3, "norm").pvalue > 1e-3
    u, v, angle = draws.defocus.T
    assert np.allclose(u - v, 500)
    assert stats.kstest((u + v) / 2, stats.uniform(9000, 3000).cdf).pvalue > 1e-3
    assert stats.kstest(angle, stats.uniform(0, 180).cdf).pvalue > 1e-3


def test_a_seed_decides_and_another_differs():
    one, again, other = (draw_particles(50, [0.5, 0.5], junk=0.1, seed=seed) for seed in (1, 1, 2))
    for name in ("angles_deg", "offsets_px", "defocus", "shows"):
        assert np.array_equal(getattr(one, name), getattr(again, name))
        assert not np.array_equal(getattr(one, name), getattr(other, name))
