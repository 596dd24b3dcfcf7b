"""How long a refinement is said to take."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest

from blushcore.jobs.expectation_maximisation import duration as machine
from blushcore.jobs.refine import duration
from blushcore.jobs.refine.duration import predicted_seconds
from blushcore.jobs.refine.preflight import check_inputs
from tiny_refinement import write_tiny_set


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_tiny_set(tmp_path_factory.mktemp("tiny"), count=20)


@pytest.fixture(scope="module")
def inputs(tiny):
    return check_inputs(tiny.parameters())


@pytest.fixture
def rate(monkeypatch):
    """A machine of a million products a second, or of as many as it is told."""

    def of(rate: float) -> None:
        monkeypatch.setattr(duration, "products_per_second", lambda _device: rate)

    of(1e6)
    return of


@pytest.fixture
def start(tiny, inputs, rate) -> float:
    """What is left on a machine that computes in no time."""
    rate(1e30)
    seconds = predicted_seconds(tiny.parameters(), inputs)[0]
    rate(1e6)
    return seconds


def test_it_is_told_as_from_to(tiny, inputs, rate, start):
    least, most = predicted_seconds(tiny.parameters(), inputs)
    assert 0 < start < least < most / 2
    rate(2e6)
    half, half_most = predicted_seconds(tiny.parameters(), inputs)
    assert half - start == pytest.approx((least - start) / 2)
    assert half_most < most


def test_more_particles_take_longer(tiny, inputs, start):
    twice = dataclasses.replace(inputs, table=inputs.table.take([*range(20), *range(20)]))
    least, longer = (predicted_seconds(tiny.parameters(), each)[0] for each in (inputs, twice))
    assert longer - start == pytest.approx(2 * (least - start))


def test_fewer_iterations_and_coarser_steps_take_less(tiny, inputs, rate):
    whole = predicted_seconds(tiny.parameters(), inputs)[0]
    assert predicted_seconds(tiny.parameters(max_iterations=3), inputs)[0] < whole
    finer = tiny.parameters(healpix_order=2, local_from_order=3)
    assert predicted_seconds(finer, inputs)[0] > whole


def test_the_denoiser_adds_its_own(tiny, inputs, rate):
    blush = tiny.parameters(prior="blush")
    added = predicted_seconds(blush, inputs)[0] - predicted_seconds(tiny.parameters(), inputs)[0]
    # A block for each 60 Å of the box along each axis, two maps in each of 16 iterations, at half the speed.
    blocks = (24 * 4.0 / 60) ** 3
    assert added == pytest.approx(16 * 2 * blocks * 28.6e9 / (1e6 * 0.5))


def test_the_speed_of_the_machine_is_that_of_the_fastest_product(inputs, monkeypatch):
    looks = iter((0.0, 0.001, 0.031, 0.032, 0.033, 0.037, 0.038, 0.039, 0.052, 0.053))
    monkeypatch.setattr(machine, "time", SimpleNamespace(perf_counter=lambda: next(looks)))
    assert machine.products_per_second(inputs.device) == pytest.approx(2 * 512**3 / 0.004)
