"""``blush local-resolution``: how fine two half-maps agree, from place to place."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter, validators

from blushcore.cli.halves import read_halves
from blushcore.cli.options import VoxelSize
from blushcore.cli.outputs import require_writable
from blushcore.cli.terminal import QuietView, failures_as_json, make_view, print_json
from blushcore.protocol import Progress
from blushcore.volumes import Volume, split_map_name, write_map

if TYPE_CHECKING:
    from blushcore.shells.local_resolution import LocalResolution

_LENGTH = Parameter(validator=validators.Number(gt=0, lte=1000))
_PERCENTILES = (5.0, 25.0, 50.0, 75.0, 95.0)


def local_resolution(
    half1: Path,
    half2: Path,
    /,
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    mask: Path | None = None,
    window: Annotated[float | None, _LENGTH] = None,
    threshold: Annotated[float, Parameter(validator=validators.Number(gt=0, lt=1))] = 0.5,
    voxel_size: VoxelSize = None,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Local resolution of two half-maps: their FSC in a small window, from place to place.

    Writes a map in Å on their grid, by which a surface can be coloured (Cardone et al. 2013).

    Parameters
    ----------
    half1
        First half-map, unfiltered and unmasked (.mrc, .map; also compressed).
    half2
        Second half-map, on the same grid.
    output
        Map of the local resolution (Å). Compressed if its name ends in .gz or .bz2.
    mask
        Where to measure: where this mask on the same grid is 0.5 or more. By default the sphere in the box,
        which takes longer. Outside, the map has the lowest resolution found inside.
    window
        Edge of the window (Å); by default six times the resolution of the whole map.
    threshold
        FSC in the window at which the resolution is read.
    voxel_size
        Voxel size in Å of all files, instead of what their headers say.
    overwrite
        Replace the map if it exists.
    json
        Print the result as one JSON object and nothing else.
    """
    with failures_as_json(json):
        split_map_name(output)
        inputs = [half1, half2, *([mask] if mask else [])]
        require_writable([output], overwrite=overwrite, inputs=inputs)
        first, second, where, warnings = read_halves(half1, half2, mask, voxel_size)
        result = _measure(first, second, where, window, threshold, silent=json)
        write_map(output, first.with_data(result.map))
    values = result.percentiles(*_PERCENTILES)
    window_angstrom = result.window_voxels * first.isotropic_voxel_size
    if json:
        figures = {
            "percentiles": list(_PERCENTILES),
            "angstrom": values,
            "window_angstrom": window_angstrom,
            "step_voxels": result.step_voxels,
            "threshold": threshold,
        }
        files = {"local_resolution": str(output)}
        print_json({"outcome": "done", "figures": figures, "files": files, "warnings": warnings})
        return
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print(
        f"Wrote {output}: half of it is at {values[2]:.2f} Å or better, nine tenths from {values[0]:.2f} to "
        f"{values[-1]:.2f} Å; windows of {window_angstrom:.3g} Å every {result.step_voxels} voxels.",
        file=sys.stderr,
    )


def _measure(
    first: Volume, second: Volume, where: Volume | None, window: float | None, threshold: float, *, silent: bool
) -> LocalResolution:
    # Only now: it brings torch along, and whoever mistyped a name should not wait for that.
    from blushcore.shells.local_resolution import LocalResolutionMeasurement, usual_window_angstrom

    size = first.isotropic_voxel_size
    if window is None:
        window = usual_window_angstrom(first.data, second.data, voxel_size=size)
    measurement = LocalResolutionMeasurement(
        first.data,
        second.data,
        voxel_size=size,
        window_angstrom=window,
        threshold=threshold,
        mask=None if where is None else where.data,
    )
    with QuietView() if silent else make_view() as view:
        for done in measurement.run():
            view.show(Progress(stage="local resolution", done=done, total=measurement.total, unit="windows"))
    return measurement.result()
