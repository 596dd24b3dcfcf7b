#!/usr/bin/env python3
"""How fast a training goes: blocks/s against what the device's matrix product allows, and who waits for whom.

::

    python benchmarks/train.py --models MODELS.tsv
    python benchmarks/train.py --models models.npz --device cuda --batch-size 8 --seconds 60 --json train.json

Four figures, measured one after the other in one process:

- matmul: the rate of a product of two 3072² matrices in the training's precision, before and after the rest;
  the median of all;
- step: steps on a batch that is there already, without recycles, and with those of the recipe (half of the
  steps, one to five);
- supply: volumes made and blocks cut, with nobody training;
- training: both together, as ``blush train`` does it, and the share of the time that steps waited for batches.

A step's floating-point operations are 28.6 GFLOP a block for the network once (its convolutions), twice that
for the gradients, and once for every recycle. The bound is the matrix product's rate over these; what is
printed is the share of it that is reached. Run it with nothing else on the machine.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from blushcore.devices import describe_device, fast_reduced_precision, resolve_device
from blushcore.jobs.train.parameters import TrainParameters
from blushcore.jobs.train.session import is_compiled
from blushcore.jobs.train.sources import makes_on_device, pair_source
from blushcore.protocol import BlushError
from blushcore.training.batches import BatchStream
from blushcore.training.samples import Example, TrainingBlocks
from blushcore.training.trainer import Trainer, draw_recycles, new_network

GFLOP_PER_BLOCK = 28.6
"""Multiplications and additions of the convolutions on one 64³ block, both counted."""
MATRIX = 3072
LEAST_STEPS = 3
WARM_UP_STEPS = 3
LARGEST_WAIT = 0.02
"""Share of the time that steps may wait: the augmentation is not the limit."""


def synchronise(device: torch.device) -> None:
    """Wait for a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def matrix_gflops(device: torch.device, dtype: torch.dtype) -> float:
    """Return the rate of a matrix product."""
    matrix = torch.randn(MATRIX, MATRIX, device=device).to(dtype)
    matrix @ matrix
    synchronise(device)
    began = time.perf_counter()
    for _ in range(3):
        matrix @ matrix
    synchronise(device)
    return 3 * 2 * MATRIX**3 / (time.perf_counter() - began) / 1e9


def timed_steps(
    trainer: Trainer, take: Callable[[], Example], recycles: Callable[[int], int], seconds: float
) -> dict[str, float]:
    """Do steps for some time, at least three; return blocks/s, mean recycles, and the share of waiting."""
    blocks, steps, waited, drawn = 0, 0, 0.0, 0
    synchronise(trainer.device)
    began = time.perf_counter()
    while steps < LEAST_STEPS or time.perf_counter() - began < seconds:
        asked = time.perf_counter()
        batch = take()
        waited += time.perf_counter() - asked
        r = recycles(steps)
        trainer.train_step(batch, 1e-5, r)
        blocks, steps, drawn = blocks + len(batch[0]), steps + 1, drawn + r
    synchronise(trainer.device)
    took = time.perf_counter() - began
    return {"blocks_per_s": blocks / took, "recycles": drawn / steps, "waiting": waited / took, "steps": steps}


def measure(options: argparse.Namespace) -> dict[str, object]:
    """Measure everything; returns the figures by name."""
    params = TrainParameters(
        models=options.models,
        batch_size=options.batch_size,
        device=options.device,
        precision=options.precision,
        workers=options.workers,
        compile=options.compile,
        half_maps_on=options.half_maps_on,
    )
    device = resolve_device(params.device)
    reduced = params.precision == "bfloat16" or (
        params.precision == "auto" and fast_reduced_precision(device) is torch.bfloat16
    )
    dtype = torch.bfloat16 if reduced else torch.float32
    compiled = is_compiled(params, device)
    on_device = device if makes_on_device(params, device) else None
    source, text = pair_source(params, "train", on_device)
    blocks = TrainingBlocks(source, params.seed, 0, device=on_device)
    trainer = Trainer(
        new_network(0, params.dropout),
        device,
        reduced_precision=reduced,
        ema_decay=params.ema_decay,
        seed=0,
        compiled=compiled,
    )
    figures: dict[str, object] = {
        "device": describe_device(device).name,
        "precision": str(dtype).removeprefix("torch."),
        "compiled": compiled,
        "half_maps_on": "device" if on_device is not None else f"{params.workers} workers",
        "models": text,
        "batch_size": params.batch_size,
        "torch": torch.__version__,
    }
    print("; ".join(f"{name} {value}" for name, value in figures.items()), flush=True)

    def recipe(step: int) -> int:
        return draw_recycles(0, step, params.recycles, params.recycle_probability)

    rates = [matrix_gflops(device, dtype) for _ in range(3)]
    with BatchStream(blocks, 0, params.batch_size, params.workers) as stream:

        def take() -> Example:
            while (batch := stream.take(1.0)) is None:
                pass
            return batch

        first = take()
        ready: Example = tuple(part.to(device) for part in first)  # type: ignore[assignment]
        for step in range(WARM_UP_STEPS):
            trainer.train_step(ready, 1e-5, step % 2)
        figures["step"] = timed_steps(trainer, lambda: ready, lambda _: 0, options.seconds / 3)
        figures["step_with_recycles"] = timed_steps(trainer, lambda: ready, recipe, options.seconds / 3)
        figures["training"] = timed_steps(trainer, take, recipe, options.seconds)
        began, count = time.perf_counter(), 0
        while count < LEAST_STEPS or time.perf_counter() - began < options.seconds / 3:
            take()
            synchronise(device)
            count += 1
        figures["supply_blocks_per_s"] = count * params.batch_size / (time.perf_counter() - began)
    rates += [matrix_gflops(device, dtype) for _ in range(3)]
    figures["matmul_gflops"] = float(np.median(rates))
    if device.type == "cuda":
        figures["device_peak_gb"] = torch.cuda.max_memory_allocated(device) / 1e9
    return figures


def share_of_bound(figures: dict[str, object], name: str) -> float:
    """Return what is reached of the blocks/s that the matrix product's rate allows."""
    found = figures[name]
    assert isinstance(found, dict)
    operations = GFLOP_PER_BLOCK * (3 + found["recycles"])
    rate = figures["matmul_gflops"]
    assert isinstance(rate, float)
    return float(found["blocks_per_s"] * operations / rate)


def main() -> int:
    """Measure, print and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True, help="table of models, or a pack of them")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto", choices=["auto", "float32", "bfloat16"])
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--workers", type=int, default=1, help="that make half-maps, where the device does not")
    parser.add_argument("--half-maps-on", default="auto", choices=["auto", "workers", "device"])
    parser.add_argument("--compile", default="auto", choices=["auto", "on", "off"])
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="of training; the other figures take a third"
    )
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args()
    figures = measure(options)
    print(f"matmul: {figures['matmul_gflops']:.0f} GFLOP/s")
    for name in ("step", "step_with_recycles", "training"):
        found = figures[name]
        assert isinstance(found, dict)
        found["share_of_bound"] = share_of_bound(figures, name)
        print(
            f"{name}: {found['blocks_per_s']:.3g} blocks/s, {100 * found['share_of_bound']:.0f} % of the bound "
            f"({found['recycles']:.2f} recycles, {found['steps']} steps)"
        )
    print(f"supply: {figures['supply_blocks_per_s']:.3g} blocks/s")
    training = figures["training"]
    assert isinstance(training, dict)
    reached = training["waiting"] <= LARGEST_WAIT
    print(
        f"waiting: {100 * training['waiting']:.1f} % of the time "
        f"({'the augmentation is not the limit' if reached else 'NOT reached: at most 2 % are wanted'})"
    )
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 0 if reached else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BlushError as error:
        sys.exit(f"train: {error}")
