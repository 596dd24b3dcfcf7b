"""``blush validate``: does the denoiser keep to the data of two half-maps?"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from cyclopts import Parameter, validators
from numpy.typing import NDArray

from blushcore.cli.halves import read_halves
from blushcore.cli.options import VoxelSize
from blushcore.cli.terminal import failures_as_json, print_json
from blushcore.volumes import Volume

if TYPE_CHECKING:
    import torch

    from blushcore.denoiser import BlockDenoiser

Floats = NDArray[np.float64]

_LENGTH = Parameter(validator=validators.Number(gt=0, lte=10000))
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
_NO_GAIN = -0.01
_CHANCE = 0.143


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
        found = _test(first, second, window, diameter, model, weights, device, seed)
    if json:
        print_json({"outcome": "done", "figures": found.figures(), "warnings": warnings})
        return
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    found.show()


@dataclass(frozen=True, eq=False)
class _Findings:
    """All curves, one value a shell, and what to say of them."""

    angstrom: Floats
    curves: dict[str, Floats]
    last_shell: int
    from_shell: int
    gain: float
    weights: str
    masked: bool

    @property
    def made_up(self) -> float | None:
        """Mean FSC with random phases, over ten shells, two above where they begin; None if none are left."""
        beyond = self.curves["chance"][self.from_shell + 2 : self.from_shell + 12]
        return float(beyond.mean()) if len(beyond) else None

    def sentences(self) -> list[str]:
        verb = "lower" if self.gain < 0 else "higher"
        by = f"{abs(self.gain):.3f} {verb}"
        up_to = f"on average up to {self.angstrom[self.last_shell]:.3g} Å, where the halves agree to 0.143"
        harm = " It takes signal away or invents." if self.gain < _NO_GAIN else ""
        sentences = [
            f"Weights {self.weights}.",
            f"A denoised half agrees with the raw other one by {by} than the raw halves do, {up_to}.{harm}",
        ]
        if not self.masked:
            sentences.append("No mask was given: taking away noise of the solvent counts as a gain.")
        start = f"{self.angstrom[self.from_shell]:.3g} Å"
        if self.made_up is None:
            sentences.append("The halves agree up to the last shells: none are left to be random.")
            return sentences
        made = ""
        if self.made_up > _CHANCE:
            made = " That is what it makes up: in refinements, spectral trailing has to cut it off."
        sentences.append(
            f"With random phases from {start} on, denoised halves agree beyond it by {self.made_up:.2f}.{made}"
        )
        return sentences

    def figures(self) -> dict[str, Any]:
        curves = {
            name: [None if np.isnan(value) else float(value) for value in curve]
            for name, curve in self.curves.items()
        }
        return {
            "weights": self.weights,
            "shell_at_0.143": self.last_shell,
            "random_phases_from_shell": self.from_shell,
            "cross_validation_gain": self.gain,
            "made_up": self.made_up,
            "curves": curves,
        }

    def show(self) -> None:
        from rich.console import Console
        from rich.table import Table

        console = Console(highlight=False)
        for sentence in self.sentences():
            console.print(sentence, markup=False, soft_wrap=True)
        table = Table("shell", "Å", *(_COLUMNS[name] for name in self.curves))
        count = len(self.angstrom) - 1
        for shell in range(1, count + 1, max(1, -(-count // _ROWS))):
            values = ("" if np.isnan(curve[shell]) else f"{curve[shell]:.3f}" for curve in self.curves.values())
            table.add_row(str(shell), f"{self.angstrom[shell]:.2f}", *values)
        console.print(table)


def _test(
    first: Volume,
    second: Volume,
    window: Volume | None,
    diameter: float | None,
    model: Path | None,
    weights: str | None,
    device: str,
    seed: int,
) -> _Findings:
    # Only now: torch and the network take seconds, and whoever mistyped a name should not wait for them.
    import torch

    from blushcore.denoiser import Denoiser, denoise_map
    from blushcore.denoiser.validation import (
        Unchanged,
        agreement_by_chance,
        cross_validation,
        measured_transfer,
    )
    from blushcore.shells import fsc, randomisation_start, resolution, shell_resolutions

    denoiser = Denoiser.load(weights, device)
    assert denoiser.info is not None  # `Denoiser.load` always has it
    size, n = first.isotropic_voxel_size, first.shape[0]

    def denoise(volume: torch.Tensor, by: BlockDenoiser = denoiser) -> torch.Tensor:
        return denoise_map(by, volume, first.voxel_size, diameter=diameter).map

    given = torch.from_numpy(first.data), torch.from_numpy(second.data)
    raw = denoise(given[0], Unchanged()), denoise(given[1], Unchanged())
    denoised = denoise(given[0]), denoise(given[1])
    inside = None if window is None else torch.from_numpy(window.data)
    crossed = cross_validation(raw, denoised, inside)
    transfer = measured_transfer(raw, denoised, inside)
    last = resolution(crossed.raw, n * size).shell
    start = randomisation_start(fsc(*raw)) or n // 2
    curves = {
        "raw": crossed.raw,
        "cross": crossed.cross,
        "transfer_signal": transfer.signal,
        "transfer_noise": transfer.noise,
        "chance": agreement_by_chance(denoise, given, start, mask=inside, seed=seed),
    }
    if model is not None:
        from blushcore.simulation.map_model import map_model_fsc
        from blushcore.simulation.structures import read_structure

        atoms = read_structure(model)
        for name, pair in (("model_raw", raw), ("model_denoised", denoised)):
            joined = first.with_data(((pair[0] + pair[1]) / 2).numpy())
            curves[name] = map_model_fsc(joined, atoms, None if window is None else window.data)
    return _Findings(
        shell_resolutions(n, size),
        curves,
        last,
        start,
        crossed.gain(last),
        denoiser.info.name,
        window is not None,
    )
