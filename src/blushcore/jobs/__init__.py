"""The kinds of job there are, by name; none is imported before it is asked for.

A job is a module that holds a `Job`: its parameter model and its generator of events. It gets one line in
`JOBS`; that is how ``blush resume`` finds it.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

from blushcore.protocol import Job


class JobRegistry(Mapping[str, Job[Any]]):
    """Jobs by name, given as ``module:attribute`` and imported when looked up.

    Parameters
    ----------
    targets
        Name to ``module:attribute``.
    """

    def __init__(self, targets: Mapping[str, str]) -> None:
        self._targets = dict(targets)

    def __getitem__(self, name: str) -> Job[Any]:
        module, _, attribute = self._targets[name].partition(":")
        job = getattr(importlib.import_module(module), attribute)
        if not isinstance(job, Job) or job.name != name:
            raise TypeError(f"{self._targets[name]} is not the job {name!r}")
        return job

    def __iter__(self) -> Iterator[str]:
        return iter(self._targets)

    def __len__(self) -> int:
        return len(self._targets)

    def __contains__(self, name: object) -> bool:
        return name in self._targets


JOBS = JobRegistry(
    {
        "denoise": "blushcore.jobs.denoise:JOB",
        "classify": "blushcore.jobs.classify.job:JOB",
        "refine": "blushcore.jobs.refine.job:JOB",
        "simulate": "blushcore.jobs.simulate:JOB",
        "finetune": "blushcore.jobs.finetune.job:JOB",
        "train": "blushcore.jobs.train.job:JOB",
    }
)
