"""What a fine-tuning reads before it begins, and whether anything can be learnt from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from blushcore.denoiser.finetuned import data_set_record
from blushcore.denoiser.provenance import is_denoised
from blushcore.denoiser.weights import find_weights, read_weights_info
from blushcore.devices import resolve_device
from blushcore.jobs.finetune.independence import doubts_about
from blushcore.jobs.finetune.parameters import FinetuneParameters
from blushcore.protocol import BlushError, blaming
from blushcore.training.augmentation import HalfMapPair
from blushcore.training.held_out import split_in_parts
from blushcore.training.pair_files import PairEntry, pair_of_halves
from blushcore.volumes import Volume, read_map, require_same_grid


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a fine-tuning reads before it begins."""

    pair: HalfMapPair
    data_set: dict[str, Any]
    """The half-maps' names and hashes, for the weights' record."""
    warnings: tuple[str, ...]


def check_inputs(params: FinetuneParameters) -> Inputs:
    """Read the half-maps and refuse what cannot work.

    Raises
    ------
    BlushError
        When a map cannot be read, they do not fit, they are copies of one, they agree nowhere, no mask can be
        made, or there are no such weights or device. It blames the parameter that is to be mended.
    """
    with blaming("device"):
        resolve_device(params.device)
    with blaming("weights"):
        read_weights_info(find_weights(params.weights))
    halves = []
    for name in ("half1", "half2"):
        with blaming(name):
            halves.append(_half(params, name))
    one, two = halves
    with blaming("half2"):
        doubts = require_same_grid(params.half1, one, params.half2, two)
        if np.array_equal(one.data, two.data):
            raise BlushError(
                f"{params.half1} and {params.half2} are the same map.",
                "Give the two half-maps of one reconstruction.",
            )
    entry = PairEntry(
        params.half1,
        params.half2,
        params.mask,
        resolution=params.resolution,
        voxel_size=params.voxel_size,
    )
    pair = pair_of_halves(entry, one, two)
    with blaming("mask"):
        split_in_parts(pair.mask, params.held_out_share)
    with blaming("half2"):
        doubts += doubts_about(pair, one, two)
    record = data_set_record([(params.half1.name, one.data), (params.half2.name, two.data)])
    return Inputs(pair, record, tuple(dict.fromkeys([*one.warnings, *two.warnings, *doubts])))


def _half(params: FinetuneParameters, name: str) -> Volume:
    path = getattr(params, name)
    volume = read_map(path, voxel_size=params.voxel_size)
    if is_denoised(volume):
        raise BlushError(
            f"{path} was denoised already.", "Give half-maps as they were reconstructed: unfiltered."
        )
    return volume
