"""Where a training's half-maps come from: atomic models, half-maps from files, or both."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch

from blushcore.denoiser.weights import find_weights, read_weights_info
from blushcore.devices import host_memory, resolve_device
from blushcore.devices.processes import processes_here
from blushcore.jobs.train.parameters import TrainParameters
from blushcore.protocol import BlushError
from blushcore.simulation import Composition, ModelEntry
from blushcore.simulation.compose import USUAL
from blushcore.simulation.model_pack import PackedModel, read_models
from blushcore.training.atom_pairs import AtomPairs
from blushcore.training.pair_files import check_pairs, of_split, read_pairs
from blushcore.training.samples import MixedPairs, PairSource, SimulatedPairs
from blushcore.training.stored_pairs import PairCache, StoredPairs

Split: TypeAlias = Literal["train", "validation"]

SHARE_FOR_PAIRS = 0.25
"""Of the memory that can be had: what all processes together keep of the pairs that they have read."""


def check_inputs(params: TrainParameters) -> None:
    """Find out early whether the training can begin: before a run directory is made for it.

    Raises
    ------
    BlushError
        When there are no models, a model's file is missing, or there are no such weights or device.
    """
    resolve_device(params.device)
    if params.pairs is not None:
        check_pairs(read_pairs(params.pairs))
    pair_source(params, "train")
    if params.validation_blocks:
        pair_source(params, "validation")
    if params.initial_weights is not None:
        read_weights_info(find_weights(params.initial_weights))
    elif params.carry_on:
        raise BlushError(
            "carry_on goes on where the initial weights ended, and there are none.", "Give initial_weights."
        )
    if params.half_maps_on == "device" and needs_files(params):
        raise BlushError(
            "Half-maps from images and of composed particles are made by workers, not on the device.",
            "Leave out images_share and compose, or make them beforehand and give them as pairs.",
        )


def needs_files(params: TrainParameters) -> bool:
    """Whether half-maps need more of a model than its atoms, which workers read from its file."""
    return params.compose or params.images_share > 0


def makes_on_device(params: TrainParameters, device: torch.device) -> bool:
    """Whether half-maps are made on the device that trains."""
    if params.half_maps_on == "auto":
        # Files are read by many workers at once, or the device waits for them.
        return device.type == "cuda" and not needs_files(params) and params.pairs is None
    return params.half_maps_on == "device"


def kept_bytes(params: TrainParameters) -> int:
    """Return how much each process that makes volumes keeps of the pairs that it has read.

    `SHARE_FOR_PAIRS` of the memory is shared by all of them on this machine: by the workers, or by the training
    itself where there are none.
    """
    makers = max(1, params.workers) * processes_here()
    return int(SHARE_FOR_PAIRS * host_memory().available) // makers


def pair_source(
    params: TrainParameters, split: Split, device: torch.device | None = None
) -> tuple[PairSource, str]:
    """Return where pairs of a split come from, and what that is called.

    Parameters
    ----------
    params, split
        What is asked for.
    device
        Where half-maps are simulated.

    Raises
    ------
    BlushError
        When there are none, or a file is missing.
    """
    if params.models is None and params.pairs is None:
        raise BlushError(
            "There is nothing to train on.", "Give a table of models (models) or half-map pairs (pairs)."
        )
    simulated: PairSource | None = None
    stored: PairSource | None = None
    names = []
    if params.models is not None:
        models = models_of(params, split)
        simulated = _simulated(params, models, device)
        names.append(f"{len(models)} models")
    if params.pairs is not None:
        entries = of_split(read_pairs(params.pairs), split)
        if entries:
            cache = PairCache(kept_bytes(params))
            stored = StoredPairs(entries, turned=split == "train", cache=cache)
            names.append(
                f"{len(entries)} pairs of half-maps (read once while they fit into "
                f"{cache.largest_bytes / 2**30:.1f} GiB in each process that makes volumes)"
            )
        elif simulated is None or split == "train":
            raise BlushError(
                f"{params.pairs} names no pair of half-maps for {split}.",
                f"Give some the split {split} in a table"
                + (", or set validation_blocks to 0." if split == "validation" else "."),
            )
    text = " and ".join(names)
    if simulated is not None and stored is not None:
        return MixedPairs(simulated, stored, params.pairs_share), text
    source = stored if stored is not None else simulated
    assert source is not None
    return source, text


def _simulated(params: TrainParameters, models: list[ModelEntry], device: torch.device | None) -> PairSource:
    """Return what makes half-maps of models: packs hold atoms only, which are drawn wherever it is wanted."""
    packed = isinstance(models[0], PackedModel)
    if packed and needs_files(params):
        raise BlushError(
            f"{params.models} holds atoms only, of which no images are made and no particles are composed.",
            "Leave out images_share and compose, or give the table of models.",
        )
    if packed or device is not None:
        where = torch.device("cpu") if device is None else device
        return AtomPairs(models, where, params.few_particles_share)
    return SimulatedPairs(
        models,
        params.images_share,
        few_particles=params.few_particles_share,
        composition=USUAL if params.compose else Composition(),
    )


def models_of(params: TrainParameters, split: Split) -> list[ModelEntry]:
    """Return the models of a split that are not too large.

    Raises
    ------
    BlushError
        When there are none, or one's file is missing: training on fewer would pass unnoticed.
    """
    assert params.models is not None
    entries = read_models(params.models, split)
    fitting = [entry for entry in entries if entry.extent_angstrom <= params.largest_extent]
    if not fitting:
        raise BlushError(f"{params.models} lists no {split} model of up to {params.largest_extent:g} Å.")
    missing = [entry for entry in fitting if not entry.path.is_file()]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise BlushError(
            f"The model {missing[0].path}{more}, listed in {params.models}, is not there.",
            "Files are named relative to the table's folder; remove the rows of those you do not have.",
        )
    return fitting
