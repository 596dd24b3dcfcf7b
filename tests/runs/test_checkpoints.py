"""A checkpoint gives back what was put in, or says that it cannot."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stnp

from blushcore.protocol import BlushError, JobState
from blushcore.runs.checkpoints import (
    Checkpoint,
    DamagedCheckpoint,
    newest_checkpoint,
    prune_checkpoints,
    read_checkpoint,
    write_checkpoint,
)
from blushcore.runs.layout import RunDirectory

KINDS = ["<f4", "<f8", "<f2", "<i1", "<i4", "<i8", "<u1", "<u8", "?", "<c8", "<c16"]


def checkpoint(iteration: int = 1, values: dict[str, Any] | None = None, **arrays: Any) -> Checkpoint:
    state = JobState(arrays=arrays, values=values or {})
    return Checkpoint(job="toy", iteration=iteration, parameters={"walk": "x"}, state=state)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    array=st.sampled_from(KINDS).flatmap(
        lambda kind: stnp.arrays(
            np.dtype(kind), stnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)
        )
    ),
    turn=st.booleans(),
)
def test_every_kind_and_shape_comes_back_bit_for_bit(tmp_path: Path, array: np.ndarray, turn: bool) -> None:
    given_array = array.T if turn else array
    run = RunDirectory(tmp_path)
    back = read_checkpoint(tmp_path / write_checkpoint(run, checkpoint(a=given_array))).state.arrays["a"]
    assert back.dtype == given_array.dtype
    assert back.shape == given_array.shape
    assert back.tobytes() == given_array.tobytes()


def test_views_come_back_in_order(tmp_path: Path) -> None:
    array = np.arange(24.0).reshape(4, 6)
    given_arrays = {"strided": array[::2, ::3], "reversed": array[::-1], "fortran": np.asfortranarray(array)}
    run = RunDirectory(tmp_path)
    state = read_checkpoint(tmp_path / write_checkpoint(run, checkpoint(**given_arrays))).state
    for name, expected in given_arrays.items():
        np.testing.assert_array_equal(state.arrays[name], expected)


def test_values_and_parameters_come_back(tmp_path: Path) -> None:
    values = {"seed": 2**80, "nested": {"list": [1, 2.5, None, "Å"]}, "done": True}
    back = read_checkpoint(tmp_path / write_checkpoint(RunDirectory(tmp_path), checkpoint(7, values)))
    assert back.state.values == values
    assert back.iteration == 7
    assert back.job == "toy"
    assert back.parameters == {"walk": "x"}


def test_what_cannot_be_kept_is_a_fault_that_is_named(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    with pytest.raises(TypeError, match="array 'names'"):
        write_checkpoint(run, checkpoint(names=np.array(["a"])))
    with pytest.raises(TypeError, match=r"state\.values\.path\.x is a object"):
        write_checkpoint(run, checkpoint(values={"path": {"x": object()}}))
    assert not list(tmp_path.rglob("*.safetensors"))


def test_truncated_anywhere_it_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / write_checkpoint(RunDirectory(tmp_path), checkpoint(a=np.arange(10.0), b=np.ones(3)))
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DamagedCheckpoint):
            read_checkpoint(path)


def test_a_byte_altered_among_the_arrays_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / write_checkpoint(
        RunDirectory(tmp_path), checkpoint(a=np.arange(4.0), z=np.arange(4.0) * 1j)
    )
    whole = path.read_bytes()
    for offset in range(len(whole) - 96, len(whole)):
        path.write_bytes(whole[:offset] + bytes([whole[offset] ^ 1]) + whole[offset + 1 :])
        with pytest.raises(DamagedCheckpoint, match="altered"):
            read_checkpoint(path)


def test_other_safetensors_are_no_checkpoints(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(3)}, tmp_path / "weights.safetensors")
    with pytest.raises(DamagedCheckpoint):
        read_checkpoint(tmp_path / "weights.safetensors")
    with pytest.raises(DamagedCheckpoint):
        read_checkpoint(tmp_path / "nothing.safetensors")


def test_the_newest_that_can_be_read_is_taken(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    recorded = {n: write_checkpoint(run, checkpoint(n)) for n in (1, 2, 3, 4)}
    found, damaged = newest_checkpoint(run, {n: recorded[n] for n in (1, 2, 3)})
    assert found is not None
    assert found.iteration == 3  # 4 is there, but no event vouches for it
    assert damaged == []
    (tmp_path / recorded[3]).write_bytes(b"no")
    (tmp_path / recorded[2]).unlink()
    found, damaged = newest_checkpoint(run, {n: recorded[n] for n in (1, 2, 3)})
    assert found is not None
    assert found.iteration == 1
    assert len(damaged) == 1
    (tmp_path / recorded[1]).write_bytes(b"no")
    with pytest.raises(BlushError, match="None of the checkpoints"):
        newest_checkpoint(run, {1: recorded[1], 3: recorded[3]})
    assert newest_checkpoint(run, {}) == (None, [])


def test_the_newest_few_are_kept(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    for n in (1, 9, 10, 100):
        write_checkpoint(run, checkpoint(n))
    prune_checkpoints(run, 2)
    assert sorted(path.name for path in run.checkpoints.iterdir()) == [
        "it000010.safetensors",
        "it000100.safetensors",
    ]


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
def test_who_may_read_a_checkpoint_is_said_by_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        name = write_checkpoint(RunDirectory(tmp_path), checkpoint(a=np.zeros(3)))
    finally:
        os.umask(before)
    assert (tmp_path / name).stat().st_mode & 0o777 == 0o640
