"""Jobs are found by name, and imported only then."""

from __future__ import annotations

import sys

import pytest
from toy_job import TOY

from blushcore.jobs import JOBS, JobRegistry


def test_a_job_is_imported_when_it_is_asked_for() -> None:
    jobs = JobRegistry({"toy": "toy_job:TOY", "heavy": "no_such_module:JOB"})
    assert sorted(jobs) == ["heavy", "toy"]
    assert "heavy" in jobs
    assert jobs["toy"] is TOY
    with pytest.raises(ModuleNotFoundError):
        jobs["heavy"]


def test_what_is_not_the_job_of_that_name_is_refused() -> None:
    jobs = JobRegistry({"walk": "toy_job:TOY", "text": "toy_job:__name__"})
    for name in jobs:
        with pytest.raises(TypeError, match=f"is not the job '{name}'"):
            jobs[name]
    with pytest.raises(KeyError):
        jobs["none"]


def test_every_job_of_ours_can_be_imported() -> None:
    for name in JOBS:
        assert JOBS[name].name == name
        assert JOBS[name].live_changes <= JOBS[name].parameters.model_fields.keys()
    assert "blushcore.jobs" in sys.modules
