"""The fast route to half-maps against the one by way of images: spectra, FSC, anisotropy, speckle, streaks.

::

    python benchmarks/calibration.py -o docs/images          # the figures of docs/calibration.md
    python benchmarks/calibration.py --models 1jzd --resolutions 6 --particles 500

Both routes get one density, one microscope, the same errors of the poses, the same views and number of images.
By way of images nothing of what the fast route assumes is put in, so where the two differ it is the fast route
that is off. Each pair is measured by half_map_figures.py; results are kept and not made again.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from half_map_figures import half_map_figures
from matplotlib.figure import Figure
from quality_cases import ANISOTROPIES, diameter_of

from blushcore.protocol import BlushError
from blushcore.simulation import (
    Composition,
    HalfMaps,
    ImageStatistics,
    ModelEntry,
    PreferredView,
    ReconstructionStatistics,
    acquisitions,
    compose_particle,
    half_maps_from_images,
    read_model_table,
    simulate_half_maps,
    usual_b_factor,
)

REPOSITORY = Path(__file__).resolve().parent.parent
VOXEL_SIZE = 1.5
ROUTES = {"images": "by way of images", "fast": "fast", "fast, many": "fast, very many particles"}
"""Key and what figures call it."""
_COLOURS = {"images": "black", "fast": "tab:red", "fast, many": "tab:blue"}


@dataclass(frozen=True)
class Setting:
    """What both routes are given."""

    entry: ModelEntry
    resolution: float
    anisotropy: str
    particles: int

    @property
    def name(self) -> str:
        """For files and titles."""
        return f"{self.entry.name}, {self.resolution:g} Å, {self.anisotropy}, {self.particles} images a half"

    @property
    def views(self) -> tuple[PreferredView, ...]:
        """Along z."""
        concentration, weight = ANISOTROPIES[self.anisotropy]
        return (PreferredView((0.0, 0.0, 1.0), concentration, weight),) if weight else ()


def main(arguments: Sequence[str] | None = None) -> int:
    args = parse_arguments(arguments)
    known = {entry.name: entry for entry in read_model_table(args.table)}
    missing = [name for name in args.models if name not in known]
    if missing:
        raise BlushError(f"{args.table} does not list {', '.join(missing)}.")
    settings = [
        Setting(known[name], resolution, anisotropy, args.particles)
        for name in args.models
        for resolution in args.resolutions
        for anisotropy in ("even", "one view")
    ]
    args.work.mkdir(parents=True, exist_ok=True)
    found = {setting.name: measured(setting, args.work) for setting in settings}
    args.output.mkdir(parents=True, exist_ok=True)
    draw_spectra(settings, found, args.output / "calibration-spectra.png")
    draw_directions(settings, found, args.output / "calibration-directions.png")
    print(as_markdown(settings, found))
    return 0


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    shared = Path(os.environ.get("BLUSH_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--table", type=Path, default=shared / "MODELS.tsv", help="table of atomic models")
    parser.add_argument("--models", nargs="+", default=["1q9q", "1duq"], help="names in the table")
    parser.add_argument("--resolutions", nargs="+", type=float, default=[4.5, 8.0], help="Å")
    parser.add_argument("--particles", type=int, default=1000, help="in each half")
    parser.add_argument(
        "--work", type=Path, default=Path(tempfile.gettempdir()) / "blush-benchmarks" / "calibration"
    )
    parser.add_argument("-o", "--output", type=Path, default=REPOSITORY / "docs" / "images")
    return parser.parse_args(arguments)


def measured(setting: Setting, work: Path) -> dict[str, dict[str, Any]]:
    """Return the figures of each route, as lists; what is kept is not measured again."""
    found: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        path = work / f"{setting.name.replace(', ', '-').replace(' ', '_')}-{route.replace(', ', '-')}.json"
        if not path.is_file():
            path.write_text(json.dumps(measure(setting, route)), encoding="utf-8")
            print(f"{setting.name}: {ROUTES[route]}", file=sys.stderr, flush=True)
        found[route] = json.loads(path.read_text(encoding="utf-8"))
    return found


def measure(setting: Setting, route: str) -> dict[str, Any]:
    """Make the half-maps of a route and measure them; power is relative to the signal's in the fifth shell."""
    particle = compose_particle(
        setting.entry,
        (),
        np.random.default_rng(5),
        Composition(),
        voxel_size=VOXEL_SIZE,
        smallest_box=80,
        size_factor=1.5,
    )
    halves = make(setting, route, particle.density, particle.mask)
    figures = asdict(half_map_figures(halves.half1, halves.half2, particle.mask, (0.0, 0.0, 1.0)))
    unit = float(np.mean(figures["signal"][3:7]))
    figures["noise"], figures["signal"] = figures["noise"] / unit, figures["signal"] / unit
    box = particle.density.shape[0]
    return {name: np.asarray(value).tolist() for name, value in figures.items()} | {
        "box": box,
        "diameter": diameter_of(particle.mask),
    }


def make(setting: Setting, route: str, density: torch.Tensor, mask: torch.Tensor) -> HalfMaps:
    """Take a density along a route."""
    acquisition = acquisitions()[0]
    angular, offset = 0.35 * setting.resolution, 0.12 * setting.resolution
    b_factor = 0.7 * usual_b_factor(setting.resolution)
    if route == "images":
        images = ImageStatistics(
            setting.resolution,
            particles=setting.particles,
            angular_error_deg=angular,
            offset_error_angstrom=offset,
            b_factor=b_factor,
            views=setting.views,
        )
        return half_maps_from_images(density, mask, VOXEL_SIZE, acquisition, images, np.random.default_rng(6))
    statistics = ReconstructionStatistics(
        setting.resolution,
        b_factor=b_factor,
        views=setting.views,
        angular_error=angular,
        offset_error=offset,
        defocus=(
            float(np.quantile(acquisition.defocus_angstrom, 0.05)),
            float(np.quantile(acquisition.defocus_angstrom, 0.95)),
        ),
        voltage=acquisition.voltage_kilovolts,
        particles=setting.particles if route == "fast" else None,
    )
    return simulate_half_maps(density, mask, VOXEL_SIZE, statistics, torch.Generator().manual_seed(6))


def as_markdown(settings: Sequence[Setting], found: dict[str, dict[str, dict[str, Any]]]) -> str:
    """Return the figures that are numbers as a table."""
    head = ["half-maps", "route", "noise ÷ that by images, 20 Å to resolution", "FSC in mask, mean"]
    head += ["along ÷ across", "speckle", "streaks"]
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " --- |" * (len(head) - 1)]
    for setting in settings:
        figures = found[setting.name]
        shells = _shells(setting, figures["images"]["box"])
        for route, label in ROUTES.items():
            mine = {name: np.asarray(value) for name, value in figures[route].items()}
            ratio = mine["noise"][shells] / np.asarray(figures["images"]["noise"])[shells]
            cones = mine["along"][shells].mean() / mine["across"][shells].mean()
            lines.append(
                f"| {setting.name} | {label} | {ratio.min():.2f} to {ratio.max():.2f} | "
                f"{mine['fsc'][1 : shells.stop].mean():.3f} | {cones:.2f} | "
                f"{mine['speckle'][shells].mean():.2f} | {float(mine['streaks']):.3f} |"
            )
    return "\n".join(lines)


def _shells(setting: Setting, box: int) -> slice:
    size = box * VOXEL_SIZE
    return slice(round(size / 20), round(size / setting.resolution) + 1)


def draw_spectra(settings: Sequence[Setting], found: dict[str, dict[str, dict[str, Any]]], path: Path) -> None:
    """Draw radial spectra of noise and signal, and the FSC, a row a setting."""
    figure = Figure(figsize=(9, 2.5 * len(settings)), layout="constrained")
    axes = figure.subplots(len(settings), 2, squeeze=False)
    for row, setting in zip(axes, settings, strict=True):
        for route, label in ROUTES.items():
            mine = found[setting.name][route]
            frequency = np.arange(len(mine["fsc"])) / (mine["box"] * VOXEL_SIZE)
            style = {"color": _COLOURS[route], "lw": 1.2}
            row[0].semilogy(frequency[1:], mine["noise"][1:], label=f"noise, {label}", **style)
            row[0].semilogy(frequency[1:], np.clip(mine["signal"][1:], 1e-6, None), ls=":", **style)
            row[1].plot(frequency, mine["fsc"], label=label, **style)
        row[0].set(title=setting.name, ylabel="power; dotted: signal")
        row[1].set(ylabel="FSC in the mask", ylim=(-0.1, 1.05))
        row[1].axhline(1 / 7, color="0.6", lw=0.6)
        row[1].axvline(1 / setting.resolution, color="0.6", lw=0.6)
    axes[0, 0].legend(fontsize=7)
    axes[0, 1].legend(fontsize=7)
    for axis in axes[-1]:
        axis.set_xlabel("spatial frequency (1/Å)")
    figure.savefig(path, dpi=80)


def draw_directions(
    settings: Sequence[Setting], found: dict[str, dict[str, dict[str, Any]]], path: Path
) -> None:
    """Draw the FSC along and across the axis of the views, and the speckle, a row a setting."""
    figure = Figure(figsize=(9, 2.5 * len(settings)), layout="constrained")
    axes = figure.subplots(len(settings), 2, squeeze=False)
    for row, setting in zip(axes, settings, strict=True):
        for route, label in ROUTES.items():
            mine = found[setting.name][route]
            frequency = np.arange(len(mine["fsc"])) / (mine["box"] * VOXEL_SIZE)
            colour = _COLOURS[route]
            row[0].plot(frequency[2:], mine["along"][2:], color=colour, lw=1.2, label=f"along, {label}")
            row[0].plot(frequency[2:], mine["across"][2:], color=colour, lw=1.2, ls=":")
            streaks = float(mine["streaks"])
            row[1].plot(
                frequency[2:],
                mine["speckle"][2:],
                color=colour,
                lw=1.2,
                label=f"{label}; streaks {streaks:.2f}",
            )
        row[0].set(title=setting.name, ylabel="FSC in cones; dotted: across", ylim=(-0.2, 1.05))
        row[1].set(ylabel="speckle", ylim=(0.9, None))
        row[1].legend(fontsize=7)
    axes[0, 0].legend(fontsize=7)
    for axis in axes[-1]:
        axis.set_xlabel("spatial frequency (1/Å)")
    figure.savefig(path, dpi=80)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BlushError as error:
        sys.exit(f"calibration: {error}")
