"""The work of an iteration: comparing images with references, and making maps, beside the ear for commands.

What a refinement and a classification do likewise, whatever they decide. Images are compared by all processes,
each its share; what only one is to compute is handed to all. Both are done on a thread of their own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from blushcore.denoiser import Denoiser
from blushcore.inference import (
    Accuracy,
    ExpectationSums,
    ImageModel,
    ImageResults,
    Sampling,
    estimate_accuracy,
    expectation,
)
from blushcore.jobs.communicator import Communicator, SingleProcess
from blushcore.jobs.expectation_maximisation.background import Background
from blushcore.jobs.expectation_maximisation.expectation_inputs import FileOrder, image_model, particles_of
from blushcore.jobs.expectation_maximisation.first_noise import first_noise
from blushcore.jobs.expectation_maximisation.inputs import Inputs
from blushcore.jobs.expectation_maximisation.model import ParticleModel
from blushcore.jobs.expectation_maximisation.parameters import SearchParameters
from blushcore.jobs.expectation_maximisation.poses import Poses
from blushcore.jobs.expectation_maximisation.telling import warned
from blushcore.protocol import Control, Event, Progress
from blushcore.reconstruction import BlushPrior, Prior, WienerPrior

Rows = NDArray[np.int64]
Found = tuple[ExpectationSums, ImageResults]
T = TypeVar("T")


class Reconstructed(Protocol):
    """What is to be known of the maps of any M-step."""

    @property
    def denoising_seconds(self) -> float | None:
        """What the denoiser took; None if the prior is none."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences for the user."""
        ...


M = TypeVar("M", bound=Reconstructed)


class Work:
    """Inputs, and what computes on them: the same in all iterations.

    Parameters
    ----------
    inputs
        Particles, images, references.
    communicator
        The processes that share the work.
    """

    def __init__(self, inputs: Inputs, communicator: Communicator | None = None) -> None:
        self.inputs = inputs
        self._communicator = communicator or SingleProcess()
        self._background = Background()
        self._prior: Prior | None = None

    def first_noise(
        self, params: SearchParameters, control: Control
    ) -> Generator[Event, None, tuple[NDArray[np.float64], ...]]:
        """Return σ²(s) of each optics group before anything is known of the poses."""
        inputs = self.inputs
        return (
            yield from first_noise(
                inputs.table,
                inputs.reader,
                inputs.optics,
                diameter_angstrom=params.diameter,
                seed=params.seed,
                control=control,
            )
        )

    def compare(
        self,
        params: SearchParameters,
        sampling: Sampling,
        poses: Poses,
        references: NDArray[np.float32],
        model: ImageModel,
        rows: Rows,
        *,
        iteration: int,
        before: int = 0,
        control: Control,
    ) -> Generator[Event, None, Found]:
        """Compare images with references in all poses, and sum up by the posterior.

        Parameters
        ----------
        params
            Padding and seed.
        sampling
            The grids, and the image sizes.
        poses
            Of all particles, as they were.
        references
            ``(n, n, n)`` or ``(K, n, n, n)``.
        model
            How images are taken to come about.
        rows
            Which particles of the table, in its order.
        iteration
            From 1.
        before
            How many images the iteration compared before.
        control
            Who may interrupt it.

        Returns
        -------
        sums, results
            Over all processes, and of all these particles in their order.
        """
        inputs, processes = self.inputs, self._communicator
        stream = expectation(
            torch.from_numpy(references).to(inputs.device),
            inputs.voxel_size,
            particles_of(inputs.table, inputs.optics, poses, rows[processes.rank :: processes.size]),
            FileOrder(inputs.reader),
            sampling,
            model,
            padding=params.padding,
            seed=params.seed + iteration,
        )
        count, total, began = len(rows), len(inputs.table), time.monotonic()
        while True:
            done, found = yield from self._background.run(lambda: _advanced(stream), control)
            if found is not None:
                break
            everywhere = before + min(done * processes.size, count)
            pace = (time.monotonic() - began) / done
            yield Progress(
                stage=f"iteration {iteration}: comparing images",
                done=everywhere,
                total=total,
                unit="images",
                eta_seconds=pace * (total - everywhere) / processes.size,
            )
        sums, results = found
        return (
            yield from self._background.run(
                lambda: (processes.add_sums(sums), processes.gather(results, count)), control
            )
        )

    def accuracy(
        self,
        params: SearchParameters,
        model: ParticleModel,
        reference: NDArray[np.float32],
        current_size: int,
        poses: Poses,
        rows: Rows,
        *,
        iteration: int,
    ) -> Accuracy:
        """Estimate after `iteration` how finely the poses of some of the particles in `rows` can be told."""
        inputs = self.inputs
        return estimate_accuracy(
            torch.from_numpy(reference).to(inputs.device),
            inputs.voxel_size,
            current_size,
            particles_of(inputs.table, inputs.optics, poses, rows),
            image_model(model, params, 0),
            padding=params.padding,
            seed=params.seed + iteration,
        )

    def reconstruct(
        self, compute: Callable[[], M], stages: dict[str, float], *, iteration: int, control: Control
    ) -> Generator[Event, None, M]:
        """Return what an M-step makes, on one process; tell its warnings, and put its seconds into `stages`."""
        began = time.monotonic()
        yield Progress(stage=f"iteration {iteration}: reconstructing", done=0, total=0)
        maps = yield from self.by_one(compute, control)
        stages["reconstructing"] = time.monotonic() - began
        if maps.denoising_seconds is not None:
            stages["denoising"] = maps.denoising_seconds
            stages["reconstructing"] -= maps.denoising_seconds
        yield from warned(maps.warnings)
        return maps

    def by_one(self, compute: Callable[[], T], control: Control) -> Generator[Event, None, T]:
        """Return what process 0 computes."""
        processes = self._communicator

        def shared() -> T:
            return processes.share(compute() if processes.rank == 0 else None)  # type: ignore[return-value]

        return (yield from self._background.run(shared, control))

    def prior(self, **choices: bool) -> Prior:
        """Return the prior, made when it is first needed: a network is loaded once, where it computes.

        Parameters
        ----------
        **choices
            Of `BlushPrior`, if it is that.

        Raises
        ------
        BlushError
            When the network's weights are damaged.
        """
        if self._prior is None:
            weights, device = self.inputs.weights, self.inputs.device
            self._prior = (
                WienerPrior() if weights is None else BlushPrior(Denoiser.load(weights.path, device), **choices)
            )
        return self._prior


def _advanced(stream: Generator[int, None, Found]) -> tuple[int, Found | None]:
    """Take a step of an E-step; return how many images are done, and at the end what it returns."""
    try:
        return next(stream), None
    except StopIteration as end:
        found: Found = end.value
        return 0, found
