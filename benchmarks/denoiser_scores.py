"""How good a set of weights is: FSC to the truth, before and after, on models that no training has seen.

::

    python benchmarks/denoiser_scores.py --weights v1
    python benchmarks/denoiser_scores.py --weights my.safetensors --limit 4 --resolutions 5

For each model of the table's ``test`` split and each resolution, half-maps are simulated by the fast route at
1.5 Å with drawn statistics (B factor, preferred views, misalignment, flexibility, noise), and the first half is
denoised. Case and seed alone decide the half-maps, so that every set of weights gets the same ones. All
FSC figures are taken inside one soft mask derived from the truth and applied to all maps alike; the baseline is
the input times the network's own mask, since a good mask alone raises the FSC.

These are half-maps of atomic models, not of data: noise and blur are those of `blushcore.simulation.half_maps`.
Finished cases are kept in a file and not computed again; stop it and go on at will.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from blushcore.denoiser.application import denoise_map
from blushcore.denoiser.denoiser import Denoiser
from blushcore.denoiser.network import BLOCK_SIZE, VOXEL_SIZE_ANGSTROM
from blushcore.protocol import BlushError
from blushcore.shells import fsc
from blushcore.simulation import ModelEntry, read_model_table
from blushcore.training.augmentation import HalfMapPair
from blushcore.training.samples import simulate_pair
from blushcore.volumes import lowpass, soft_sphere

PROTOCOL = 1
"""To be raised when cases change: results of another protocol are not mixed in."""
BOX_OVER_EXTENT = 1.5
LARGEST_BOX = 200
REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Scores:
    """One case. FSC figures: to the truth, inside its mask, mean over shells 1 to that of the resolution."""

    model: str
    resolution: float
    box: int
    blocks: int
    seconds: float
    fsc_input: float
    fsc_baseline: float
    """Of the input times the network's own mask."""
    fsc_denoised: float
    largest_fall: float
    """Lowest difference denoised − baseline in any shell up to the resolution; negative where it falls."""
    largest_fall_shell_angstrom: float
    solvent_before: float
    """Variance of the solvent, inside the particle's sphere, over that of the particle."""
    solvent_after: float
    mask_dice: float
    correlation_input: float
    """In real space inside the mask, both maps low-passed to the resolution."""
    correlation_denoised: float

    @property
    def gain(self) -> float:
        """FSC, denoised − baseline."""
        return self.fsc_denoised - self.fsc_baseline

    @property
    def solvent_fold(self) -> float:
        """How many times the solvent's relative variance falls."""
        return self.solvent_before / max(self.solvent_after, 1e-12)


def main(arguments: Sequence[str] | None = None) -> int:
    args = parse_arguments(arguments)
    denoiser = Denoiser.load(args.weights, args.device, args.precision)
    assert denoiser.info is not None
    entries, skipped = choose_models(args.models, args.limit)
    cases = [(entry, resolution) for entry in entries for resolution in args.resolutions]
    results = args.results or default_results(denoiser.info.name, denoiser.info.sha256)
    kept = read_results(results, denoiser.info.sha256, args.seed)

    def say(text: str) -> None:
        print(text, file=sys.stderr if args.json else sys.stdout, flush=True)

    say(
        f"Weights {denoiser.info.name} ({denoiser.info.sha256[:12]}) on {denoiser.device} in "
        f"{str(denoiser.dtype).removeprefix('torch.')}; {len(entries)} models at "
        f"{', '.join(f'{r:g}' for r in args.resolutions)} Å, seed {args.seed}."
    )
    if skipped:
        say(f"Left out, with boxes above {LARGEST_BOX} voxels: {', '.join(entry.name for entry in skipped)}.")
    say(f"Results are kept in {results}.")
    scores = run_cases(cases, kept, denoiser, args.seed, results, say)
    summary = summarise(scores)
    if args.json:
        record = {
            "weights": denoiser.info.name,
            "sha256": denoiser.info.sha256,
            "seed": args.seed,
            "summary": summary,
            "cases": [asdict(score) for score in scores],
        }
        print(json.dumps(record))
    else:
        print_table(scores, summary)
    return 0


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    shared = Path(os.environ.get("BLUSH_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--weights", help="name or .safetensors file; by default what blush denoise takes")
    parser.add_argument("--models", type=Path, default=shared / "MODELS.tsv", help="table of atomic models")
    parser.add_argument("--limit", type=int, help="only so many models, of evenly spread sizes")
    parser.add_argument("--resolutions", type=float, nargs="+", default=[4.0, 5.0, 6.0, 8.0], help="Å")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto", choices=["auto", "float32", "bfloat16"])
    parser.add_argument("--results", type=Path, help="file of finished cases; by default one a set of weights")
    parser.add_argument("--json", action="store_true", help="print one JSON object; progress goes to stderr")
    return parser.parse_args(arguments)


def choose_models(table: Path, limit: int | None) -> tuple[list[ModelEntry], list[ModelEntry]]:
    """Return the test models, smallest first, and those that are left out as too large."""
    entries = sorted(read_model_table(table, "test"), key=lambda entry: (entry.extent_angstrom, entry.name))
    fitting = [entry for entry in entries if box_of(entry) <= LARGEST_BOX]
    skipped = [entry for entry in entries if box_of(entry) > LARGEST_BOX]
    if not fitting:
        raise BlushError(f"{table} lists no test model.")
    if limit is not None and limit < len(fitting):
        fitting = [fitting[round(i)] for i in np.linspace(0, len(fitting) - 1, limit)]
    return fitting, skipped


def box_of(entry: ModelEntry) -> int:
    """Return about how large the simulated box will be."""
    return max(BLOCK_SIZE + 16, int(entry.extent_angstrom * BOX_OVER_EXTENT / VOXEL_SIZE_ANGSTROM) + 1)


def run_cases(
    cases: Sequence[tuple[ModelEntry, float]],
    kept: dict[tuple[str, float], Scores],
    denoiser: Denoiser,
    seed: int,
    results: Path,
    say: Callable[[str], None],
) -> list[Scores]:
    """Score what is not yet in `kept`, appending to `results`; the time left goes by the boxes' volumes."""
    left = sum(box_of(entry) ** 3 for entry, resolution in cases if (entry.name, resolution) not in kept)
    done_voxels, started, scores = 0, time.monotonic(), []
    results.parent.mkdir(parents=True, exist_ok=True)
    for number, (entry, resolution) in enumerate(cases, start=1):
        score = kept.get((entry.name, resolution))
        if score is None:
            score = score_case(denoiser, entry, resolution, seed)
            record = {"protocol": PROTOCOL, "sha256": denoiser.info.sha256, "seed": seed, **asdict(score)}  # type: ignore[union-attr]
            with results.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(record) + "\n")
            voxels = box_of(entry) ** 3
            done_voxels += voxels
            left -= voxels
            seconds = (time.monotonic() - started) / done_voxels * left
            say(f"{number:4d}/{len(cases)}  {describe(score)}  {timedelta(seconds=round(seconds))} left")
        scores.append(score)
    return scores


def score_case(denoiser: Denoiser, entry: ModelEntry, resolution: float, seed: int) -> Scores:
    """Simulate, denoise and compare one model at one resolution."""
    generator = np.random.default_rng([seed, zlib.crc32(entry.name.encode()), round(1000 * resolution)])
    pair = simulate_pair(entry, generator, resolution=resolution, size_factor=BOX_OVER_EXTENT)
    started = time.monotonic()
    diameter = diameter_of(pair.mask)
    denoised = denoise_map(denoiser, pair.half1, (VOXEL_SIZE_ANGSTROM,) * 3, diameter=diameter)
    seconds = time.monotonic() - started
    return compare(entry.name, pair, denoised.map, denoised.mask, diameter, denoised.blocks, seconds)


def diameter_of(mask: Tensor) -> float:
    """Diameter (Å) of the sphere about the centre that holds the particle: what a user would give."""
    offsets = (mask > 0.5).nonzero() - torch.tensor([n // 2 for n in mask.shape])
    return 2 * float(offsets.double().norm(dim=1).max()) * VOXEL_SIZE_ANGSTROM


def compare(
    name: str,
    pair: HalfMapPair,
    denoised: Tensor,
    own_mask: Tensor,
    diameter: float,
    blocks: int,
    seconds: float,
) -> Scores:
    assert pair.truth is not None
    n, truth_mask = pair.half1.shape[0], pair.mask
    last = round(n * VOXEL_SIZE_ANGSTROM / pair.resolution)

    def to_truth(volume: Tensor) -> np.ndarray:
        return fsc(volume * truth_mask, pair.truth * truth_mask, counting="sphere")[1 : last + 1]

    before, baseline, after = (to_truth(v) for v in (pair.half1, pair.half1 * own_mask, denoised))
    difference = after - baseline
    worst = int(difference.argmin())
    sphere = soft_sphere((n, n, n), min(diameter / 2 / VOXEL_SIZE_ANGSTROM, n / 2), 0)
    solvent, particle = (truth_mask < 0.01) & (sphere > 0.5), truth_mask > 0.5

    def solvent_variance(volume: Tensor) -> float:
        return float(volume[solvent].var() / volume[particle].var())

    def correlation(volume: Tensor) -> float:
        maps = [
            lowpass(v, pair.resolution, VOXEL_SIZE_ANGSTROM)[particle].numpy() for v in (volume, pair.truth)
        ]
        return float(np.corrcoef(*maps)[0, 1])

    inside = own_mask > 0.5
    return Scores(
        model=name,
        resolution=pair.resolution,
        box=n,
        blocks=blocks,
        seconds=round(seconds, 2),
        fsc_input=float(before.mean()),
        fsc_baseline=float(baseline.mean()),
        fsc_denoised=float(after.mean()),
        largest_fall=float(difference[worst]),
        largest_fall_shell_angstrom=n * VOXEL_SIZE_ANGSTROM / (worst + 1),
        solvent_before=solvent_variance(pair.half1),
        solvent_after=solvent_variance(denoised),
        mask_dice=2 * float((inside & particle).sum()) / float(inside.sum() + particle.sum()),
        correlation_input=correlation(pair.half1),
        correlation_denoised=correlation(denoised),
    )


def summarise(scores: Sequence[Scores]) -> dict[str, float]:
    """Return the figures over all cases that the criteria are about, and those that explain them."""
    gains = np.array([score.gain for score in scores])
    folds = np.array([score.solvent_fold for score in scores])
    return {
        "cases": len(scores),
        "share_rising": float((gains > 0).mean()),
        "mean_gain": float(gains.mean()),
        "mean_gain_over_input": float(np.mean([s.fsc_denoised - s.fsc_input for s in scores])),
        "largest_fall": min(score.largest_fall for score in scores),
        "share_of_cases_falling_by_0.02": float(np.mean([score.largest_fall < -0.02 for score in scores])),
        "solvent_fold": float(np.exp(np.log(folds).mean())),
        "least_solvent_fold": float(folds.min()),
        "mask_dice": float(np.mean([score.mask_dice for score in scores])),
        "correlation_input": float(np.mean([score.correlation_input for score in scores])),
        "correlation_denoised": float(np.mean([score.correlation_denoised for score in scores])),
    }


def criteria(summary: dict[str, float]) -> list[tuple[str, str, bool]]:
    """Return what is wanted, what was found, and whether that reaches it."""
    share, gain = summary["share_rising"], summary["mean_gain"]
    fall, fold = summary["largest_fall"], summary["solvent_fold"]
    return [
        ("FSC to the truth rises in at least 80 % of cases", f"{100 * share:.0f} %", share >= 0.8),
        ("and by at least 0.005 on average over shells", f"{gain:+.4f}", gain >= 0.005),
        ("no shell falls by more than 0.02", f"{fall:+.4f} at worst", fall >= -0.02),
        (
            "solvent over particle variance falls at least 10-fold",
            f"{fold:.0f}-fold (geometric mean)",
            fold >= 10,
        ),
    ]


def print_table(scores: Sequence[Scores], summary: dict[str, float]) -> None:
    print()
    print("FSC to the truth inside its mask: means over shells up to the resolution, over models")
    print("    Å  cases   input  baseline  denoised    gain  rising  worst shell  solvent  Dice  correlation")
    for resolution in sorted({score.resolution for score in scores}):
        some = [score for score in scores if score.resolution == resolution]
        print_row(f"{resolution:5.1f}", some)
    print_row("  all", scores)
    print()
    print(f"Against the input itself the FSC changes by {summary['mean_gain_over_input']:+.4f}.")
    print(
        "Cases with a shell that falls by more than 0.02: "
        f"{100 * summary['share_of_cases_falling_by_0.02']:.0f} %; "
        f"least fall of the solvent: {summary['least_solvent_fold']:.1f}-fold."
    )
    print()
    for wanted, found, reached in criteria(summary):
        print(f"{'reached    ' if reached else 'NOT reached'}  {wanted}: {found}")


def print_row(label: str, scores: Sequence[Scores]) -> None:
    s = summarise(scores)
    means = [np.mean([getattr(x, f"fsc_{kind}") for x in scores]) for kind in ("input", "baseline", "denoised")]
    print(
        f"{label}  {len(scores):5d}  {means[0]:.4f}    {means[1]:.4f}    {means[2]:.4f} {s['mean_gain']:+.4f}"
        f"   {100 * s['share_rising']:3.0f} %      {s['largest_fall']:+.4f}  {s['solvent_fold']:7.1f}"
        f"  {s['mask_dice']:.2f}  {s['correlation_input']:.3f} → {s['correlation_denoised']:.3f}"
    )


def describe(score: Scores) -> str:
    return (
        f"{score.model} {score.resolution:4.1f} Å  FSC {score.fsc_baseline:.3f} → {score.fsc_denoised:.3f} "
        f"({score.gain:+.4f}; worst {score.largest_fall:+.3f} at {score.largest_fall_shell_angstrom:.1f} Å)  "
        f"solvent ÷{score.solvent_fold:.1f}  Dice {score.mask_dice:.2f}  "
        f"{score.blocks} blocks, {score.seconds:.0f} s"
    )


def default_results(name: str, sha256: str) -> Path:
    return Path(tempfile.gettempdir()) / "blush-benchmarks" / f"denoiser_scores-{name}-{sha256[:12]}.jsonl"


def read_results(path: Path, sha256: str, seed: int) -> dict[tuple[str, float], Scores]:
    """Return the finished cases of these weights and this seed; a line that was cut off is passed over."""
    found: dict[tuple[str, float], Scores] = {}
    if not path.is_file():
        return found
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            values = json.loads(line)
        except json.JSONDecodeError:
            continue
        key = (values.pop("protocol"), values.pop("sha256"), values.pop("seed"))
        if key == (PROTOCOL, sha256, seed):
            score = Scores(**values)
            found[score.model, score.resolution] = score
    return found


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BlushError as error:
        sys.exit(f"denoiser_scores: {error}")
