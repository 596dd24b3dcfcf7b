"""What checkpoints of all jobs that search poses have in common: models, poses, and whose they are.

A checkpoint gives back every number as it was, so a resumed job does what an uninterrupted one does.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from blushcore.denoiser.weights import WeightsInfo
from blushcore.jobs.expectation_maximisation.model import ParticleModel
from blushcore.jobs.expectation_maximisation.poses import Poses
from blushcore.particles import ParticleTable
from blushcore.protocol import BlushError

Arrays = dict[str, np.ndarray]
POSES = tuple(Poses.__dataclass_fields__)
_WHAT_DIFFERS = {
    "count": "its images",
    "images": "its images",
    "halves": "its half-sets",
    "ctf": "its defoci or other values of the CTF",
    "optics": "its optics groups",
    "groups": "its micrographs",
}
"""In words, what `fingerprint` tells. A checkpoint of before may lack some."""
MODEL_VALUES = ("offset_sigma_angstrom", "mean_norm")
"""What of a model is a number, and no array."""


def attributes(of: object, names: Iterable[str], prefix: str = "") -> dict[str, Any]:
    """Return attributes by name, with a prefix to it."""
    return {f"{prefix}{name}": getattr(of, name) for name in names}


def entries(of: Mapping[str, Any], names: Iterable[str], prefix: str = "") -> dict[str, Any]:
    """Return what `attributes` once returned, without the prefix.

    Raises
    ------
    KeyError
        If one is missing.
    """
    return {name: of[f"{prefix}{name}"] for name in names}


def model_arrays(model: ParticleModel, prefix: str = "", *, reference: str = "reference") -> Arrays:
    """Return a model's arrays; `reference` is what that of its maps is called."""
    arrays: Arrays = {reference: model.reference, "group_scale": model.group_scale}
    arrays |= {f"noise_variance{group}": variance for group, variance in enumerate(model.noise_variance)}
    if model.direction_prior is not None:
        arrays["direction_prior"] = model.direction_prior
    return {f"{prefix}{name}": array for name, array in arrays.items()}


def model_of(
    arrays: Mapping[str, np.ndarray],
    values: Mapping[str, Any],
    optics_groups: int,
    prefix: str = "",
    *,
    reference: str = "reference",
) -> ParticleModel:
    """Return the model of which these are the `model_arrays` and, with other values, the `MODEL_VALUES`."""
    return ParticleModel(
        arrays[f"{prefix}{reference}"],
        tuple(arrays[f"{prefix}noise_variance{group}"] for group in range(optics_groups)),
        arrays[f"{prefix}group_scale"],
        direction_prior=arrays.get(f"{prefix}direction_prior"),
        **entries(values, MODEL_VALUES),
    )


def identity(table: ParticleTable, weights: WeightsInfo | None) -> dict[str, Any]:
    """Return the values by which a checkpoint knows its particles and its network again."""
    return {"particles": fingerprint(table), "weights_sha256": None if weights is None else weights.sha256}


def fingerprint(table: ParticleTable) -> dict[str, int]:
    """Return figures by which a set of particles is known again: all that a search takes of it but poses."""
    names = "\n".join(table.particles["rlnImageName"].astype(str)).encode()
    optics = table.optics.drop(columns="rlnOpticsGroupName", errors="ignore").to_csv(index=False)
    return {
        "count": len(table),
        "images": zlib.crc32(names),
        "halves": _sum_of(table.half),
        "ctf": _sum_of(np.stack(table.ctf)),
        "optics": zlib.crc32(optics.encode(), _sum_of(table.optics_index)),
        "groups": _sum_of(table.group_index),
    }


def _sum_of(array: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(array).tobytes())


def check_identity(values: Mapping[str, Any], table: ParticleTable, weights: WeightsInfo | None) -> None:
    """Refuse other particles, and other network weights, than those that the values of a checkpoint name.

    Raises
    ------
    BlushError
        With the file that is another.
    """
    then, now = values["particles"], fingerprint(table)
    other = [words for name, words in _WHAT_DIFFERS.items() if name in then and then[name] != now[name]]
    if other:
        raise BlushError(
            f"{table.path} is not what it was when the run began: {', '.join(dict.fromkeys(other))} differ.",
            "Put the STAR file back as it was, or start a new run with it.",
        )
    if weights is None:
        return
    before = values["weights_sha256"]
    if weights.sha256 != before:
        raise BlushError(
            f"{weights.path} is not what it was when the run began: its weights have the sha256 "
            f"{weights.sha256[:12]}, not {str(before)[:12]}.",
            "Put the weights back as they were, or start a new run with these.",
        )


@contextmanager
def reading_checkpoint() -> Iterator[None]:
    """Say in a sentence what a checkpoint lacks.

    Raises
    ------
    BlushError
        For a `KeyError`.
    """
    try:
        yield
    except KeyError as error:
        raise BlushError(
            f"The checkpoint does not hold {error.args[0]!r}: another version of blush wrote it.",
            "Go on with that version, or start a new run.",
        ) from error
