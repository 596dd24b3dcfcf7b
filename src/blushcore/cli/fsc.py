"""``blush fsc``: up to where two half-maps agree."""

from __future__ import annotations

import json as jsonlib
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from cyclopts import Parameter, validators

from blushcore.protocol import BlushError
from blushcore.volumes import Volume, atomic_file, read_map

if TYPE_CHECKING:
    from blushcore.shells import FscCurves, Resolution

_PLOT_FORMATS = (".png", ".svg", ".pdf")
_SAME_VOXEL_SIZE = 1e-3
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
    voxel_size: float | None = None,
    counting: Literal["half", "sphere"] = "half",
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
    """
    _check_outputs(json, plot, inputs=[half1, half2, *([mask] if mask else [])])
    first, second = read_map(half1, voxel_size=voxel_size), read_map(half2, voxel_size=voxel_size)
    _require_same_grid(half1, first, half2, second)
    if half1.samefile(half2) or np.array_equal(first.data, second.data):
        raise BlushError(
            f"{half1} and {half2} are the same map, whose FSC is 1 everywhere.",
            "Give the two independent halves of a reconstruction.",
        )
    window = _read_mask(mask, half1, first, voxel_size) if mask else None

    # Only now: it brings torch along, and whoever mistyped a name should not wait for that.
    from blushcore.shells import FscCurves, mask_warnings, solvent_corrected_fsc
    from blushcore.shells import fsc as correlation

    angstrom = first.isotropic_voxel_size
    if window is None:
        curves = FscCurves(
            box=first.shape[0],
            voxel_size=angstrom,
            unmasked=correlation(first.data, second.data, counting=counting),
        )
    else:
        curves = solvent_corrected_fsc(
            first.data, second.data, window.data, voxel_size=angstrom, seed=seed, counting=counting
        )
    found = curves.resolution(threshold)
    warnings = [
        *dict.fromkeys(first.warnings + second.warnings + (window.warnings if window else ())),
        *_doubts(first, second, curves),
        *mask_warnings(curves, threshold),
    ]
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


def _check_outputs(json: Path | None, plot: Path | None, *, inputs: list[Path]) -> None:
    """Refuse before anything is computed what could not be written in the end."""
    if plot and plot.suffix.lower() not in _PLOT_FORMATS:
        raise BlushError(
            f"{plot} has no ending of a picture that can be drawn.", f"Use {', '.join(_PLOT_FORMATS)}."
        )
    for path in (plot, None if json == _STDOUT else json):
        if path is None:
            continue
        if not path.absolute().parent.is_dir():
            raise BlushError(
                f"The folder {path.absolute().parent} does not exist.", "Make it, or write elsewhere."
            )
        if path.exists() and any(path.samefile(one) for one in inputs if one.exists()):
            raise BlushError(f"{path} is one of the maps to be read.", "Give another name to write to.")
    if json and json != _STDOUT and str(json).startswith("-"):
        raise BlushError(
            f"--json wants a file name or -, not {json}.", "Say --json FILE, or --json - for the terminal."
        )
    if json and plot and json.absolute() == plot.absolute():
        raise BlushError(f"The curves and the plot would both be written to {json}.", "Give two names.")


def _require_same_grid(path: Path, volume: Volume, other_path: Path, other: Volume) -> None:
    """Refuse maps that are not on one cubic grid."""
    for name, one in ((path, volume), (other_path, other)):
        if len(set(one.shape)) != 1:
            raise BlushError(
                f"{name} has a box of {_box(one)} voxels; Fourier shells need a cube.",
                "Pad or crop it to a cubic box.",
            )
        if not one.is_isotropic:
            z, y, x = one.voxel_size
            raise BlushError(
                f"{name} has voxels of {x:.4g} × {y:.4g} × {z:.4g} Å; Fourier shells need cubes.",
                "Resample it to one voxel size first.",
            )
    if volume.shape != other.shape:
        raise BlushError(
            f"{path} has a box of {_box(volume)} voxels, {other_path} one of {_box(other)}.",
            "Give maps on one grid.",
        )
    size, other_size = volume.isotropic_voxel_size, other.isotropic_voxel_size
    if not math.isclose(size, other_size, rel_tol=_SAME_VOXEL_SIZE):
        raise BlushError(
            f"{path} has voxels of {size:.5g} Å, {other_path} of {other_size:.5g} Å.",
            "If one header is wrong, give the true size with --voxel-size; otherwise resample one of them.",
        )


def _read_mask(path: Path, half_path: Path, half: Volume, voxel_size: float | None) -> Volume:
    mask = read_map(path, voxel_size=voxel_size)
    _require_same_grid(half_path, half, path, mask)
    low, high = float(mask.data.min()), float(mask.data.max())
    if low < -1e-3 or high > 1 + 1e-3:
        raise BlushError(
            f"{path} holds values from {low:g} to {high:g}; a mask lies between 0 (solvent) and 1 (particle).",
            "Make a soft mask from the map, with relion_mask_create for instance.",
        )
    if high <= 1e-3:
        raise BlushError(f"{path} is an empty mask: nowhere above 0.", "Lower the threshold it was made with.")
    return mask


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


def _box(volume: Volume) -> str:
    return " × ".join(str(n) for n in reversed(volume.shape))
