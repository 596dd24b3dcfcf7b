#!/usr/bin/env python3
"""How fast and how exact the patch-wise denoiser is, against the published tiling with the same weights.

::

    python benchmarks/denoise.py --model MODEL.cif
    python benchmarks/denoise.py --model MODEL.cif --sizes 128 --weights my.safetensors --json mine.json

The peer is the published way of covering a map (blocks of 64³ every 20 voxels, one at a time, float32, blocks
with less than 0.3 of the sphere skipped), written out plainly below. Each figure comes from a process of its
own, so that peak memory is that of the one thing. Run it with nothing else on the machine.

- blocks: blocks/s of the network and their share of this machine's own matrix-product rate, same process;
- speed: a map of 128³ and 256³ voxels of 1.5 Å and one of 400³ of 1.06 Å, ours in bfloat16 and in float32 over
  the published way;
- accuracy (128³): in-mask RMS difference of each to the same network at a stride of 8 voxels; FSC between ours
  and both others, and change of the FSC to the truth.

Each figure is kept in the JSON file as soon as it is measured and not measured again: stop it and go on at
will. Above 128³, the published way goes through its blocks in a random order; where they would take longer than
--published-minutes, a sample of them is timed, and its time is that of the sample times all blocks over those
timed. It is marked as such, and so is a figure beside which other programs worked. The exit code is 1 if a
target is missed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import random
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from blushcore.denoiser import BLOCK_SIZE, VOXEL_SIZE_ANGSTROM, Denoiser, MapDenoising, find_weights
from blushcore.denoiser.local_std import local_standard_deviation
from blushcore.denoiser.network import BlushNetwork
from blushcore.denoiser.region import particle_sphere
from blushcore.denoiser.tiling import blending_window
from blushcore.denoiser.weights import load_network
from blushcore.devices import describe_device
from blushcore.protocol import BlushError
from blushcore.shells import fsc
from blushcore.simulation import (
    electron_density,
    in_solvent,
    particle_mask,
    read_structure,
    simulate_half_maps,
)
from blushcore.simulation.half_maps import ReconstructionStatistics
from blushcore.volumes import fourier_resample
from blushcore.volumes.resampling import grid_of_voxel_size

PROTOCOL = 3
"""To be raised when measurements change: figures of another protocol are not mixed in."""
GFLOP_PER_BLOCK = 28.6
"""Multiplications and additions of the convolutions on one 64³ block, both counted."""
RESOLUTION_ANGSTROM = 6.0
VOXEL_SIZES = {400: 1.06}
ACCURACY_SIZE = 128
WAYS = ("published", "float32", "bfloat16")
LEAST_SPEED = {"float32": 3.5, "bfloat16": 8.0}
"""Wanted: times the speed of the published way."""
PILOT_BLOCKS, SAMPLED_BLOCKS = 40, 120
DISTURBED_ABOVE = 0.05
"""Share of the processors that other programs took meanwhile, above which a figure is marked."""


@dataclass(frozen=True)
class Published:
    """What the published way gave: the map is only partly done where only a sample of its blocks was."""

    map: Tensor
    blocks: int
    timed: int
    seconds: float
    """Of the whole map; scaled from the blocks that were timed where they were not all."""


@torch.inference_mode()
def published_denoise(
    network: BlushNetwork, data: Tensor, voxel_size: float, *, limit_seconds: float = math.inf, stride: int = 20
) -> Published:
    """Denoise as published: every block by itself, on a regular grid, the network operation by operation."""
    started = time.perf_counter()
    shape, device = (data.shape[0], data.shape[1], data.shape[2]), network.outc.weight.device
    grid, exact = grid_of_voxel_size(shape, (voxel_size,) * 3, VOXEL_SIZE_ANGSTROM)
    raw = fourier_resample(data.to(device), grid)
    std_map = local_standard_deviation(raw)
    mean, std = raw.mean(), raw.std()
    sphere = particle_sphere(grid, exact, None, device=device)
    seen, std_map = (raw - mean) / std * sphere, std_map * sphere
    window = blending_window(device)
    total, weight = torch.zeros_like(raw), torch.zeros_like(raw)
    starts = [*range(0, grid[0] - BLOCK_SIZE, stride), grid[0] - BLOCK_SIZE]
    places = [tuple(slice(start, start + BLOCK_SIZE) for start in at) for at in product(starts, repeat=3)]
    places = [at for at in places if sphere[at].mean() >= 0.3]
    if limit_seconds < math.inf:
        random.Random(0).shuffle(places)
    first, timed = time.perf_counter(), 0
    for at in places:
        out = network(seen[at][None].contiguous(), std_map[at][None].contiguous()).blocks[0]
        total[at] += out * window
        weight[at] += window
        timed += 1
        expected = (time.perf_counter() - first) / timed * len(places)
        if timed >= PILOT_BLOCKS and expected > limit_seconds and timed >= min(SAMPLED_BLOCKS, len(places)):
            break
    last = time.perf_counter()
    blended = torch.where(weight > 0.1, total / weight.clamp_min(1e-6), 0) * std + mean
    result = fourier_resample(blended * sphere, shape).cpu()
    seconds = (first - started) + (last - first) * len(places) / timed + (time.perf_counter() - last)
    return Published(result, len(places), timed, seconds)


def measure_blocks(precision: str, weights: Path) -> dict[str, float]:
    """Blocks/s at our batch size against the matrix product's rate, in turns."""
    denoiser = Denoiser.load(weights, "auto", precision)
    blocks, stds = (torch.randn(denoiser.batch_size, *(BLOCK_SIZE,) * 3).abs() for _ in range(2))
    matrix = torch.randn(3072, 3072, dtype=denoiser.dtype, device=denoiser.device)

    def matrix_gflops() -> float:
        synchronise(denoiser.device)
        started = time.perf_counter()
        for _ in range(3):
            matrix @ matrix
        synchronise(denoiser.device)
        return 3 * 2 * 3072**3 / (time.perf_counter() - started) / 1e9

    def blocks_per_second() -> float:
        started = time.perf_counter()
        denoiser(blocks, stds)
        synchronise(denoiser.device)
        return denoiser.batch_size / (time.perf_counter() - started)

    matrix_gflops(), blocks_per_second()
    pairs = [(matrix_gflops(), blocks_per_second()) for _ in range(5)]
    gflops, rate = (float(np.median(values)) for values in zip(*pairs, strict=True))
    return {"matmul_gflops": gflops, "blocks_per_s": rate, "share": rate * GFLOP_PER_BLOCK / gflops}


def synchronise(device: torch.device) -> None:
    """Wait for a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def make_example(size: int, model: Path, folder: Path) -> dict[str, float]:
    """Write a half-map of `model` at 6 Å in a box of `size`³, its truth and a mask around it; seeded.

    Their mean is taken off: the published way would otherwise see it as an edge at the box's faces, which is no
    matter of the tiling.
    """
    voxel_size = VOXEL_SIZES.get(size, VOXEL_SIZE_ANGSTROM)
    density = electron_density(read_structure(model), size, voxel_size)
    mask = particle_mask(density, voxel_size)
    truth = in_solvent(density, voxel_size, 0.5)
    statistics = ReconstructionStatistics(resolution=RESOLUTION_ANGSTROM, b_factor=150.0, angular_error=1.0)
    halves = simulate_half_maps(truth, mask, voxel_size, statistics, torch.Generator().manual_seed(1))
    half = halves.half1 - halves.half1.mean()
    for name, data in (("half", half), ("truth", truth), ("mask", mask)):
        np.save(folder / f"{size}-{name}.npy", data.float().numpy())
    return {"inside": float((mask > 0.5).float().mean())}


def measure_map(way: str, size: int, weights: Path, folder: Path, limit_seconds: float) -> dict[str, float]:
    """Time one way of denoising one map; `way` is published, float32, bfloat16 or stride8."""
    data = torch.from_numpy(np.load(folder / f"{size}-half.npy"))
    voxel_size = VOXEL_SIZES.get(size, VOXEL_SIZE_ANGSTROM)
    denoiser = Denoiser.load(weights, "auto", "bfloat16" if way == "bfloat16" else "float32")
    warm = torch.randn(denoiser.batch_size, *(BLOCK_SIZE,) * 3)
    denoiser(warm, warm.abs())
    denoiser(warm[:1], warm[:1].abs())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    figures: dict[str, float] = {}
    if way == "published":
        network = load_network(weights)[0].eval().to(denoiser.device)
        network(warm[:1].to(denoiser.device), warm[:1].abs().to(denoiser.device))
        done = published_denoise(network, data, voxel_size, limit_seconds=limit_seconds)
        result, blocks, seconds = done.map, done.blocks, done.seconds
        figures["timed_blocks"] = done.timed
    else:
        started = time.perf_counter()
        denoising = MapDenoising(denoiser, data, (voxel_size,) * 3, stride=8 if way == "stride8" else None)
        for _ in denoising.run():
            pass
        result, blocks = denoising.result().map, len(denoising.tiling.origins)
        seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if size == ACCURACY_SIZE:
        np.save(folder / f"{size}-{way}.npy", result.numpy())
    figures |= {"seconds": seconds, "blocks": blocks, "peak_gb": after / 1e6, "rise_gb": (after - before) / 1e6}
    if denoiser.device.type == "cuda":
        figures["device_peak_gb"] = torch.cuda.max_memory_allocated(denoiser.device) / 1e9
    return figures


def compare(folder: Path) -> dict[str, float]:
    """How far the ways are from the same network at stride 8 and from each other, and all from the truth."""

    def read(name: str) -> Tensor:
        return torch.from_numpy(np.load(folder / f"{ACCURACY_SIZE}-{name}.npy"))

    truth, mask = read("truth"), read("mask")
    found = {way: read(way) for way in (*WAYS, "stride8")}
    last = round(ACCURACY_SIZE * VOXEL_SIZE_ANGSTROM / RESOLUTION_ANGSTROM)

    def curve(one: Tensor, other: Tensor) -> np.ndarray:
        return fsc(one * mask, other * mask)[1 : last + 1]

    inside = mask > 0.5
    with_truth = {way: curve(result, truth) for way, result in found.items()}
    figures: dict[str, float] = {}
    for way in WAYS:
        difference = (found[way] - found["stride8"])[inside]
        figures[f"{way}_rms"] = float(difference.std() / found["stride8"][inside].std())
        figures[f"{way}_truth_mean"] = float(with_truth[way].mean())
        for other in ("stride8", "published"):
            if other != way:
                figures[f"{way}_fsc_with_{other}"] = float(curve(found[way], found[other]).min())
                change = float(np.abs(with_truth[way] - with_truth[other]).max())
                figures[f"{way}_truth_change_from_{other}"] = change
    for way in LEAST_SPEED:
        figures[f"{way}_rms_ratio"] = figures[f"{way}_rms"] / figures["published_rms"]
    return figures


class Figures:
    """What has been measured, in a file; each figure is kept as soon as there is one."""

    def __init__(self, path: Path, context: dict[str, Any]) -> None:
        self._path = path
        self._context = context
        self.known: dict[str, dict[str, float]] = {}
        if path.is_file():
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["context"] != context:
                raise BlushError(
                    f"{path} holds figures of something else: {kept['context']}.",
                    "Give another --json, or delete it.",
                )
            self.known = kept["figures"]

    def keep(self, name: str, values: dict[str, float]) -> None:
        """Keep what was measured."""
        self.known[name] = values
        temporary = self._path.with_name(f".{self._path.name}.tmp")
        temporary.write_text(json.dumps({"context": self._context, "figures": self.known}, indent=1))
        temporary.replace(self._path)

    def speed(self, size: int, way: str) -> float | None:
        """Return how many times as fast as the published way it is; None where either is missing."""
        published, ours = (self.known.get(f"{size} {one}") for one in ("published", way))
        return None if published is None or ours is None else published["seconds"] / ours["seconds"]


def in_own_process(options: argparse.Namespace, task: list[str]) -> dict[str, float]:
    """Run this file again for one measurement."""
    command = [sys.executable, __file__, "--model", str(options.model), "--weights", str(options.weights)]
    command += ["--work", str(options.work), "--published-minutes", str(options.published_minutes)]
    started, all_before, own_before = time.perf_counter(), busy_seconds(), own_seconds()
    done = subprocess.run([*command, "--task", *task], check=True, stdout=subprocess.PIPE, text=True)
    processors = (os.cpu_count() or 1) * (time.perf_counter() - started)
    others = max(0.0, (busy_seconds() - all_before) - (own_seconds() - own_before)) / processors
    values: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    assert all(math.isfinite(value) for value in values.values())
    return values | {"others_share": others}


def busy_seconds() -> float:
    """Return the processor time that all programs have taken since the machine started; 0 if it is not told."""
    try:
        words = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    except OSError:
        return 0.0
    user, nice, system, _idle, _waiting, *others = (int(word) for word in words[:8])
    return (user + nice + system + sum(others)) / os.sysconf("SC_CLK_TCK")


def own_seconds() -> float:
    """Return the processor time of this program's children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def do_task(options: argparse.Namespace) -> dict[str, float]:
    """Do one measurement, in this process."""
    kind, *rest = options.task
    match kind:
        case "blocks":
            return measure_blocks(rest[0], options.weights)
        case "example":
            return make_example(int(rest[0]), options.model, options.work)
        case "map":
            size, way = int(rest[0]), rest[1]
            limit = math.inf if size == ACCURACY_SIZE else 60 * options.published_minutes
            return measure_map(way, size, options.weights, options.work, limit)
        case _:
            return compare(options.work)


def measure_all(options: argparse.Namespace, figures: Figures) -> None:
    """Measure what is missing, and print all of it."""

    def known(name: str, task: list[str], *needs: Path) -> dict[str, float]:
        if name not in figures.known or not all(path.is_file() for path in needs):
            figures.keep(name, in_own_process(options, task))
        return figures.known[name]

    for precision in LEAST_SPEED:
        values = known(f"blocks {precision}", ["blocks", precision])
        print(
            f"network, {precision}: {values['blocks_per_s']:.2f} blocks/s = {100 * values['share']:.0f} % of "
            f"the {values['matmul_gflops']:.0f} GFLOP/s of a {precision} matrix product{disturbed(values)}",
            flush=True,
        )
    for size in options.sizes:
        accuracy = size == ACCURACY_SIZE
        files = [options.work / f"{size}-{name}.npy" for name in ("half", "truth", "mask")]
        known(f"{size} example", ["example", str(size)], *files)
        for way in [*WAYS, "stride8"] if accuracy else WAYS:
            results = [options.work / f"{size}-{way}.npy"] if accuracy else []
            print(describe(size, way, known(f"{size} {way}", ["map", str(size), way], *results)), flush=True)
            if speed := figures.speed(size, way):
                print(f"                {speed:.2f} × the published speed", flush=True)
        if accuracy:
            for name, value in known("accuracy", ["compare"]).items():
                if name != "others_share":
                    print(f"accuracy: {name} {value:.4f}")


def describe(size: int, way: str, values: dict[str, float]) -> str:
    """Say how long it took."""
    timed = values.get("timed_blocks", values["blocks"])
    sampled = f" (scaled from {timed:.0f} random ones)" if timed < values["blocks"] else ""
    device = f", on the device {values['device_peak_gb']:.2f} GB" if "device_peak_gb" in values else ""
    return (
        f"{size}³ {way:>9}: {values['seconds']:7.1f} s, {values['blocks']:4.0f} blocks{sampled}, "
        f"peak {values['peak_gb']:.2f} GB (rise {values['rise_gb']:.2f} GB{device}){disturbed(values)}"
    )


def disturbed(values: dict[str, float]) -> str:
    """Mark a figure beside which other programs worked."""
    share = values["others_share"]
    return f"  [others took {100 * share:.0f} % of the processors]" if share > DISTURBED_ABOVE else ""


def targets(figures: Figures, sizes: list[int]) -> list[tuple[str, str, bool | None]]:
    """Return what is wanted, what was found, and whether that reaches it; None where it was not measured."""
    rows: list[tuple[str, str, bool | None]] = []

    def row(wanted: str, value: float | None, text: str, reached: bool) -> None:
        rows.append((wanted, "not measured", None) if value is None else (wanted, text, reached))

    for size in sizes:
        for way, least in LEAST_SPEED.items():
            speed = figures.speed(size, way)
            row(f"{size}³ {way}: at least {least:g} × the published speed", speed, f"{speed or 0:.2f} ×",
                (speed or 0) >= least)  # fmt: skip
    if ACCURACY_SIZE not in sizes:
        return rows
    accuracy = figures.known.get("accuracy", {})
    for way in LEAST_SPEED:
        ratio = accuracy.get(f"{way}_rms_ratio")
        row(f"{way}: in-mask RMS difference to stride 8 at most 2 × the published tiling's", ratio,
            f"{ratio or 0:.2f} ×", (ratio or 0) <= 2)  # fmt: skip
        for other in ("stride8", "published"):
            least_fsc = accuracy.get(f"{way}_fsc_with_{other}")
            row(f"{way}: FSC with {other} above 0.995 up to {RESOLUTION_ANGSTROM:g} Å", least_fsc,
                f"{least_fsc or 0:.4f}", (least_fsc or 0) > 0.995)  # fmt: skip
            change = accuracy.get(f"{way}_truth_change_from_{other}")
            row(f"{way}: FSC to the truth that of {other} within 0.002", change,
                f"{change or 0:.4f}", (change or 0) <= 0.002)  # fmt: skip
    return rows


def main() -> int:
    """Measure, print and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="atomic model up to about 170 Å across")
    parser.add_argument("--weights", help="name or .safetensors file; by default what blush denoise takes")
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256, 400], help="boxes, in voxels")
    parser.add_argument(
        "--published-minutes", type=float, default=15, help="above 128³, time only a sample beyond that"
    )
    parser.add_argument("--work", type=Path, default=Path("build/benchmarks/denoise"), help="folder for maps")
    parser.add_argument("--json", type=Path, help="file of figures; by default figures.json in that folder")
    parser.add_argument("--task", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.weights = find_weights(options.weights)
    if options.task:
        print(json.dumps(do_task(options)))
        return 0

    options.work.mkdir(parents=True, exist_ok=True)
    device = describe_device(Denoiser.load(options.weights).device)
    _, info = load_network(options.weights)
    context = {
        "protocol": PROTOCOL,
        "weights": f"{info.name} {info.sha256[:12]}",
        "model": options.model.name,
        "machine": f"{device.name}, {platform.machine()}",
        "torch": f"torch {torch.__version__}, {torch.get_num_threads()} threads",
    }
    figures = Figures(options.json or options.work / "figures.json", context)
    print("; ".join(str(value) for value in list(context.values())[1:]), flush=True)
    measure_all(options, figures)
    print()
    rows = targets(figures, options.sizes)
    words = {True: "reached", False: "NOT reached", None: "not measured"}
    for wanted, found, reached in rows:
        print(f"{words[reached]:12}  {wanted}: {found}")
    return 1 if any(reached is False for _, _, reached in rows) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BlushError as error:
        sys.exit(f"denoise: {error}")
