#!/usr/bin/env python3
"""What part of a refinement's time the denoiser takes: of global iterations, of local ones, and of all.

::

    python benchmarks/denoiser_share.py --model 5xj5.pdb.gz --work W
    python benchmarks/denoiser_share.py --model 5xj5.pdb.gz --work W --iterations 8    # a look at the first

A set of 10,000 images of 128 pixels is simulated once and refined with the Blush prior. Stop it and go on at
will: the refinement goes on after the last iteration that was done, and times are those of its own record. A
limit of iterations is kept with the run: for all of it afterwards, give another ``--work``. Run it with nothing
else on the machine.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LIMITS = {"global": 0.12, "whole run": 0.25}
"""What is wanted at most, of 10,000 images of 128 pixels on a processor."""


@dataclass(frozen=True)
class Share:
    """Of some iterations: how many, their seconds, and those of the denoiser."""

    name: str
    iterations: int
    seconds: float
    denoising_seconds: float

    @property
    def share(self) -> float:
        """0 to 1."""
        return self.denoising_seconds / self.seconds if self.seconds else 0.0

    def row(self) -> str:
        """Return a row of a table."""
        limit = LIMITS.get(self.name)
        wanted = "" if limit is None else f"at most {100 * limit:.0f} %"
        figures = f"{self.seconds:.0f} s | {self.denoising_seconds:.0f} s | **{100 * self.share:.1f} %**"
        return f"| {self.name} | {self.iterations} | {figures} | {wanted} |"


def shares(iterations: Iterable[dict[str, Any]]) -> list[Share]:
    """Return the shares of global and of local iterations, and of all, from the figures of a run."""
    kinds: dict[str, list[dict[str, Any]]] = {"global": [], "local": [], "whole run": []}
    for figures in iterations:
        kinds["local" if figures["local_search"] else "global"].append(figures)
        kinds["whole run"].append(figures)
    return [
        Share(
            name,
            len(members),
            sum(figures["seconds"] for figures in members),
            sum(figures["denoising_seconds"] for figures in members),
        )
        for name, members in kinds.items()
    ]


def figures_of(run: Path) -> list[dict[str, Any]]:
    """Return the figures of a run's iterations; of one that was done twice, the last.

    What comes before the first, the spectra of the noise, is none.
    """
    found: dict[int, dict[str, Any]] = {}
    with (run / "events.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            if record["kind"] == "iteration_done" and "local_search" in record["data"]["figures"]:
                found[record["data"]["iteration"]] = record["data"]["figures"]
    return [found[number] for number in sorted(found)]


def blush(*words: object) -> None:
    """Run a command of blush."""
    subprocess.run([sys.executable, "-m", "blushcore.cli", *map(str, words)], check=True)


def make_set(args: argparse.Namespace, folder: Path) -> None:
    """Simulate the set, unless it is there."""
    if (folder / "particles.star").exists():
        return
    blush(
        *("simulate", args.model, "--kind", "particles", "-o", folder, "--overwrite", "--seed", 1),
        *("--count", args.count, "--box", args.box, "--voxel-size", args.pixel_size, "--snr", args.snr),
        *("--copies", args.copies),
    )


def refine(args: argparse.Namespace, folder: Path, run: Path) -> None:
    """Refine it, or go on with that."""
    if (run / "params.json").exists():
        blush("resume", run)
        return
    limit = () if args.iterations is None else ("--max-iterations", args.iterations)
    blush(
        *("refine", folder / "particles.star", "--reference", folder / "ref40.mrc", "-o", run),
        *("--diameter", args.diameter, "--symmetry", f"C{args.copies}", "--initial-lowpass", 40),
        *("--prior", "blush", "--seed", 1, "--device", args.device, *limit),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate, refine, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--model", type=Path, required=True, help="atomic model")
    parser.add_argument("--copies", type=int, default=1, help="of the model about z, as `blush simulate`")
    parser.add_argument("--count", type=int, default=10_000, help="images")
    parser.add_argument("--box", type=int, default=128, help="pixels")
    parser.add_argument("--pixel-size", type=float, default=1.5, help="Å")
    parser.add_argument("--diameter", type=float, default=130.0, help="Å")
    parser.add_argument("--snr", type=float, default=0.1)
    parser.add_argument("--iterations", type=int, help="end after so many; by default when it has converged")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--table", action="store_true", help="only print what is there")
    parser.add_argument(
        "--work", type=Path, default=Path(tempfile.gettempdir()) / "blush-benchmarks" / "share", help="kept"
    )
    args = parser.parse_args(arguments)
    folder, run = args.work / "particles", args.work / "run"
    if not args.table:
        args.work.mkdir(parents=True, exist_ok=True)
        make_set(args, folder)
        refine(args, folder, run)
    if not (run / "events.jsonl").exists():
        raise SystemExit(f"There is no run in {args.work}.")
    print("| iterations | | time | in the denoiser | share | wanted |\n| --- | --- | --- | --- | --- | --- |")
    for found in shares(figures_of(run)):
        print(found.row())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
