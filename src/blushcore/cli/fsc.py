"""``blush fsc``: up to where two half-maps agree."""

from __future__ import annotations

import json as jsonlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from cyclopts import Parameter, validators

from blushcore.cli.halves import read_halves
from blushcore.cli.options import VoxelSize
from blushcore.cli.outputs import require_writable
from blushcore.cli.terminal import failures_as_json
from blushcore.protocol import UsageError
from blushcore.volumes import Volume, atomic_file

if TYPE_CHECKING:
    from blushcore.shells import Counting, FscCurves, Resolution

_PLOT_FORMATS = (".png", ".svg", ".pdf")
_STDOUT = Path("-")
_MASKED_ALREADY = 0.6
"""Share of zeros above which halves look masked: RELION's own sphere leaves the corners, 48 %, empty."""
_TOO_ALIKE = 0.9999


def fsc(
    half1: Path,
    half2: Path,
    /,
    *,
    mask: Path | None = None,
    json: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
    plot: Path | None = None,
    seed: Annotated[int, Parameter(validator=validators.Number(gte=0))] = 0,
    threshold: Annotated[float, Parameter(validator=validators.Number(gt=0, lt=1))] = 0.143,
    voxel_size: VoxelSize = None,
    counting: Literal["half", "sphere"] = "half",
    overwrite: bool = False,
) -> None:
    """Fourier shell correlation and resolution of two half-maps.

    Prints the resolution and the curves. With a mask the FSC is corrected for what the mask itself makes agree,
    by phase randomisation (Chen et al. 2013).

    Parameters
    ----------
    half1
        First half-map, unfiltered and unmasked (.mrc, .map; also compressed).
    half2
        Second half-map, on the same grid.
    mask
        Soft mask on the same grid, 0 in the solvent, 1 in the particle.
    json
        Write the curves and the resolution to this file; - writes them to the terminal instead of the table.
    plot
        Draw the curves into this file (.png, .svg or .pdf).
    seed
        Seed of the random phases.
    threshold
        FSC at which the resolution is read: 0.143 for two halves, 0.5 for a map against a model.
    voxel_size
        Voxel size in Å of all files, instead of what their headers say.
    counting
        half: each stored component of the half transform once, as relion_postprocess counts: the same digits.
        sphere: every component of the full transform once; differs by chance, most in small boxes.
    overwrite
        Replace files that exist.
    """
    with failures_as_json(json == _STDOUT):
        _check_outputs(json, plot, [half1, half2, *([mask] if mask else [])], overwrite=overwrite)
        first, second, window, warnings = read_halves(half1, half2, mask, voxel_size)

        # Only now: it brings torch along, and whoever mistyped a name should not wait for that.
        from blushcore.shells import mask_warnings

        curves = _curves(first, second, window, seed, counting)
        found = curves.resolution(threshold)
        warnings += [*_doubts(first, second, curves), *mask_warnings(curves, threshold)]
        report = {
            "half1": str(half1),
            "half2": str(half2),
            "mask": str(mask) if mask else None,
            "seed": seed,
            "counting": counting,
            "resolution": _resolution_values(found),
            "warnings": warnings,
            "curves": curves.to_dict(),
        }
        if json and json != _STDOUT:
            with atomic_file(json) as file:
                file.write(_encoded(report))
        if plot:
            _write_plot(plot, curves, found, half1, half2, mask)
    if json == _STDOUT:
        sys.stdout.write(_encoded(report).decode())
        for warning in warnings:
            print(f"warning: {warning}", file=sys.stderr)
    else:
        _print_report(curves, found, warnings)


def _curves(first: Volume, second: Volume, window: Volume | None, seed: int, counting: Counting) -> FscCurves:
    from blushcore.shells import FscCurves, solvent_corrected_fsc
    from blushcore.shells import fsc as correlation

    size = first.isotropic_voxel_size
    if window is None:
        unmasked = correlation(first.data, second.data, counting=counting)
        return FscCurves(box=first.shape[0], voxel_size=size, unmasked=unmasked)
    return solvent_corrected_fsc(
        first.data, second.data, window.data, voxel_size=size, seed=seed, counting=counting
    )


def _check_outputs(json: Path | None, plot: Path | None, inputs: list[Path], *, overwrite: bool) -> None:
    """Refuse before anything is computed what could not be written in the end."""
    if plot and plot.suffix.lower() not in _PLOT_FORMATS:
        raise UsageError(
            f"{plot} has no ending of a picture that can be drawn.", f"Use {', '.join(_PLOT_FORMATS)}."
        )
    if json and json != _STDOUT and str(json).startswith("-"):
        raise UsageError(
            f"--json wants a file name or -, not {json}.", "Say --json FILE, or --json - for the terminal."
        )
    if json and plot and json.absolute() == plot.absolute():
        raise UsageError(f"The curves and the plot would both be written to {json}.", "Give two names.")
    outputs = [path for path in (plot, json) if path is not None and path != _STDOUT]
    require_writable(outputs, overwrite=overwrite, inputs=inputs)


def _doubts(first: Volume, second: Volume, curves: FscCurves) -> list[str]:
    """Return what is odd about halves that are valid all the same."""
    doubts = []
    empty = min(float(np.mean(one.data == 0)) for one in (first, second))
    if empty > _MASKED_ALREADY:
        doubts.append(
            f"Both halves are exactly 0 in {100 * empty:.0f} % of the box: they look masked already, which "
            "makes the unmasked FSC too good and the correction blind. Use the unmasked, unfiltered halves."
        )
    if curves.unmasked.min() > _TOO_ALIKE:
        doubts.append(
            "The maps agree perfectly at every frequency: they are copies of one, not independent halves."
        )
    return doubts


def _resolution_values(found: Resolution) -> dict[str, Any]:
    """Return the resolution as JSON values; None in Å where there is none."""
    agrees = found.shell > 0
    return {
        "angstrom": found.angstrom if agrees else None,
        "interpolated_angstrom": found.interpolated_angstrom if agrees else None,
        "shell": found.shell,
        "threshold": found.threshold,
        "reaches_nyquist": found.reaches_nyquist,
    }


def _print_report(curves: FscCurves, found: Resolution, warnings: list[str]) -> None:
    from rich.console import Console

    from blushcore.cli.fsc_table import fsc_table, mask_sentence, resolution_sentence
    from blushcore.shells import resolution

    console = Console(highlight=False)
    console.print(resolution_sentence(curves, found), style="bold", markup=False, soft_wrap=True)
    outside = resolution(curves.unmasked, curves.box * curves.voxel_size, found.threshold)
    if sentence := mask_sentence(curves, outside):
        console.print(sentence, markup=False, soft_wrap=True)
    for warning in warnings:
        console.print(f"Warning: {warning}", style="yellow", markup=False, soft_wrap=True)
    console.print()
    console.print(fsc_table(curves, found))


def _write_plot(
    path: Path, curves: FscCurves, found: Resolution, half1: Path, half2: Path, mask: Path | None
) -> None:
    from blushcore.cli.fsc_plot import draw_fsc

    title = f"{half1.name}  ·  {half2.name}" + (f"  ·  {mask.name}" if mask else "")
    figure = draw_fsc(curves, found, title=title)
    with atomic_file(path) as file:
        figure.savefig(file, format=path.suffix.lower()[1:])


def _encoded(report: dict[str, Any]) -> bytes:
    return (jsonlib.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
