#!/usr/bin/env python3
"""How fast and how exact the patch-wise denoiser is, against the published tiling with the same weights.

    python benchmarks/denoise.py --model MODEL.cif [--weights NAME] [--sizes 128 256 400] [--json FILE]

The peer is the published way of covering a map (blocks of 64³ every 20 voxels, one at a time, float32, blocks
with less than 0.3 of the sphere skipped), written out plainly below. Each figure comes from a process of its
own, so that peak memory is that of the one thing. Run it with nothing else on the machine.

- blocks: blocks/s of the network and their share of this machine's own matrix-product rate, same process;
- speed: a map of 128³ and 256³ voxels of 1.5 Å and one of 400³ of 1.06 Å, ours in bfloat16 and in float32 over
  the published way;
- accuracy (128³): in-mask RMS difference of each to the same network at a stride of 8 voxels; FSC between ours
  and that, and of each with the truth.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from blushcore.denoiser import BLOCK_SIZE, VOXEL_SIZE_ANGSTROM, Denoiser, MapDenoising, find_weights
from blushcore.denoiser.local_std import local_standard_deviation
from blushcore.denoiser.region import SPHERE_EDGE_ANGSTROM
from blushcore.denoiser.tiling import blending_window
from blushcore.devices import describe_device
from blushcore.shells import fsc
from blushcore.simulation import (
    electron_density,
    in_solvent,
    particle_mask,
    read_structure,
    simulate_half_maps,
)
from blushcore.simulation.half_maps import ReconstructionStatistics
from blushcore.volumes import fourier_resample, soft_sphere
from blushcore.volumes.resampling import grid_of_voxel_size

GFLOP_PER_BLOCK = 28.6
"""Multiplications and additions of the convolutions on one 64³ block, both counted."""
RESOLUTION_ANGSTROM = 6.0
VOXEL_SIZES = {400: 1.06}


def published_denoise(
    denoiser: Denoiser, data: Tensor, voxel_size: float, stride: int = 20
) -> tuple[Tensor, int]:
    """Denoise as published: every block by itself, on a regular grid. Returns map and number of blocks."""
    shape = (data.shape[0], data.shape[1], data.shape[2])
    grid, exact = grid_of_voxel_size(shape, (voxel_size,) * 3, VOXEL_SIZE_ANGSTROM)
    raw = fourier_resample(data, grid)
    std_map = local_standard_deviation(raw)
    mean, std = raw.mean(), raw.std()
    edge = SPHERE_EDGE_ANGSTROM / exact[0]
    sphere = soft_sphere(grid, max(grid) / 2 - edge, edge)
    seen, std_map = (raw - mean) / std * sphere, std_map * sphere
    window = blending_window()
    total, weight = torch.zeros(grid), torch.zeros(grid)
    starts = [*range(0, grid[0] - BLOCK_SIZE, stride), grid[0] - BLOCK_SIZE]
    blocks = 0
    for z in starts:
        for y in starts:
            for x in starts:
                at = (slice(z, z + BLOCK_SIZE), slice(y, y + BLOCK_SIZE), slice(x, x + BLOCK_SIZE))
                if sphere[at].mean() < 0.3:
                    continue
                out = denoiser(seen[at][None].contiguous(), std_map[at][None].contiguous()).blocks[0]
                total[at] += out * window
                weight[at] += window
                blocks += 1
    blended = torch.where(weight > 0.1, total / weight.clamp_min(1e-6), 0) * std + mean
    return fourier_resample(blended * sphere, shape), blocks


def example(model: Path, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return a half-map of `model` at 6 Å in a box of `size`³, its truth and a mask around it; seeded."""
    voxel_size = VOXEL_SIZES.get(size, VOXEL_SIZE_ANGSTROM)
    density = electron_density(read_structure(model), size, voxel_size)
    mask = particle_mask(density, voxel_size)
    truth = in_solvent(density, voxel_size, 0.5)
    statistics = ReconstructionStatistics(resolution=RESOLUTION_ANGSTROM, b_factor=150.0, angular_error=1.0)
    halves = simulate_half_maps(truth, mask, voxel_size, statistics, torch.Generator().manual_seed(1))
    return halves.half1, truth, mask


def measure_blocks(precision: str, weights: Path) -> dict[str, float]:
    """Blocks/s at our batch size against the matrix product's rate, in turns."""
    denoiser = Denoiser.load(weights, "auto", precision)
    blocks, stds = (torch.randn(denoiser.batch_size, *(BLOCK_SIZE,) * 3).abs() for _ in range(2))
    matrix = torch.randn(3072, 3072, dtype=denoiser.dtype, device=denoiser.device)

    def product() -> float:
        synchronise(denoiser.device)
        started = time.perf_counter()
        for _ in range(3):
            matrix @ matrix
        synchronise(denoiser.device)
        return 3 * 2 * 3072**3 / (time.perf_counter() - started) / 1e9

    def network() -> float:
        started = time.perf_counter()
        denoiser(blocks, stds)
        synchronise(denoiser.device)
        return denoiser.batch_size / (time.perf_counter() - started)

    product(), network()
    pairs = [(product(), network()) for _ in range(5)]
    gflops, rate = (float(np.median(values)) for values in zip(*pairs, strict=True))
    return {"matmul_gflops": gflops, "blocks_per_s": rate, "share": rate * GFLOP_PER_BLOCK / gflops}


def synchronise(device: torch.device) -> None:
    """Wait for a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def measure_map(way: str, size: int, model: Path, weights: Path, out: Path | None) -> dict[str, float]:
    """Time one way of denoising one map; `way` is published, float32, bfloat16 or stride8."""
    data, _, _ = example(model, size)
    voxel_size = VOXEL_SIZES.get(size, VOXEL_SIZE_ANGSTROM)
    precision = "bfloat16" if way == "bfloat16" else "float32"
    denoiser = Denoiser.load(weights, "auto", precision)
    warm = torch.randn(denoiser.batch_size, *(BLOCK_SIZE,) * 3)
    denoiser(warm, warm.abs())
    denoiser(warm[:1], warm[:1].abs())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    if way == "published":
        result, blocks = published_denoise(denoiser, data, voxel_size)
    else:
        denoising = MapDenoising(denoiser, data, (voxel_size,) * 3, stride=8 if way == "stride8" else None)
        for _ in denoising.run():
            pass
        done = denoising.result()
        result, blocks = done.map, done.blocks
    seconds = time.perf_counter() - started
    if out is not None:
        np.save(out, result.numpy())
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": seconds, "blocks": blocks, "peak_gb": after / 1e6, "rise_gb": (after - before) / 1e6}


def compare(model: Path, size: int, folder: Path) -> dict[str, float]:
    """How far the ways are from the same network at stride 8, and all of them from the truth."""
    _, truth, mask = example(model, size)
    found = {
        way: torch.from_numpy(np.load(folder / f"{way}.npy"))
        for way in ("published", "float32", "bfloat16", "stride8")
    }
    last = round(size * VOXEL_SIZES.get(size, VOXEL_SIZE_ANGSTROM) / RESOLUTION_ANGSTROM)
    inside = mask > 0.5
    figures: dict[str, float] = {}
    with_truth = {way: fsc(map_ * mask, truth * mask)[1 : last + 1] for way, map_ in found.items()}
    for way in ("published", "float32", "bfloat16"):
        difference = (found[way] - found["stride8"])[inside]
        figures[f"{way}_rms"] = float(difference.std() / found["stride8"][inside].std())
        curve = fsc(found[way] * mask, found["stride8"] * mask)[1 : last + 1]
        figures[f"{way}_fsc_with_stride8"] = float(curve.min())
        figures[f"{way}_truth_change"] = float(np.abs(with_truth[way] - with_truth["stride8"]).max())
        figures[f"{way}_truth_mean"] = float(with_truth[way].mean())
    figures["rms_ratio_float32"] = figures["float32_rms"] / figures["published_rms"]
    figures["rms_ratio_bfloat16"] = figures["bfloat16_rms"] / figures["published_rms"]
    return figures


def in_own_process(options: argparse.Namespace, task: list[str]) -> dict[str, float]:
    """Run this file again for one measurement."""
    command = [
        sys.executable,
        __file__,
        "--model",
        str(options.model),
        "--weights",
        str(options.weights),
        "--task",
        *task,
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="atomic model up to about 170 Å across")
    parser.add_argument("--weights", default=None)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256, 400])
    parser.add_argument("--no-accuracy", action="store_true")
    parser.add_argument("--work", type=Path, default=Path("build/benchmarks/denoise"))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--task", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.weights = find_weights(options.weights)
    if options.task:
        kind, *rest = options.task
        if kind == "blocks":
            answer = measure_blocks(rest[0], options.weights)
        elif kind == "map":
            out = Path(rest[2]) if len(rest) > 2 else None
            answer = measure_map(rest[0], int(rest[1]), options.model, options.weights, out)
        else:
            answer = compare(options.model, int(rest[0]), Path(rest[1]))
        print(json.dumps(answer))
        return

    options.work.mkdir(parents=True, exist_ok=True)
    device = Denoiser.load(options.weights).device
    threads = torch.get_num_threads()
    print(f"{describe_device(device)}; torch {torch.__version__}, {threads} threads, {platform.machine()}")
    results: dict[str, dict[str, float]] = {}
    for precision in ("float32", "bfloat16"):
        figures = results[f"blocks {precision}"] = in_own_process(options, ["blocks", precision])
        print(
            f"network, {precision}: {figures['blocks_per_s']:.2f} blocks/s = {100 * figures['share']:.0f} % of "
            f"the {figures['matmul_gflops']:.0f} GFLOP/s of a plain {precision} matrix product",
            flush=True,
        )
    for size in options.sizes:
        ways = ["published", "float32", "bfloat16"]
        if size == 128 and not options.no_accuracy:
            ways.append("stride8")
        for way in ways:
            task = ["map", way, str(size)] + ([str(options.work / f"{way}.npy")] if size == 128 else [])
            figures = results[f"{size} {way}"] = in_own_process(options, task)
            ratio = results[f"{size} published"]["seconds"] / figures["seconds"]
            print(
                f"{size}³ {way:>9}: {figures['seconds']:7.1f} s, {figures['blocks']:4.0f} blocks, {ratio:.2f}× "
                f"the published speed, peak {figures['peak_gb']:.2f} GB (rise {figures['rise_gb']:.2f} GB)",
                flush=True,
            )
    if 128 in options.sizes and not options.no_accuracy:
        figures = results["accuracy"] = in_own_process(options, ["compare", "128", str(options.work)])
        for name, value in figures.items():
            print(f"accuracy {name}: {value:.4f}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))
    assert all(math.isfinite(value) for figures in results.values() for value in figures.values())


if __name__ == "__main__":
    main()
