"""Classification of a mixture with known truth: both priors and RELION's Class3D, with and without alignment.

::

    python benchmarks/classify.py --bench FOLDER    # makes the set, runs what is missing, prints the table
    python benchmarks/classify.py --runs wiener/none --bench FOLDER
    python benchmarks/classify.py --table           # the table of what is there; nothing runs

``small`` is for ``none``: with alignment, the Wiener prior is lost in it (40 % rightly placed, a third being
chance). ``clearer`` is for ``global``: the same with a signal with which that prior places 60 to 90 % rightly.

Each set is a mixture of 60 %, 30 % and 10 % of three atomic models, made with RELION's ``relion_project`` by a
script outside of this project, ``make_dataset.py`` in the folder ``--bench``. All programs begin with the first
model at 40 Å for all classes, the same sampling, mask diameter, number of iterations, T and seed; ``none``
keeps the true poses.

A particle is rightly placed if its class is the one that its model is matched with, models and classes being
matched so that most are; the last column but one is that share of the rarest model's particles. Everything is
kept in ``--work`` with command line and time, and what is there is not run again.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import starfile
from scipy.optimize import linear_sum_assignment

BLUSH = [sys.executable, "-m", "blushcore.cli"]
PROGRAMS = ("wiener", "blush", "relion")
ALIGNMENTS = ("none", "global")


@dataclass(frozen=True)
class Mixture:
    """A set: three models of 60, 30 and 10 %, and how images of them are made."""

    name: str
    models: tuple[str, str, str]
    make: tuple[str, ...]
    diameter_angstrom: float
    iterations: int


MIXTURES = (
    Mixture(
        "small",
        ("4jkv.pdb.gz", "2der.cif.gz", "4iz7.pdb.gz"),
        ("--box", "40", "--angpix", "3.5", "-n", "500", "--snr", "0.05", "--seed", "5"),
        125.0,
        8,
    ),
    Mixture(
        "clearer",
        ("4jkv.pdb.gz", "2der.cif.gz", "4iz7.pdb.gz"),
        ("--box", "40", "--angpix", "3.5", "-n", "500", "--snr", "0.2", "--seed", "5"),
        125.0,
        8,
    ),
    Mixture(
        "large",
        ("4jkv.pdb.gz", "2der.cif.gz", "4iz7.pdb.gz"),
        ("--box", "64", "--angpix", "2.2", "-n", "4000", "--snr", "0.05", "--seed", "6"),
        125.0,
        25,
    ),
)


def make(mixture: Mixture, folder: Path, models: Path, bench: Path) -> None:
    """Make the set unless it is there; names in it are relative to the working folder."""
    if (folder / "ref40.mrc").exists():
        return
    first, second, third = (str(models / name) for name in mixture.models)
    mix = ["--mix", f"{second}:0.3", "--mix", f"{third}:0.1"]
    script = [sys.executable, str(bench / "make_dataset.py")]
    command = [*script, first, folder.name, *mixture.make, *mix]
    subprocess.run(command, cwd=folder.parent, check=True)
    true = starfile.read(folder / "true.star")
    true["particles"] = true["particles"].drop(columns="rlnClassNumber")
    starfile.write(true, folder / "posed.star", overwrite=True)


def command_of(mixture: Mixture, program: str, alignment: str, run: Path) -> list[str]:
    """Return the command line of a run, to be run in the working folder."""
    particles = f"{mixture.name}/{'posed' if alignment == 'none' else 'particles'}.star"
    reference, diameter = f"{mixture.name}/ref40.mrc", f"{mixture.diameter_angstrom:g}"
    if program == "relion":
        words = f"""relion_refine --o {run}/run --i {particles} --ref {reference} --ini_high 40
            --iter {mixture.iterations} --K 3 --tau2_fudge 4 --particle_diameter {diameter} --pad 2 --ctf
            --dont_combine_weights_via_disc --preread_images --pool 30 --skip_gridding --flatten_solvent
            --zero_mask --oversampling 1 --healpix_order 2 --offset_range 5 --offset_step 2 --norm --scale
            --j 2 --random_seed 1 --sym C1""".split()
        return [*words, "--skip_align"] if alignment == "none" else words
    words = f"""classify {particles} --reference {reference} -K 3 --diameter {diameter} --initial-lowpass 40
        --iterations {mixture.iterations} --tau-fudge 4 --alignment {alignment} --prior {program} --seed 1
        --device cpu --json -o {run}""".split()
    return [*BLUSH, *words]


def rightly_placed(found: np.ndarray, true: np.ndarray, classes: int = 3) -> tuple[float, float]:
    """Return the share of particles in the class matched with their model, of all and of the rarest model."""
    table = np.zeros((classes, classes))
    np.add.at(table, (true - 1, found - 1), 1)
    models, matched = linear_sum_assignment(-table)
    right = table[models, matched]
    rarest = int(table.sum(1).argmin())
    return float(right.sum() / len(true)), float(right[rarest] / table[rarest].sum())


def score(run: Path, folder: Path, iterations: int) -> tuple[float, float]:
    """Return what `rightly_placed` says of a run's last iteration."""
    data = starfile.read(run / f"run_it{iterations:03d}_data.star")["particles"]
    true = starfile.read(folder / "true.star")["particles"]
    found = data.set_index("rlnImageName")["rlnClassNumber"].loc[true["rlnImageName"]]
    return rightly_placed(found.to_numpy(), true["rlnClassNumber"].to_numpy())


def run_one(mixture: Mixture, program: str, alignment: str, work: Path) -> dict[str, Any]:
    """Run, score and keep one of the runs, or return what is kept of it."""
    run = work / f"{mixture.name}-{program}-{alignment}"
    kept = run.with_suffix(".json")
    if kept.exists():
        result: dict[str, Any] = json.loads(kept.read_text())
        return result
    command = command_of(mixture, program, alignment, Path(run.name))
    if program == "relion":
        run.mkdir(exist_ok=True)
    elif (run / "params.json").exists():
        command = [*BLUSH, "resume", "--json", run.name]
    began = time.monotonic()
    with (work / f"{run.name}.log").open("w") as log:
        subprocess.run(command, cwd=work, check=True, stdout=log, stderr=log)
    every, rarest = score(run, work / mixture.name, mixture.iterations)
    result = {
        "rightly_placed": every,
        "least": rarest,
        "seconds": time.monotonic() - began,
        "command": shlex.join(command),
    }
    kept.write_text(json.dumps(result, indent=1))
    return result


def table(mixture: Mixture, work: Path) -> str:
    """Return what there is of a mixture's runs."""
    lines = ["| alignment | program | rightly placed | rarest model | seconds |", "|---|---|---|---|---|"]
    for alignment in ALIGNMENTS:
        for program in PROGRAMS:
            kept = work / f"{mixture.name}-{program}-{alignment}.json"
            if kept.exists():
                found = json.loads(kept.read_text())
                shares = f"{100 * found['rightly_placed']:.1f} % | {100 * found['least']:.1f} %"
                lines.append(f"| {alignment} | {program} | {shares} | {found['seconds']:.0f} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mixture", choices=[each.name for each in MIXTURES], default="small")
    parser.add_argument("--runs", nargs="*", default=[f"{p}/{a}" for a in ALIGNMENTS for p in PROGRAMS])
    parser.add_argument("--bench", type=Path, help="folder of make_dataset.py")
    data = os.environ.get("BLUSH_SHARED_DATA", "data")
    parser.add_argument("--models", type=Path, default=Path(data) / "models")
    parser.add_argument("--work", type=Path, default=Path("classify_benchmark"))
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    mixture = next(each for each in MIXTURES if each.name == options.mixture)
    work = options.work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    if not options.table:
        if options.bench is not None:
            make(mixture, work / mixture.name, options.models.absolute(), options.bench.absolute())
        for name in options.runs:
            program, _, alignment = name.partition("/")
            print(name, run_one(mixture, program, alignment, work), flush=True)
    print(table(mixture, work))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
