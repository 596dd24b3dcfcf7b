"""Denoise a map, or both halves of one, each by itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from cyclopts import Parameter
from pydantic import Field, PositiveFloat

from blushcore.denoiser.application import MapDenoising
from blushcore.denoiser.denoiser import Denoiser
from blushcore.denoiser.network import VOXEL_SIZE_ANGSTROM
from blushcore.devices import describe_device
from blushcore.jobs.map_file import MapFile
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
)
from blushcore.volumes import Volume, read_map

_SAME_VOXEL_SIZE = 1e-3
_MAP_ENDINGS = (".mrc", ".map", ".ccp4")


class DenoiseParameters(Parameters):
    """Parameters of denoising."""

    positional: ClassVar[tuple[str, ...]] = ("map",)

    map: Path = Field(description="Map to denoise (.mrc, .map, .ccp4; also compressed)")
    output: Annotated[Path, Parameter(alias="-o")] = Field(
        description="Denoised map; of two halves OUT_half1.mrc and OUT_half2.mrc"
    )
    half2: Path | None = Field(
        None, description="Second half-map, denoised independently; MAP is then the first"
    )
    diameter: PositiveFloat | None = Field(
        None, description="Diameter of the particle (Å); beyond its sphere all is flat. By default the box"
    )
    mask: Path | None = Field(None, description="Soft mask on the map's grid, used together with the sphere")
    voxel_size: PositiveFloat | None = Field(None, description="Voxel size (Å) instead of what the headers say")
    weights: str | None = Field(
        None, description="Network weights: a name ('blush weights list') or a .safetensors file"
    )
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="Of the network's arithmetic; auto takes what is fast on the device"
    )
    mask_out: Path | None = Field(
        None, description="Write the network's idea of the solvent mask here (of two halves, their mean)"
    )

    @property
    def folder(self) -> Path:
        """The folder that all output lies in, at whatever depth."""
        parents = [path.absolute().parent for path in (self.output, self.mask_out) if path is not None]
        return Path(os.path.commonpath(parents))


def denoise(params: DenoiseParameters, control: Control, _state: JobState | None = None) -> Iterator[Event]:
    """Denoise; the result has the header, origin and voxel size of its input.

    Two halves never see each other: what they agree on stays independent evidence up to what the network itself
    puts into both, which is why no resolution is ever measured between denoised maps.

    Raises
    ------
    BlushError
        For maps, masks, weights or devices that cannot be used.
    """
    names = _output_names(params)
    denoiser = Denoiser.load(params.weights, params.device, params.precision)
    info = denoiser.info
    assert info is not None  # `Denoiser.load` always has it
    yield Started(
        job="denoise",
        parameters=params.model_dump(mode="json"),
        device=str(describe_device(denoiser.device)),
    )
    yield Message(text=f"Weights {info.name} (version {info.version}, sha256 {info.sha256[:12]}).")
    halves = [params.map, *([params.half2] if params.half2 else [])]
    volumes = [read_map(path, voxel_size=params.voxel_size) for path in halves]
    if len(volumes) == 2:
        _require_pair(params.map, volumes[0], halves[1], volumes[1])
    mask = _read_mask(params.mask, params.map, volumes[0], params.voxel_size)
    for path, volume in zip(halves, volumes, strict=True):
        for warning in volume.warnings:
            yield Message(text=f"{path.name}: {warning}", level="warning")
    if min(volumes[0].voxel_size) < 0.97 * VOXEL_SIZE_ANGSTROM:
        yield Message(
            text=f"The denoiser works at {VOXEL_SIZE_ANGSTROM:g} Å a voxel: the result holds nothing beyond "
            f"{2 * VOXEL_SIZE_ANGSTROM:g} Å."
        )
    artefacts, masks = [], []
    for index, (volume, name) in enumerate(zip(volumes, names, strict=True), start=1):
        denoising = MapDenoising(
            denoiser,
            torch.from_numpy(volume.data),
            volume.voxel_size,
            diameter=params.diameter,
            mask=mask,
        )
        stage = "denoising" if len(volumes) == 1 else f"denoising half {index}"
        for progress in denoising.run():
            yield replace(progress, stage=stage)
            yield from control.obey()
        result = denoising.result()
        role = "denoised" if len(volumes) == 1 else f"half{index}"
        artefacts.append(MapFile(role, name, volume.with_data(result.map.numpy())))
        masks.append(result.mask.numpy())
    if params.mask_out:
        mean = np.ascontiguousarray(np.mean(masks, axis=0, dtype=np.float32))
        artefacts.append(MapFile("mask", _name(params.mask_out, params), volumes[0].with_data(mean)))
    yield Finished(
        figures={
            "weights": info.name,
            "weights_sha256": info.sha256,
            "device": str(denoiser.device),
            "precision": str(denoiser.dtype).removeprefix("torch."),
        },
        artefacts=tuple(artefacts),
    )


def _name(path: Path, params: DenoiseParameters) -> str:
    return path.absolute().relative_to(params.folder).as_posix()


def _output_names(params: DenoiseParameters) -> list[str]:
    """Return the names of the denoised maps, relative to `params.folder`.

    Raises
    ------
    BlushError
        When the output has no map's ending, or is one of the inputs.
    """
    name = _name(params.output, params)
    stem = name
    for compression in (".gz", ".bz2"):
        stem = stem.removesuffix(compression)
    ending = Path(stem).suffix
    if ending.lower() not in _MAP_ENDINGS:
        raise BlushError(
            f"{params.output} does not look like the name of a map.", f"End it in {', '.join(_MAP_ENDINGS)}."
        )
    base, rest = name[: len(stem) - len(ending)], name[len(stem) - len(ending) :]
    names = [name] if params.half2 is None else [f"{base}_half{half}{rest}" for half in (1, 2)]
    inputs = [path.absolute() for path in (params.map, params.half2, params.mask) if path is not None]
    for output in [*(params.folder / name for name in names), *([params.mask_out] if params.mask_out else [])]:
        if output.absolute() in inputs:
            raise BlushError(f"{output} is one of the files to be read.", "Give another name to write to.")
    return names


def _require_pair(path: Path, volume: Volume, other_path: Path, other: Volume) -> None:
    if path.samefile(other_path):
        raise BlushError(f"{path} was given as both halves.", "Give the two half-maps of one reconstruction.")
    _require_same_grid(path, volume, other_path, other)


def _require_same_grid(path: Path, volume: Volume, other_path: Path, other: Volume) -> None:
    same_size = np.allclose(volume.voxel_size, other.voxel_size, rtol=_SAME_VOXEL_SIZE, atol=0)
    if volume.shape != other.shape or not same_size:
        raise BlushError(
            f"{path} ({_grid(volume)}) and {other_path} ({_grid(other)}) are not on one grid.",
            "Resample one of them, or give the voxel size if a header is wrong.",
        )


def _read_mask(
    path: Path | None, map_path: Path, volume: Volume, voxel_size: float | None
) -> torch.Tensor | None:
    if path is None:
        return None
    mask = read_map(path, voxel_size=voxel_size)
    _require_same_grid(map_path, volume, path, mask)
    low, high = float(mask.data.min()), float(mask.data.max())
    if low < -1e-3 or high > 1 + 1e-3:
        raise BlushError(
            f"{path} holds values from {low:g} to {high:g}; a mask lies between 0 (solvent) and 1 (particle)."
        )
    return torch.from_numpy(mask.data)


def _grid(volume: Volume) -> str:
    box = " × ".join(str(n) for n in reversed(volume.shape))
    return f"{box} voxels of {volume.voxel_size[2]:.4g} Å"


JOB = Job(name="denoise", parameters=DenoiseParameters, run=denoise)
