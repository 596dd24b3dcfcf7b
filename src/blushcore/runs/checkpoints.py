"""States to go on from, as safetensors: arrays as tensors, everything else as JSON in the header.

A checkpoint counts once the line of its iteration stands in ``events.jsonl``. The newest few are kept, and each
array carries a checksum, so that one which a crash or the disk has damaged is recognised and the one before it
is used.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from blushcore.protocol import BlushError, JobState
from blushcore.runs.files import write_whole
from blushcore.runs.layout import SCHEMA, RunDirectory
from blushcore.runs.records import json_value


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The state after `iteration`, with the `parameters` (JSON values) that were in force."""

    job: str
    iteration: int
    parameters: Mapping[str, Any]
    state: JobState


class DamagedCheckpoint(BlushError):  # noqa: N818 - named as the state that it reports
    """A checkpoint that cannot be read whole."""


def checkpoint_name(iteration: int) -> str:
    """Return the path of an iteration's checkpoint, relative to the run directory."""
    return f"checkpoints/it{iteration:06d}.safetensors"


def write_checkpoint(run: RunDirectory, checkpoint: Checkpoint) -> str:
    """Write `checkpoint`, whole or not at all; return its path relative to the run directory.

    Raises
    ------
    BlushError
        If the disk is full or the directory cannot be written.
    TypeError
        If the state holds arrays of objects or values that JSON does not know: a fault in the job.
    """
    from safetensors.numpy import save_file

    tensors: dict[str, np.ndarray] = {}
    views: dict[str, str] = {}
    for name, array in checkpoint.state.arrays.items():
        # safetensors stores the memory of what it is given, and scrambles what is not contiguous.
        values = np.asarray(array, order="C")
        if values.dtype == np.complex128:  # a kind it does not know
            views[name] = "complex128"
            values = values[..., np.newaxis].view(np.float64)
        if values.dtype.kind not in "biufc" or not values.dtype.isnative:
            raise TypeError(
                f"the state's array {name!r} has dtype {array.dtype}, which checkpoints cannot hold"
            )
        tensors[name] = values
    header = {
        "schema": SCHEMA,
        "job": checkpoint.job,
        "iteration": checkpoint.iteration,
        "parameters": checkpoint.parameters,
        "values": json_value(checkpoint.state.values, "state.values"),
        "views": views,
        "checksums": {name: _checksum(values) for name, values in tensors.items()},
    }
    metadata = {"blush": json.dumps(header, allow_nan=False)}
    name = checkpoint_name(checkpoint.iteration)

    def write(path: Path) -> None:
        path.touch()
        mode = path.stat().st_mode
        save_file(tensors, path, metadata=metadata)
        path.chmod(mode)  # safetensors lets nobody but the owner read its files, whatever the umask

    write_whole(run.path / name, write)
    return name


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises
    ------
    DamagedCheckpoint
        If it is missing, truncated, altered, or no checkpoint at all.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {})["blush"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise DamagedCheckpoint(f"The checkpoint {path} cannot be read: {error}.") from error
    if header["schema"] > SCHEMA:
        raise BlushError(f"The checkpoint {path} was written by a later version of blush.", "Update blush.")
    for name, checksum in header["checksums"].items():
        if name not in tensors or _checksum(tensors[name]) != checksum:
            raise DamagedCheckpoint(f"The checkpoint {path} is damaged: its array {name!r} was altered.")
    for name, dtype in header["views"].items():
        tensors[name] = tensors[name].view(dtype)[..., 0]
    return Checkpoint(
        job=header["job"],
        iteration=header["iteration"],
        parameters=header["parameters"],
        state=JobState(arrays=tensors, values=header["values"]),
    )


def newest_checkpoint(
    run: RunDirectory, recorded: Mapping[int, str]
) -> tuple[Checkpoint | None, list[DamagedCheckpoint]]:
    """Return the newest of the `recorded` checkpoints that can be read, and the complaints about newer ones.

    Parameters
    ----------
    run
        The run directory.
    recorded
        Iteration to path: those that the events vouch for. Pruned ones are passed over without a word.

    Raises
    ------
    BlushError
        If there are checkpoints and none can be read.
    """
    damaged: list[DamagedCheckpoint] = []
    for iteration in sorted(recorded, reverse=True):
        path = run.path / recorded[iteration]
        if not path.exists():
            continue
        try:
            return read_checkpoint(path), damaged
        except DamagedCheckpoint as error:
            damaged.append(error)
    if damaged:
        raise BlushError(
            f"None of the checkpoints in {run.checkpoints} can be read. {damaged[0].problem}",
            "Restore them from a copy, or start a new run.",
        )
    return None, []


def prune_checkpoints(run: RunDirectory, keep: int) -> None:
    """Remove all but the newest `keep` checkpoints."""
    present = sorted(run.checkpoints.glob("it*.safetensors"))
    for path in present[:-keep]:
        path.unlink(missing_ok=True)


def _checksum(array: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
