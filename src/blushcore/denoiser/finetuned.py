"""Which data weights were fine-tuned on: of those they are no longer independent, and their record says so."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from blushcore.denoiser.weights import WeightsInfo

RECORD = "finetuned_on"
"""In a training record: a list of data sets, with ``name`` and ``sha256`` of ``half1`` and ``half2``."""


def map_sha256(data: NDArray[np.float32]) -> str:
    """Return the SHA-256 of a map's values, float32 ``(z, y, x)``: the same however its file is compressed."""
    return hashlib.sha256(np.ascontiguousarray(data, np.float32).tobytes()).hexdigest()


def data_set_record(halves: Sequence[tuple[str, NDArray[np.float32]]]) -> dict[str, Any]:
    """Return the record of two half-maps, given as (file name, values)."""
    return {
        f"half{number}": {"name": name, "sha256": map_sha256(data)}
        for number, (name, data) in enumerate(halves, start=1)
    }


def data_sets_of(training: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the data sets that a training record names, oldest first.

    Raises
    ------
    ValueError
        If it names them in another form than `data_set_record` does.
    """
    sets = training.get(RECORD, [])
    try:
        halves = [one[half] for one in sets for half in ("half1", "half2")]
        if all(isinstance(half[key], str) for half in halves for key in ("name", "sha256")):
            return list(sets)
    except (KeyError, TypeError):
        pass
    raise ValueError(f"{RECORD} is {sets!r}")


def warning_for_map(info: WeightsInfo, name: str, data: NDArray[np.float32]) -> str | None:
    """Return the sentence for who denoises a map with fine-tuned weights; None where they are not."""
    sets = data_sets_of(info.training)
    if not sets:
        return None
    if map_sha256(data) in {half["sha256"] for one in sets for half in one.values()}:
        return (
            f"The weights {info.name} were fine-tuned on {name} and its other half: denoised, the two are no "
            "longer independent of each other, and what they agree on is no evidence."
        )
    return (
        f"The weights {info.name} were fine-tuned on {_names(sets)}. They are independent of {name} only if it "
        "comes from other data."
    )


def warning_for_particles(info: WeightsInfo) -> str | None:
    """Return the sentence for who refines particles with fine-tuned weights; None where they are not."""
    sets = data_sets_of(info.training)
    if not sets:
        return None
    return (
        f"The weights {info.name} were fine-tuned on {_names(sets)}. If those half-maps were made of these "
        "particles, each half knows of the other through the network, and the resolution will be told too "
        "good. Refine with weights of other data then, and keep these for looking at maps."
    )


def _names(sets: Sequence[Mapping[str, Any]]) -> str:
    return "; ".join(f"{one['half1']['name']} and {one['half2']['name']}" for one in sets)
