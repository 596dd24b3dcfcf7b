"""``blush validate``: does the denoiser keep to the data of two half-maps?"""

from __future__ import annotations

import itertools
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from cyclopts import Parameter, validators
from numpy.typing import NDArray

from blushcore.cli.denoiser_findings import Findings
from blushcore.cli.halves import read_halves
from blushcore.cli.options import VoxelSize
from blushcore.cli.terminal import QuietView, View, failures_as_json, make_view, print_json
from blushcore.volumes import Volume

if TYPE_CHECKING:
    import torch

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
        with QuietView() if json else make_view() as view:
            found = _test(first, second, window, diameter, model, weights, device, seed, view)
    if json:
        print_json({"outcome": "done", "figures": found.figures(), "warnings": warnings})
    else:
        found.show()


def _test(
    first: Volume,
    second: Volume,
    window: Volume | None,
    diameter: float | None,
    model: Path | None,
    weights: str | None,
    device: str,
    seed: int,
    view: View,
) -> Findings:
    # Only now: torch and the network take seconds, and whoever mistyped a name should not wait for them.
    import torch

    from blushcore.denoiser import VOXEL_SIZE_ANGSTROM, Denoiser, MapDenoising, denoise_map
    from blushcore.denoiser.validation import (
        Unchanged,
        agreement_by_chance,
        cross_validation,
        measured_transfer,
    )
    from blushcore.shells import fsc, randomisation_start, resolution, shell_resolutions
    from blushcore.simulation.map_model import map_model_fsc
    from blushcore.volumes import grid_of_voxel_size

    drawn = None if model is None else _drawn(model, first)  # one that does not fit is told at once
    denoiser = Denoiser.load(weights, device)
    assert denoiser.info is not None  # `Denoiser.load` always has it
    size, n = first.isotropic_voxel_size, first.shape[0]
    grid, _ = grid_of_voxel_size(first.shape, first.voxel_size, VOXEL_SIZE_ANGSTROM)
    shells = min(n, grid[0]) // 2 + 1  # the denoiser's grid holds no more
    stages = itertools.cycle(
        ("half-map 1", "half-map 2", "half-map 1, random phases", "half-map 2, random phases")
    )

    def denoise(volume: torch.Tensor) -> torch.Tensor:
        work, stage = MapDenoising(denoiser, volume, first.voxel_size, diameter=diameter), next(stages)
        for progress in work.run():
            view.show(replace(progress, stage=f"denoising {stage}"))
        return work.result().map

    def unchanged(volume: torch.Tensor) -> torch.Tensor:
        return denoise_map(Unchanged(), volume, first.voxel_size, diameter=diameter).map

    given = torch.from_numpy(first.data), torch.from_numpy(second.data)
    inside = None if window is None else torch.from_numpy(window.data)
    raw = unchanged(given[0]), unchanged(given[1])
    denoised = denoise(given[0]), denoise(given[1])
    crossed = cross_validation(raw, denoised, inside)
    transfer = measured_transfer(raw, denoised, inside)
    last = resolution(crossed.raw[:shells], n * size).shell
    start = randomisation_start(fsc(*raw)[:shells])
    curves = {
        "raw": crossed.raw,
        "cross": crossed.cross,
        "transfer_signal": transfer.signal,
        "transfer_noise": transfer.noise,
    }
    if start is not None:
        curves["chance"] = agreement_by_chance(denoise, given, start, mask=inside, seed=seed)
    if drawn is not None:
        for name, (one, two) in (("model_raw", raw), ("model_denoised", denoised)):
            within = None if window is None else window.data
            curves[name] = map_model_fsc(((one + two) / 2).numpy(), drawn, within)
    return Findings(
        shell_resolutions(n, size)[:shells],
        {name: curve[:shells] for name, curve in curves.items()},
        last,
        start,
        crossed.gain(last) if last else 0.0,
        denoiser.info.name,
        str(denoiser.device),
        window is not None,
        n,
        size,
    )


def _drawn(model: Path, volume: Volume) -> NDArray[np.float32]:
    """Return an atomic model as a map on the grid of another."""
    from blushcore.simulation.map_model import density_on_grid_of
    from blushcore.simulation.structures import read_structure

    return density_on_grid_of(read_structure(model), volume)
