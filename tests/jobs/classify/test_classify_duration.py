"""How long a classification is said to take."""

from __future__ import annotations

import dataclasses

import pytest

from blushcore.jobs.classify import duration
from blushcore.jobs.classify.duration import predicted_seconds
from blushcore.jobs.classify.preflight import check_inputs
from blushcore.jobs.expectation_maximisation.duration import START_SECONDS
from tiny_mixture import write_tiny_mixture


@pytest.fixture(scope="module")
def mixture(tmp_path_factory):
    return write_tiny_mixture(tmp_path_factory.mktemp("mixture"), counts=(12, 8))


@pytest.fixture(scope="module")
def inputs(mixture):
    return check_inputs(mixture.parameters(particles=mixture.posed))


@pytest.fixture(autouse=True)
def _slow_machine(monkeypatch):
    """A million products a second: so slow that starting and reconstructing do not count."""
    monkeypatch.setattr(duration, "products_per_second", lambda _device: 1e6)


def seconds(mixture, inputs, **changes) -> float:
    params = mixture.parameters(particles=mixture.posed, **changes)
    least, most = predicted_seconds(params, inputs)
    assert START_SECONDS < least < most / 2
    return least - START_SECONDS


def test_twice_as_many_iterations_or_particles_take_twice_as_long(mixture, inputs):
    once = seconds(mixture, inputs, iterations=5)
    assert seconds(mixture, inputs, iterations=10) == pytest.approx(2 * once)
    twice = dataclasses.replace(inputs, table=inputs.table.take([*range(20), *range(20)]))
    assert seconds(mixture, twice, iterations=5) == pytest.approx(2 * once, rel=0.05)


def test_each_way_of_searching_has_its_price(mixture, inputs):
    kept, moved, everywhere, fine = (
        seconds(mixture, inputs, **changes)
        for changes in (
            {"alignment": "none"},
            {"alignment": "offsets"},
            {"alignment": "global"},
            {"alignment": "global", "healpix_order": 2},
        )
    )
    assert kept < moved < everywhere < fine
    assert seconds(mixture, inputs, alignment="none", highest_resolution=30.0) <= kept


def test_the_denoiser_acts_on_every_class_in_every_iteration(mixture, inputs):
    plain = seconds(mixture, inputs, iterations=4)
    added = seconds(mixture, inputs, iterations=4, prior="blush") - plain
    blocks = (24 * 4.0 / 60) ** 3
    assert added == pytest.approx(4 * 2 * blocks * 28.6e9 / (1e6 * 0.5))
