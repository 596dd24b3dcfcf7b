"""``blush validate``: does the denoiser keep to the data of two half-maps?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from cyclopts import Parameter, validators

from blushcore.cli.halves import read_halves
from blushcore.cli.options import VoxelSize
from blushcore.cli.terminal import QuietView, failures_as_json, make_view, print_json

if TYPE_CHECKING:
    from blushcore.denoiser.findings import Findings

_COLUMNS = {
    "raw": "halves",
    "cross": "denoised, other raw",
    "transfer_signal": "signal ×",
    "transfer_noise": "noise ×",
    "chance": "random phases",
    "model_raw": "model, raw",
    "model_denoised": "model, denoised",
}
_ROWS = 20
_LENGTH = Parameter(validator=validators.Number(gt=0, lte=10000))


def validate(
    half1: Path,
    half2: Path,
    /,
    *,
    diameter: Annotated[float | None, _LENGTH] = None,
    mask: Path | None = None,
    model: Path | None = None,
    weights: str | None = None,
    device: str = "auto",
    seed: Annotated[int, Parameter(validator=validators.Number(gte=0))] = 0,
    voxel_size: VoxelSize = None,
    json: bool = False,
) -> None:
    """Test on two half-maps whether the denoiser keeps to the data, or makes things up.

    Denoises both, and prints in each shell: the FSC of the halves; that of each denoised half with the raw
    other one (falls below where the denoiser invents); what it multiplies signal and noise by; the FSC of the
    denoised halves if their phases are random from where they agree to 0.8 (what appears there is made up); and
    the FSC with an atomic model before and after. All is within the denoiser's sphere and up to 3 Å; none of it
    is a resolution.

    Parameters
    ----------
    half1
        First half-map, unfiltered and unmasked (.mrc, .map; also compressed).
    half2
        Second half-map, on the same grid.
    diameter
        Diameter of the particle (Å): of the denoiser's sphere, where figures are taken; by default the box's.
    mask
        Soft mask on the same grid to take the figures in, instead of the whole sphere.
    model
        Atomic model fitted into the map (.pdb, .cif).
    weights
        Network weights: a name ('blush weights list') or a .safetensors file.
    device
        auto, cpu, cuda, cuda:1, mps
    seed
        Seed of the random phases.
    voxel_size
        Voxel size in Å of all files, instead of what their headers say.
    json
        Print all curves as one JSON object and nothing else.
    """
    with failures_as_json(json):
        first, second, window, warnings = read_halves(half1, half2, mask, voxel_size)
        for warning in () if json else warnings:
            print(f"warning: {warning}", file=sys.stderr)
        # Only now: torch and the network take seconds, and whoever mistyped a name should not wait for them.
        from blushcore.denoiser import Denoiser
        from blushcore.denoiser.validating import DenoiserValidation
        from blushcore.simulation.map_model import draw_model

        drawn = None if model is None else draw_model(model, first)  # one that does not fit is told at once

        with QuietView() if json else make_view() as view:
            work = DenoiserValidation(
                Denoiser.load(weights, device),
                (first, second),
                diameter=diameter,
                mask=window,
                drawn=drawn,
                seed=seed,
            )
            for progress in work.run():
                view.show(progress)
        found = work.result()
    if json:
        print_json({"outcome": "done", "figures": found.figures(), "warnings": warnings})
    else:
        _show(found)


def _show(found: Findings) -> None:
    """Print sentences, and a table of some of the shells."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    for sentence in found.sentences():
        console.print(sentence, markup=False, soft_wrap=True)
    table = Table("shell", "Å", *(_COLUMNS[name] for name in found.curves))
    count = len(found.angstrom) - 1
    for shell in range(1, count + 1, max(1, -(-count // _ROWS))):
        values = ("" if np.isnan(curve[shell]) else f"{curve[shell]:.3f}" for curve in found.curves.values())
        table.add_row(str(shell), f"{found.angstrom[shell]:.2f}", *values)
    console.print(table)
