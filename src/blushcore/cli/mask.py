"""``blush mask``: a soft mask of a map, from a threshold."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter, validators

from blushcore.cli.options import VoxelSize
from blushcore.cli.outputs import require_writable
from blushcore.cli.terminal import failures_as_json, print_json
from blushcore.denoiser.provenance import is_denoised
from blushcore.protocol import BlushError
from blushcore.volumes import Volume, describe_grid, read_map, split_map_name, suggest_threshold, write_map

_FINITE = Parameter(validator=validators.Number(gt=-math.inf, lt=math.inf))
_LENGTH = Parameter(validator=validators.Number(gte=0, lte=1000))
_SIGNED_LENGTH = Parameter(validator=validators.Number(gte=-1000, lte=1000))


def mask(
    map: Path,  # noqa: A002 - as the usage shows it
    /,
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    threshold: Annotated[float | None, _FINITE] = None,
    lowpass: Annotated[float, _LENGTH] = 15.0,
    extend: Annotated[float, _SIGNED_LENGTH] = 6.0,
    soft_edge: Annotated[float, _LENGTH] = 8.0,
    voxel_size: VoxelSize = None,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Make a soft mask of a map: low-pass it, take what reaches a threshold, extend it, soften its edge.

    The same mask as that of relion_mask_create, with lengths in Å.

    Parameters
    ----------
    map
        Map (.mrc, .map, .ccp4; also compressed), best unfiltered: one half-map, or the mean of both.
    output
        Mask to write, on the grid of the map. Compressed if its name ends in .gz or .bz2.
    threshold
        Density of the low-passed map from which on a voxel is inside. By default the value that best splits
        particle and solvent (Otsu 1979), which is told; look at the mask.
    lowpass
        Resolution that the map is low-passed to first (Å); 0 for none.
    extend
        Extend what is inside by this much (Å); a negative number takes away.
    soft_edge
        Width of the soft edge beyond that (Å).
    voxel_size
        Voxel size (Å), instead of what the header says.
    overwrite
        Replace the mask if it exists.
    json
        Print the result as one JSON object and nothing else.
    """
    with failures_as_json(json):
        split_map_name(output)
        require_writable([output], overwrite=overwrite, inputs=[map])
        volume = read_map(map, voxel_size=voxel_size)
        if not volume.is_isotropic:
            raise BlushError(
                f"{map} has {describe_grid(volume)}: voxels that are not cubes.",
                "Resample it to one voxel size first.",
            )
        if volume.data.min() == volume.data.max():
            raise BlushError(
                f"{map} is constant: there is nothing to mask.", "Check that it is the right file."
            )
        try:
            result, threshold = _mask_of(volume, threshold, lowpass, extend, soft_edge)
        except BlushError as error:
            raise BlushError(f"{map}: {error.problem}", error.remedy) from error
        write_map(output, result)
    warnings = [*volume.warnings, *_doubts(volume, result)]
    inside = float(np.mean(result.data > 0.5))
    volume_nm3 = inside * math.prod(
        n * size / 10 for n, size in zip(volume.shape, volume.voxel_size, strict=True)
    )
    if json:
        figures = {"threshold": threshold, "volume_nm3": volume_nm3, "share_of_box": inside}
        print_json(
            {"outcome": "done", "figures": figures, "files": {"mask": str(output)}, "warnings": warnings}
        )
        return
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print(
        f"Wrote {output}: threshold {threshold:.4g}, {volume_nm3:.4g} nm³ inside, "
        f"{100 * inside:.3g} % of the box.",
        file=sys.stderr,
    )


def _mask_of(
    volume: Volume, threshold: float | None, resolution: float, extend: float, soft_edge: float
) -> tuple[Volume, float]:
    # Only now: torch takes seconds, and whoever mistyped a name should not wait for it.
    from blushcore.volumes import mask_from_map

    smooth = _lowpassed(volume, resolution) if resolution > 0 else volume
    chosen = suggest_threshold(smooth.data) if threshold is None else threshold
    made = mask_from_map(smooth, threshold=chosen, extend_angstrom=extend, soft_edge_angstrom=soft_edge)
    return made, chosen


def _lowpassed(volume: Volume, resolution: float) -> Volume:
    """Low-pass a map as relion_mask_create does, which takes cubes only and rounds the cut-off to a shell."""
    import torch

    from blushcore.volumes import lowpass, lowpass_at_shell

    values, size = torch.from_numpy(volume.data), volume.isotropic_voxel_size
    if len(set(volume.shape)) == 1:
        shell = math.floor(volume.shape[0] * size / resolution + 0.5)
        return volume.with_data(lowpass_at_shell(values, shell).numpy())
    return volume.with_data(lowpass(values, resolution, size).numpy())


def _doubts(volume: Volume, mask: Volume) -> list[str]:
    """Return what is odd about a mask that is valid all the same."""
    doubts = []
    if is_denoised(volume):
        doubts.append("The map was denoised: do not judge its own half-maps by what the network made visible.")
    faces = [np.take(mask.data, end, axis) for axis in range(3) for end in (0, -1)]
    if any(face.max() > 0.5 for face in faces):
        doubts.append("The mask reaches the faces of the box: the threshold is too low, or the box too tight.")
    return doubts
