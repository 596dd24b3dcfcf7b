"""A small job for the tests: a random walk, so that anything lost or done twice shows in the result."""

from __future__ import annotations

import errno
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from blushcore.protocol import (
    BlushError,
    Control,
    Event,
    Finished,
    IterationDone,
    Job,
    JobState,
    Message,
    Parameters,
    Progress,
    Started,
)


class ToyParameters(Parameters):
    """Parameters of the walk."""

    positional = ("walk",)

    walk: str = Field(description="Name of the walk")
    iterations: int = Field(4, ge=1, description="How many iterations")
    step_size: float = Field(1.0, gt=0, description="Length of a step (Å)")
    seed: int = Field(0, description="Seed of the walk")
    seconds: float = Field(0.0, ge=0, description="Time an iteration takes (s)")
    size: int = Field(100, ge=1, description="Points that walk")
    table: Path | None = Field(None, description="A file that is not read")
    trouble: Literal["", "blush", "bug", "full", "no-start", "no-end"] = Field(
        "", description="What goes wrong in the second iteration"
    )


@dataclass(frozen=True)
class ArrayFile:
    """An array as an artefact."""

    role: str
    name: str
    array: np.ndarray

    def write(self, path: Path) -> None:
        with path.open("wb") as stream:
            np.save(stream, self.array)


def _trouble(parameters: ToyParameters) -> None:
    match parameters.trouble:
        case "blush":
            raise BlushError("The walk has lost its way.", "Give it a map.")
        case "bug":
            raise ZeroDivisionError("a fault in the walk")
        case "full":
            raise OSError(errno.ENOSPC, "No space left on device")


def walk(parameters: ToyParameters, control: Control, state: JobState | None) -> Iterator[Event]:
    random = np.random.default_rng(parameters.seed)
    position = np.zeros(parameters.size)
    done = 0
    if state is not None:
        random.bit_generator.state = json.loads(state.values["random"])
        position = np.array(state.arrays["position"])
        done = state.values["iteration"]
    if parameters.trouble != "no-start":
        yield Started(job="toy", parameters=parameters.model_dump(mode="json"), device="cpu")
    for iteration in range(done + 1, parameters.iterations + 1):
        parameters = parameters.replace(**control.take_changes())
        if iteration == 2:
            _trouble(parameters)
        yield from control.obey()
        end = time.monotonic() + parameters.seconds
        position = position + parameters.step_size * random.standard_normal(parameters.size)
        while time.monotonic() < end:
            yield from control.obey()
            yield Progress(stage="walking", done=iteration - 1, total=parameters.iterations, unit="iterations")
            time.sleep(0.01)
        values: dict[str, Any] = {
            "iteration": iteration,
            "random": json.dumps(random.bit_generator.state),
        }
        yield IterationDone(
            iteration=iteration,
            figures={"distance": np.float64(np.abs(position).mean()), "curve": [1.0, float("nan")]},
            artefacts=(ArrayFile("position", f"walk_it{iteration:03d}.npy", position),),
            state=JobState(arrays={"position": position}, values=values),
        )
        if control.stop_after_iteration:
            yield Finished(outcome="stopped")
            return
    yield Message(text="The walk is over.")
    if parameters.trouble != "no-end":
        yield Finished(
            figures={"distance": float(np.abs(position).mean()), "step_size": parameters.step_size},
            artefacts=(ArrayFile("position", "results/walk.npy", position),),
        )


TOY = Job(
    name="toy",
    parameters=ToyParameters,
    run=walk,
    live_changes=frozenset({"step_size", "iterations", "seconds"}),
)
