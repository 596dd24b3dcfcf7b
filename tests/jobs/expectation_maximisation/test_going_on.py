"""What a refinement and a classification go on with, and what they refuse to go on with."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch

from blushcore.denoiser.network import BlushNetwork
from blushcore.denoiser.weights import WeightsInfo, weights_bytes
from blushcore.jobs import JOBS
from blushcore.jobs.classify import preflight as classification
from blushcore.jobs.classify.state import ClassifyState
from blushcore.jobs.refine import preflight as refinement
from blushcore.jobs.refine.state import HALF_SETS, RefineState
from blushcore.particles import ParticleTable
from blushcore.protocol import BlushError, Control, Event, IterationDone, JobState
from blushcore.runs.records import json_value
from tiny_mixture import write_tiny_mixture
from tiny_refinement import write_tiny_set

DIAMETER = 44.0
"""Å: on the network's grid, edge and all, a single block."""


@dataclass(frozen=True)
class Begun:
    """A job with the prior Blush, as it stands before its first iteration."""

    name: str
    params: Any
    state: JobState
    table: ParticleTable
    weights: WeightsInfo

    def restored(
        self, state: JobState, table: ParticleTable, weights: WeightsInfo | None
    ) -> RefineState | ClassifyState:
        kind = RefineState if self.name == "refine" else ClassifyState
        return kind.from_job_state(state, table, weights)

    def first_event(self, params: Any, state: JobState) -> Event:
        stream = JOBS[self.name].run(params, Control(), state)
        try:
            return next(stream)
        finally:
            stream.close()


@pytest.fixture(scope="module", params=["refine", "classify"])
def begun(request, tmp_path_factory, random_weights) -> Begun:
    name, folder = request.param, tmp_path_factory.mktemp("begun")
    tiny = write_tiny_set(folder, count=20) if name == "refine" else write_tiny_mixture(folder, counts=(12, 8))
    params = tiny.parameters(prior="blush", weights=str(random_weights), diameter=DIAMETER)
    stream = JOBS[name].run(params, Control(), None)
    state = next(event.state for event in stream if isinstance(event, IterationDone))
    values = json.loads(json.dumps(json_value(state.values, "state")))
    arrays = {key: np.array(array) for key, array in state.arrays.items()}
    stream.close()
    inputs = (refinement if name == "refine" else classification).check_inputs(params)
    return Begun(name, params, JobState(arrays=arrays, values=values), inputs.table, inputs.weights)


def without(state: JobState, key: str) -> JobState:
    """Return a state that lacks a value or an array."""
    arrays, values = ({k: v for k, v in of.items() if k != key} for of in (state.arrays, state.values))
    assert len(arrays) + len(values) == len(state.arrays) + len(state.values) - 1
    return JobState(arrays=arrays, values=values)


def test_it_goes_on_with_the_same_weights_and_not_with_others(begun, tmp_path):
    assert begun.first_event(begun.params, begun.state).resumed_from_iteration == 0
    with torch.random.fork_rng():
        torch.manual_seed(21)
        other = BlushNetwork().state_dict()
    weights = tmp_path / "mine.safetensors"
    weights.write_bytes(weights_bytes(other, name="random", version="0", training={"steps": 0}))
    said = r"mine\.safetensors is not what it was when the run began: .* the sha256 \w{12}, not \w{12}"
    with pytest.raises(BlushError, match=said) as caught:
        begun.first_event(begun.params.replace(weights=str(weights)), begun.state)
    assert caught.value.remedy == "Put the weights back as they were, or start a new run with these."


def test_it_does_not_go_on_with_other_particles(begun):
    fewer = begun.table.take(range(len(begun.table) - 1))
    with pytest.raises(BlushError, match="is not what it was when the run began: its images"):
        begun.restored(begun.state, fewer, begun.weights)


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("rlnDefocusU", "its defoci or other values of the CTF differ"),
        ("rlnVoltage", "its optics groups differ"),
        ("rlnMicrographName", "its micrographs differ"),
    ],
)
def test_it_does_not_go_on_with_other_values_of_the_same_particles(begun, column, said):
    table = begun.table
    if column in table.optics:
        changed = replace(table, optics=table.optics.assign(**{column: 200.0}))
    else:
        values = table.particles[column].to_numpy().copy()
        values[3] = "other.mrc" if column == "rlnMicrographName" else values[3] + 1
        changed = table.with_columns({column: values})
    with pytest.raises(BlushError, match=said):
        begun.restored(begun.state, changed, begun.weights)
    older = {name: begun.state.values["particles"][name] for name in ("count", "images", "halves")}
    state = JobState(arrays=begun.state.arrays, values={**begun.state.values, "particles": older})
    begun.restored(state, changed, begun.weights)  # one of before knows nothing of them


def test_other_last_poses_do_not_matter(begun):
    moved = begun.table.with_poses(begun.table.angles_deg + 1, begun.table.offsets_angstrom)
    assert begun.restored(begun.state, moved, begun.weights).iteration == 0


def test_whatever_a_checkpoint_lacks_is_said_in_a_sentence(begun):
    state = begun.state
    for key in (*state.values, *(name for name in state.arrays if name != HALF_SETS)):  # which older ones lack
        with pytest.raises(BlushError, match=f"does not hold '{key}': another version of blush") as caught:
            begun.restored(without(state, key), begun.table, begun.weights)
        assert caught.value.remedy == "Go on with that version, or start a new run."
    with pytest.raises(BlushError, match="does not hold 'weights_sha256'"):
        begun.first_event(begun.params, without(state, "weights_sha256"))


def test_without_a_network_nobody_asks_which_it_was(begun):
    state = without(begun.state, "weights_sha256")
    assert begun.restored(state, begun.table, None).iteration == 0
