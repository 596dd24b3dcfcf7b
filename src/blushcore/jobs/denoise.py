"""Denoise a map, or both halves of one, each by itself."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from cyclopts import Parameter
from pydantic import Field, PositiveFloat

from blushcore.denoiser.acceptance import require_denoisable
from blushcore.denoiser.finetuned import warning_for_map
from blushcore.denoiser.provenance import denoised_label, is_denoised
from blushcore.devices import Precision, describe_device
from blushcore.jobs.map_file import MapFile
from blushcore.jobs.parameter_types import Device
from blushcore.protocol import (
    BlushError,
    Control,
    Event,
    Finished,
    Job,
    JobState,
    Message,
    Parameters,
    Started,
    UsageError,
)
from blushcore.volumes import Volume, read_map, read_mask, require_same_grid, split_map_name

if TYPE_CHECKING:
    from blushcore.denoiser import Denoiser, MapDenoising


class DenoiseParameters(Parameters):
    """Parameters of denoising."""

    positional: ClassVar[tuple[str, ...]] = ("map",)

    map: Path = Field(description="Map to denoise (.mrc, .map, .ccp4; also compressed)")
    output: Annotated[Path, Parameter(alias="-o")] = Field(
        description="Denoised map; of two halves OUT_half1.mrc and OUT_half2.mrc. Compressed if it ends in .gz"
    )
    half2: Path | None = Field(
        None, description="Second half-map, denoised independently; MAP is then the first"
    )
    diameter: PositiveFloat | None = Field(
        None,
        description="Diameter of the particle (Å); beyond its sphere all is flat. By default the box's",
    )
    mask: Path | None = Field(
        None, description="Soft mask on the map's grid, 0 to 1, used together with the sphere"
    )
    voxel_size: PositiveFloat | None = Field(None, description="Voxel size (Å) instead of what the headers say")
    weights: str | None = Field(
        None, description="Network weights: a name ('blush weights list') or a .safetensors file"
    )
    device: Device = "auto"
    precision: Precision = Field(
        "auto",
        description="Of the network's arithmetic; auto takes bfloat16 where the device is faster with it",
    )
    mask_out: Path | None = Field(
        None, description="Write the network's idea of the solvent mask here (of two halves, their mean)"
    )

    @property
    def folder(self) -> Path:
        """The folder that all output lies in, at whatever depth."""
        parents = [path.absolute().parent for path in (self.output, self.mask_out) if path is not None]
        try:
            return Path(os.path.commonpath(parents))
        except ValueError:  # two drives of Windows
            raise UsageError(
                f"{self.output} and {self.mask_out} are on different drives.", "Write both to one drive."
            ) from None


def denoise(params: DenoiseParameters, control: Control, _state: JobState | None = None) -> Iterator[Event]:
    """Denoise; the result has the header, origin and voxel size of its input, and a label that says so.

    Two halves never see each other: what they agree on stays independent evidence up to what the network itself
    puts into both, which is why no resolution is ever measured between denoised maps.

    Raises
    ------
    BlushError
        For maps, masks, weights or devices that cannot be used.
    """
    began = time.monotonic()
    names = output_names(params)
    inputs = _read_inputs(params)

    # Only now: torch and the network take seconds, and whoever mistyped a name should not wait for them.
    import torch

    from blushcore.denoiser import VOXEL_SIZE_ANGSTROM, Denoiser, MapDenoising

    denoiser = Denoiser.load(params.weights, params.device, params.precision)
    info = denoiser.info
    assert info is not None  # `Denoiser.load` always has it
    device = describe_device(denoiser.device)
    yield Started(job="denoise", parameters=params.model_dump(mode="json"), device=str(device))
    if device.note:
        yield Message(text=device.note, level="warning")
    precision = str(denoiser.dtype).removeprefix("torch.")
    yield Message(text=f"Weights {info.name} (sha256 {info.sha256[:12]}), computed in {precision}.")
    for path, volume in zip(inputs.paths, inputs.maps, strict=True):
        if text := warning_for_map(info, str(path), volume.data):
            yield Message(text=text, level="warning")
    for warning in inputs.warnings:
        yield Message(text=warning, level="warning")
    first = inputs.maps[0]
    if min(first.voxel_size) < 0.97 * VOXEL_SIZE_ANGSTROM:
        yield Message(
            text=f"The denoiser works at {VOXEL_SIZE_ANGSTROM:g} Å a voxel: "
            f"the result holds nothing finer than {2 * VOXEL_SIZE_ANGSTROM:g} Å."
        )

    artefacts: list[MapFile] = []
    masks, blocks = [], 0
    for half, (path, volume, name) in enumerate(zip(inputs.paths, inputs.maps, names, strict=True), start=1):
        yield from control.obey()
        role, stage = (
            ("denoised", "denoising") if len(names) == 1 else (f"half{half}", f"denoising half {half}")
        )
        denoising = MapDenoising(
            denoiser,
            torch.from_numpy(volume.data),
            volume.voxel_size,
            diameter=params.diameter,
            mask=None if inputs.mask is None else torch.from_numpy(inputs.mask.data),
            name=str(path),
            mask_name=str(params.mask),
        )
        yield from _all_blocks(denoising, denoiser, stage, control)
        result = denoising.result()
        label = denoised_label(info.name, info.sha256)
        denoised = replace(volume.with_data(result.map.numpy()), header=volume.header.with_label(label))
        artefacts.append(MapFile(role, name, denoised))
        blocks += result.blocks
        if params.mask_out:
            masks.append(result.mask)
    if params.mask_out:
        inside = first.with_data(torch.stack(masks).mean(dim=0).numpy())
        artefacts.append(MapFile("mask", _relative(params.mask_out, params), inside))
    yield Finished(
        figures={
            "weights": info.name,
            "weights_sha256": info.sha256,
            "device": str(denoiser.device),
            "precision": precision,
            "blocks": blocks,
            "seconds": round(time.monotonic() - began, 1),
        },
        artefacts=tuple(artefacts),
    )


@dataclass(frozen=True)
class _Inputs:
    """What the files hold, checked as far as it can be without the network."""

    paths: tuple[Path, ...]
    maps: tuple[Volume, ...]
    mask: Volume | None
    warnings: tuple[str, ...]


def _read_inputs(params: DenoiseParameters) -> _Inputs:
    paths = tuple(path for path in (params.map, params.half2) if path is not None)
    maps = tuple(read_map(path, voxel_size=params.voxel_size) for path in paths)
    warnings: list[str] = []
    for path, volume in zip(paths, maps, strict=True):
        value_range = float(volume.data.min()), float(volume.data.max())
        require_denoisable(volume.shape, volume.voxel_size, value_range, str(path))
        warnings += volume.warnings
        if is_denoised(volume):
            warnings.append(f"{path} was denoised already. Give the map as it was reconstructed.")
    if params.half2 is not None:
        warnings += _require_pair(params.map, maps[0], params.half2, maps[1])
    mask = None
    if params.mask is not None:
        mask = read_mask(params.mask, params.map, maps[0], voxel_size=params.voxel_size)
        warnings += mask.warnings
    extent = max(n * size for n, size in zip(maps[0].shape, maps[0].voxel_size, strict=True))
    if params.diameter is not None and params.diameter > extent:
        warnings.append(
            f"The diameter of {params.diameter:g} Å is larger than the box ({extent:.4g} Å); "
            "the largest sphere in the box is used."
        )
    return _Inputs(paths, maps, mask, tuple(dict.fromkeys(warnings)))


def _require_pair(path: Path, volume: Volume, other_path: Path, other: Volume) -> tuple[str, ...]:
    if path.samefile(other_path):
        raise BlushError(f"{path} was given as both halves.", "Give the two half-maps of one reconstruction.")
    doubts = require_same_grid(path, volume, other_path, other)
    if np.array_equal(volume.data, other.data):
        raise BlushError(
            f"{path} and {other_path} are the same map.", "Give the two half-maps of one reconstruction."
        )
    return doubts


def output_names(params: DenoiseParameters) -> list[str]:
    """Return the names of the denoised maps, relative to `params.folder`.

    Raises
    ------
    BlushError
        When an output is one of the inputs.
    UsageError
        When an output has no map's ending, or is to be written twice.
    """
    base, ending = split_map_name(params.output)
    name = _relative(params.output, params)
    folder = name[: len(name) - len(base + ending)]
    names = [name] if params.half2 is None else [f"{folder}{base}_half{half}{ending}" for half in (1, 2)]
    outputs = [params.folder / name for name in names]
    if params.mask_out:
        split_map_name(params.mask_out)
        if params.mask_out.absolute() in outputs:
            raise UsageError(f"{params.mask_out} was given for the map and for the mask.", "Give two names.")
        outputs.append(params.mask_out.absolute())
    inputs = [path.resolve() for path in (params.map, params.half2, params.mask) if path is not None]
    for output in outputs:
        if output.resolve() in inputs:
            raise BlushError(f"{output} is one of the files to be read.", "Give another name to write to.")
    return names


def output_paths(params: DenoiseParameters) -> list[Path]:
    """Return all files that the job will write, named as the user named them; the denoised maps first."""
    masks = [params.mask_out] if params.mask_out else []
    return [*(params.output.with_name(Path(name).name) for name in output_names(params)), *masks]


def _all_blocks(denoising: MapDenoising, denoiser: Denoiser, stage: str, control: Control) -> Iterator[Event]:
    if denoising.volumes_device != denoiser.device:
        yield Message(text=f"The map is kept on the host: {denoiser.device} has too little free memory for it.")
    batch_size = denoiser.batch_size
    for progress in denoising.run():
        yield replace(progress, stage=stage)
        if denoiser.batch_size < batch_size:
            batch_size = denoiser.batch_size
            yield Message(
                text=f"{denoiser.device} ran short of memory; it goes on with {batch_size} blocks at a time.",
                level="warning",
            )
        yield from control.obey()


def _relative(path: Path, params: DenoiseParameters) -> str:
    return path.absolute().relative_to(params.folder).as_posix()


JOB = Job(name="denoise", parameters=DenoiseParameters, run=denoise)
