"""Refinement with the Blush prior against the Wiener filter, and against relion_refine_mpi, at low SNR.

::

    python benchmarks/blush_vs_wiener.py                        # all cases, seeds 1 to 3, both priors, table
    python benchmarks/blush_vs_wiener.py --cases gpcr --seeds 1 # some of it
    python benchmarks/blush_vs_wiener.py --relion gpcr ring     # RELION too, on seed 1: up to hours a case
    python benchmarks/blush_vs_wiener.py --random-phases        # what is found where the images hold nothing
    python benchmarks/blush_vs_wiener.py --controls             # denoisers that do nothing, or too much
    python benchmarks/blush_vs_wiener.py --table                # what is there; nothing runs

The cases (``blush_cases.toml``) are sets with known truth, one for each seed. Both priors get the same images,
reference, diameter, sampling and seed. All figures are of the final *undenoised* half-maps inside one mask,
made of the truth, which is turned into the frame that the run's poses ended in (``blush_scores.py``). Sets and
results are kept in ``--work``, results with command line, machine and date; what is there is not run again
unless ``--again`` is given. Stop it and go on at will: a refinement that was interrupted goes on too.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import refine as one_by_one
from blush_controls import random_phase_set, resolution_beyond, test_controls
from blush_scores import FrameScores, frame_scores
from refine import Outcome, ParticleSet, read_results

CASES = Path(__file__).with_name("blush_cases.toml")
PRIORS = ("wiener", "blush")
SEEDS = (1, 2, 3)
GAIN_WANTED = 0.05
"""Better resolution at 0.5, on average over the cases in which the Wiener filter stays below Nyquist."""
SHELLS_ALLOWED = 2.0
"""How far the halves' 0.143 may lie beyond the truth's 0.5."""
_ROOM_SHELLS = 0.5


@dataclass(frozen=True)
class Case:
    """One row of ``blush_cases.toml``."""

    name: str
    what: str
    model: str
    make: tuple[str, ...]
    diameter_angstrom: float
    symmetry: str
    micelle: bool = False
    random_phases_from_angstrom: float | None = None

    def of_seed(self, seed: int, work: Path) -> ParticleSet:
        """Return the set of a seed."""
        model = str((work / "truths" / f"{self.name}.mrc").resolve()) if self.micelle else self.model
        make = (*self.make, "--seed", str(seed))
        return ParticleSet(
            f"{self.name}_{seed}", model, make, self.diameter_angstrom, self.symmetry, elsewhere=None
        )


def main(arguments: Sequence[str] | None = None) -> int:
    args = parse_arguments(arguments)
    known = read_cases()
    names = args.cases or list(known)
    if unknown := {*names, *args.relion} - set(known):
        raise SystemExit(f"There is no case {', '.join(sorted(unknown))}; there are {', '.join(known)}.")
    args.work.mkdir(parents=True, exist_ok=True)
    store = args.work / "results.json"
    cases = [known[name] for name in names]
    if not args.table:
        for seed in args.seeds:  # a whole table of one seed first
            for case in cases:
                make_set(case, seed, args)
                for prior in PRIORS:
                    run_ours(case, seed, prior, args, store)
        for name in args.relion:
            make_set(known[name], SEEDS[0], args)
            particles = known[name].of_seed(SEEDS[0], args.work)
            for threads in args.threads:
                one_by_one.run_relion(particles, threads, args, store)
        if args.random_phases:
            for case in cases:
                run_with_random_phases(case, args, store)
    code = print_tables(cases, args.seeds, read_results(store), args.work)
    if args.random_phases:
        print_random_phases(cases, args)
    if args.controls:
        for case in cases:
            print_controls(case, args)
    return code


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    shared = Path(os.environ.get("BLUSH_SHARED_DATA", one_by_one.REPOSITORY.parent / "shared" / "data"))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--cases", nargs="+", default=[], help="of blush_cases.toml; by default all")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS), help="of set and refinement")
    parser.add_argument("--weights", help="of the denoiser: a name or a .safetensors file")
    parser.add_argument("--device", default="cpu", help="of our refinements")
    parser.add_argument("--relion", nargs="+", default=[], metavar="CASE", help="run RELION on these too")
    parser.add_argument("--threads", type=int, nargs="+", default=[1], help="of each of RELION's ranks")
    parser.add_argument("--limit", type=float, metavar="MINUTES", help="stop a run of RELION after so long")
    parser.add_argument("--random-phases", action="store_true", help="refine images with random phases too")
    parser.add_argument("--controls", action="store_true", help="try stand-ins for the denoiser")
    parser.add_argument("--again", action="store_true", help="run what has run before")
    parser.add_argument("--table", action="store_true", help="only print what is there")
    parser.add_argument("--bench", type=Path, default=shared.parent / "bench", help="holds make_dataset.py")
    parser.add_argument("--models", type=Path, default=shared / "models", help="holds the atomic models")
    parser.add_argument(
        "--work", type=Path, default=Path(tempfile.gettempdir()) / "blush-benchmarks" / "prior", help="kept"
    )
    return parser.parse_args(arguments)


def read_cases() -> dict[str, Case]:
    rows = tomllib.loads(CASES.read_text(encoding="utf-8"))
    return {name: Case(name=name, **{**row, "make": tuple(row["make"])}) for name, row in rows.items()}


# --- running ----------------------------------------------------------------------------------------------


def make_set(case: Case, seed: int, args: argparse.Namespace) -> None:
    """Make the set of a seed unless it is there."""
    particles = case.of_seed(seed, args.work)
    if case.micelle and not Path(particles.model).exists():
        make_micelle(case, particles, args)
    one_by_one.make_set(particles, args)


def make_micelle(case: Case, particles: ParticleSet, args: argparse.Namespace) -> None:
    """Make the map of the model in its micelle."""
    folder = args.work / "truths"
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as made:
        command = [
            *("blush", "simulate", str(args.models.resolve() / case.model), "-o", made),
            *("--kind", "particles", "--micelle", "-n", "2", "--overwrite"),
            *("--box", particles.option("--box", ""), "--voxel-size", particles.option("--angpix", "")),
        ]
        print(f"{case.name}: {shlex.join(command)}", flush=True)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        Path(made, "truth.mrc").replace(particles.model)


def run_ours(case: Case, seed: int, prior: str, args: argparse.Namespace, store: Path) -> None:
    particles = case.of_seed(seed, args.work)
    folder = Path("runs") / f"{prior}_{particles.name}"
    command = our_command(case, f"{particles.name}/particles.star", particles.name, seed, prior, folder, args)
    key = f"{case.name}/{seed}/{prior}"
    one_by_one.run_once(key, particles, "blush", command, folder, None, args, store)


def our_command(
    case: Case, star: str, name: str, seed: int, prior: str, folder: Path, args: argparse.Namespace
) -> list[str]:
    """Return the command line of a refinement; those of both priors differ in nothing else."""
    return [
        *("blush", "refine", star, "--reference", f"{name}/ref40.mrc"),
        *("--diameter", f"{case.diameter_angstrom:g}", "-o", str(folder), "--symmetry", case.symmetry),
        *("--first-iteration-cc", "--initial-lowpass", "40"),
        *("--seed", str(seed), "--device", args.device, "--prior", prior.removesuffix("-free")),
        *(["--weights", args.weights] if prior.startswith("blush") and args.weights else []),
        *(["--no-spectral-trailing"] if prior.endswith("-free") else []),
    ]


def run_with_random_phases(case: Case, args: argparse.Namespace, store: Path) -> None:
    """Refine images whose phases are random from a resolution on, with each prior."""
    limit = case.random_phases_from_angstrom
    if limit is None:
        return
    seed = SEEDS[0]
    make_set(case, seed, args)
    particles = case.of_seed(seed, args.work)
    star = random_phase_set(args.work, particles.name, limit)
    for prior in (*PRIORS, "blush-free"):
        folder = Path("runs") / f"random_{prior}_{particles.name}"
        command = our_command(case, star, particles.name, seed, prior, folder, args)
        key = f"{case.name}/random/{prior}"
        one_by_one.run_once(key, particles, "blush", command, folder, None, args, store)


# --- what came of it --------------------------------------------------------------------------------------


def print_tables(
    cases: Sequence[Case], seeds: Sequence[int], results: Mapping[str, Outcome], work: Path
) -> int:
    """Print every run, then what is wanted; return 0 if every target that can be judged is reached, else 1."""
    print()
    head = ("case", "seed", "prior", "time", "iterations", "truth 0.5", "truth mean", "half 0.143", "angle")
    head = (*head, "shift", "more than 10° off", "frame turned")
    print("| " + " | ".join(head) + " |\n" + "| --- " * len(head) + "|")
    found: dict[str, dict[str, list[FrameScores]]] = {}
    for case in cases:
        found[case.name] = {prior: [] for prior in (*PRIORS, "relion")}
        for seed in seeds:
            pair = {}
            for prior in PRIORS:
                outcome = results.get(f"{case.name}/{seed}/{prior}")
                if outcome is not None and outcome.is_done:
                    pair[prior] = scores_of(case, seed, f"{prior}_{case.name}_{seed}", work)
                    print(row(case, str(seed), prior, outcome, pair[prior]))
            if len(pair) == len(PRIORS):
                for prior, scores in pair.items():
                    found[case.name][prior].append(scores)
        for key, outcome in results.items():
            start = f"{case.name}_{SEEDS[0]}/relion/{one_by_one.RANKS}x"
            if key.startswith(start):
                theirs = None
                if outcome.is_done:
                    folder = f"relion_{case.name}_{SEEDS[0]}_j{key.removeprefix(start)}"
                    theirs = scores_of(case, SEEDS[0], folder, work)
                    found[case.name]["relion"].append(theirs)
                print(row(case, str(SEEDS[0]), "RELION", outcome, theirs))
    shares = [share for case in cases for share in denoiser_shares(case, seeds, work)]
    if shares:
        print(f"\nThe denoiser takes {100 * statistics.mean(shares):.0f} % of a run with it, on average.")
    print()
    verdicts = judge(cases, found)
    words = {True: "reached    ", False: "NOT reached", None: "not judged "}
    for wanted, said, reached in verdicts:
        print(f"{words[reached]}  {wanted}: {said}")
    return int(any(reached is False for *_, reached in verdicts))


def scores_of(case: Case, seed: int, folder: str, work: Path) -> FrameScores:
    """Score a run of a case in the frame that it ended in."""
    particles = case.of_seed(seed, work)
    return frame_scores(work / "runs" / folder, work / particles.name, copies=particles.copies)


def row(case: Case, seed: str, prior: str, outcome: Outcome, s: FrameScores | None) -> str:
    seconds = f"{outcome.seconds:.0f} s" if outcome.seconds else f"over {outcome.seconds_at_least:.0f} s"
    figures = ["–"] * 7
    if s is not None:
        figures = [f"{s.truth:.2f} Å", f"{s.truth_mean}", f"{s.half:.2f} Å", f"{s.angle}°", f"{s.shift} Å"]
        figures += [f"{100 * s.wrong:.1f} %", f"{s.frame:.1f}°"]
    return "| " + " | ".join([case.name, seed, prior, seconds, str(outcome.iterations), *figures]) + " |"


def judge(
    cases: Sequence[Case], found: Mapping[str, Mapping[str, list[FrameScores]]]
) -> list[tuple[str, str, bool | None]]:
    """Hold the scores against what is wanted: what, what was found, whether it is reached."""
    rows: list[tuple[str, str, bool | None]] = []
    gains, angles = [], []
    for case in cases:
        wiener, blush = found[case.name]["wiener"], found[case.name]["blush"]
        if not wiener:
            rows.append((f"{case.name}: not worse than Wiener", "not run", None))
            continue
        better = [b.truth_mean - w.truth_mean for w, b in zip(wiener, blush, strict=True)]
        mean, error = mean_and_error(better)
        said = f"{mean:+.4f} ± {error:.4f} in mean FSC over {len(better)} seeds"
        enough = mean >= -error if len(better) > 1 else None
        rows.append((f"{case.name}: FSC to the truth not worse than Wiener's, within one error", said, enough))
        nyquist = nyquist_angstrom(case)
        has_room = shells(case, nyquist) - shells(case, statistics.mean(w.truth for w in wiener)) > _ROOM_SHELLS
        if has_room:
            ratios = [1 - b.truth / w.truth for w, b in zip(wiener, blush, strict=True)]
            gains.append(statistics.mean(ratios))
        angles.append(statistics.mean(b.angle - w.angle for w, b in zip(wiener, blush, strict=True)))
        beyond = max(shells(case, b.half) - shells(case, b.truth) for b in blush)
        rows.append(
            (
                f"{case.name}: half-map 0.143 at most {SHELLS_ALLOWED:g} shells beyond truth 0.5, with Blush",
                f"{beyond:+.2f}",
                beyond <= SHELLS_ALLOWED,
            )
        )
        for theirs in found[case.name]["relion"]:
            mine = blush[0]
            said = f"{mine.truth_mean} against {theirs.truth_mean}, angles {mine.angle}°, {theirs.angle}°"
            enough = mine.truth_mean >= theirs.truth_mean - 0.005
            rows.append((f"{case.name}: not worse than RELION", said, enough))
    if gains:
        gain = statistics.mean(gains)
        rows.append(
            (
                f"at least {100 * GAIN_WANTED:g} % better at 0.5 where Wiener leaves room ({len(gains)} cases)",
                f"{100 * gain:+.1f} %",
                gain >= GAIN_WANTED,
            )
        )
    if angles:
        angle = statistics.mean(angles)
        rows.append(("lower median error of angles, over all cases", f"{angle:+.3f}°", angle < 0))
    return rows


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and its standard error; that of a single value is not known: NaN."""
    if len(values) < 2:
        return values[0], math.nan
    return statistics.mean(values), statistics.stdev(values) / math.sqrt(len(values))


def shells(case: Case, resolution: float) -> float:
    """Return the shell of a resolution in Å."""
    return case.of_seed(0, Path()).shell(resolution)


def nyquist_angstrom(case: Case) -> float:
    """Return the resolution of the last shell that is scored."""
    particles = case.of_seed(0, Path())
    return particles.box_angstrom / (int(particles.option("--box", "64")) // 2 - 1)


def denoiser_shares(case: Case, seeds: Sequence[int], work: Path) -> list[float]:
    """Return the share of the time of each run that its denoiser took."""
    shares = []
    for seed in seeds:
        events = work / "runs" / f"blush_{case.name}_{seed}" / "events.jsonl"
        stages = [figures["stage_seconds"] for figures in iteration_figures(events)]
        total = sum(sum(each.values()) for each in stages)
        if total > 0:
            shares.append(sum(each.get("denoising", 0.0) for each in stages) / total)
    return shares


def iteration_figures(events: Path) -> list[dict[str, Any]]:
    """Return the figures of a run's iterations, those without any left out."""
    if not events.exists():
        return []
    lines = [json.loads(line) for line in events.read_text(encoding="utf-8").splitlines()]
    found = [line["data"]["figures"] for line in lines if line["kind"] == "iteration_done"]
    return [figures for figures in found if "stage_seconds" in figures]


def print_random_phases(cases: Sequence[Case], args: argparse.Namespace) -> None:
    """Print what the halves agree by where the images hold nothing."""
    print("\n| case | prior | random from | half 0.143 | mean FSC of the halves beyond |")
    print("| --- | --- | --- | --- | --- |")
    for case in cases:
        limit = case.random_phases_from_angstrom
        for prior in (*PRIORS, "blush-free") if limit else ():
            name = f"{case.name}_{SEEDS[0]}"
            run = args.work / "runs" / f"random_{prior}_{name}"
            if not (run / "run_half2_class001_unfil.mrc").exists():
                continue
            assert limit is not None
            half, beyond = resolution_beyond(run, args.work / name, limit)
            said = prior.replace("-free", ", no trailing")
            print(f"| {case.name} | {said} | {limit:g} Å | {half:.2f} Å | {beyond:+.3f} |")


def print_controls(case: Case, args: argparse.Namespace) -> None:
    """Print what stand-ins for the denoiser do to the halves of the Wiener run of seed 1."""
    run = args.work / "runs" / f"wiener_{case.name}_{SEEDS[0]}"
    if not (run / "run_half2_class001_unfil.mrc").exists():
        print(f"{case.name}: no run with the Wiener filter to try denoisers on", file=sys.stderr)
        return
    print(f"\n{case.name}: halves of the Wiener run, random phases from where they agree to 0.8")
    print("| denoiser | gain in cross-validation | made up | made up, with trailing | blamed |")
    print("| --- | --- | --- | --- | --- |")
    for one in test_controls(run, case.diameter_angstrom, args.weights, args.device):
        blamed = "yes" if one.is_blamed else "no"
        print(f"| {one.name} | {one.gain:+.3f} | {one.made_up:.3f} | {one.made_up_trailed:.3f} | {blamed} |")


if __name__ == "__main__":
    if shutil.which("blush") is None:
        raise SystemExit("blush is not on the PATH: activate the environment first.")
    sys.exit(main())
