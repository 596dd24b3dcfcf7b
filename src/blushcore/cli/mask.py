"""``blush mask``: a soft mask of a map, from a threshold."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

from blushcore.cli.options import VoxelSize
from blushcore.cli.outputs import require_writable
from blushcore.cli.terminal import failures_as_json, print_json
from blushcore.denoiser.provenance import is_denoised
from blushcore.volumes import read_map, split_map_name, write_map
from blushcore.volumes.mask_settings import MaskSettings

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
        settings = MaskSettings(threshold=threshold, lowpass=lowpass, extend=extend, soft_edge=soft_edge)
        # Only now: torch takes seconds, and whoever mistyped a name should not wait for it.
        from blushcore.volumes.mask_making import mask_of, smoothed

        made = mask_of(map, smoothed(map, volume, settings), settings)
        write_map(output, made.mask)
    warnings = [*volume.warnings, *made.doubts()]
    if is_denoised(volume):
        warnings.append(
            "The map was denoised: do not judge its own half-maps by what the network made visible."
        )
    if json:
        figures = {
            "threshold": made.threshold,
            "volume_nm3": made.volume_nm3,
            "share_of_box": made.share_of_box,
        }
        print_json(
            {"outcome": "done", "figures": figures, "files": {"mask": str(output)}, "warnings": warnings}
        )
        return
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print(
        f"Wrote {output}: threshold {made.threshold:.4g}, {made.volume_nm3:.4g} nm³ inside, "
        f"{100 * made.share_of_box:.3g} % of the box.",
        file=sys.stderr,
    )
