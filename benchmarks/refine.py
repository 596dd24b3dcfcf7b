"""Auto-refinement against relion_refine_mpi: quality, pose errors, time, on sets with known truth.

::

    python benchmarks/refine.py                          # our refinement of all four sets, and the table
    python benchmarks/refine.py --sets c4 --relion c4    # RELION's too, on this machine: up to an hour a set
    python benchmarks/refine.py --table                  # the table of what is there; nothing runs

The sets (``refine_sets.toml``) are made with RELION's ``relion_project`` by a script outside of this project,
``make_dataset.py`` in the folder ``--bench``, so nothing of ours is in the loop. The atomic models lie in
``--models`` (default: ``models`` in ``$BLUSH_SHARED_DATA``). RELION runs with 3 ranks of 1 thread, then of 2
(``--threads``); the quicker of the two counts. Give both programs the machine for themselves.

Sets and results are kept in ``--work``, results with command line, machine and date; what is there is not run
again unless ``--again`` is given. Stop it and go on at will: a refinement that was interrupted goes on too.
Where this machine has no RELION run, figures measured elsewhere stand in and are marked with ``*``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from refine_parts import Parts, command_to_go_on, forget
from refine_scores import Scores, score_run

REPOSITORY = Path(__file__).resolve().parent.parent
DESCRIPTIONS = Path(__file__).with_name("refine_sets.toml")
RANKS = 3
BUSY = 0.5
"""Load average above which a time is not to be trusted."""
SCATTER = 0.0005
"""Of the mean FSC to the truth, between seeds of one refinement: less is no difference."""
LOOK_SECONDS = 0.5
"""Between looks at the memory of what runs."""


@dataclass(frozen=True)
class ParticleSet:
    """One row of the benchmark."""

    name: str
    model: str
    make: tuple[str, ...]
    diameter_angstrom: float
    symmetry: str
    elsewhere: Mapping[str, Any] | None
    """RELION's figures from another machine."""

    @property
    def copies(self) -> int:
        """Members of a ring; 1 without symmetry."""
        return int(self.option("--cn", "1"))

    @property
    def box_angstrom(self) -> float:
        """Side of the box."""
        return int(self.option("--box", "64")) * float(self.option("--angpix", "2.5"))

    def option(self, name: str, default: str) -> str:
        """Return what follows an option of make_dataset.py."""
        return self.make[self.make.index(name) + 1] if name in self.make else default

    def shell(self, resolution: float) -> float:
        """Shell of a resolution in Å."""
        return self.box_angstrom / resolution


@dataclass(frozen=True)
class Outcome:
    """One refinement that ran to its end or was stopped. Missing figures are None."""

    program: str
    command: str
    machine: str
    seconds: float | None
    seconds_at_least: float | None
    """Of a run that was stopped."""
    iterations: int | None
    peak_megabytes: float | None
    """Of the largest process."""
    scores: Scores | None
    load_before: float
    date: str
    revision: str
    parts: int = 1
    """More than 1: it was interrupted and went on, and its time is that of all parts."""

    @property
    def is_done(self) -> bool:
        """Whether it ran to its end."""
        return self.scores is not None


def main(arguments: Sequence[str] | None = None) -> int:
    args = parse_arguments(arguments)
    known = read_sets()
    names = args.sets or list(known)
    if unknown := {*names, *args.relion} - set(known):
        raise SystemExit(f"There is no set {', '.join(sorted(unknown))}; there are {', '.join(known)}.")
    args.work.mkdir(parents=True, exist_ok=True)
    store = args.work / "results.json"
    if not args.table:
        for name in dict.fromkeys([*names, *args.relion]):
            make_set(known[name], args)
        for name in names:
            run_ours(known[name], args, store)
        for name in args.relion:
            for threads in args.threads:
                run_relion(known[name], threads, args, store)
    return print_table([known[name] for name in names], read_results(store))


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    shared = Path(os.environ.get("BLUSH_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--sets", nargs="+", default=[], help="of refine_sets.toml; by default all")
    parser.add_argument("--relion", nargs="+", default=[], metavar="SET", help="run RELION on these too")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="of each of RELION's ranks")
    parser.add_argument("--limit", type=float, metavar="MINUTES", help="stop a run of RELION after so long")
    parser.add_argument("--device", default="cpu", help="of our refinement")
    parser.add_argument("--extra", default="", metavar="OPTIONS", help="further options for blush refine")
    parser.add_argument("--again", action="store_true", help="run what has run before")
    parser.add_argument("--table", action="store_true", help="only print the table")
    parser.add_argument("--bench", type=Path, default=shared.parent / "bench", help="holds make_dataset.py")
    parser.add_argument("--models", type=Path, default=shared / "models", help="holds the atomic models")
    parser.add_argument(
        "--work", type=Path, default=Path(tempfile.gettempdir()) / "blush-benchmarks" / "refine", help="kept"
    )
    return parser.parse_args(arguments)


def read_sets() -> dict[str, ParticleSet]:
    rows = tomllib.loads(DESCRIPTIONS.read_text(encoding="utf-8"))
    return {
        name: ParticleSet(
            name,
            row["model"],
            tuple(row["make"]),
            row["diameter_angstrom"],
            row["symmetry"],
            row.get("relion"),
        )
        for name, row in rows.items()
    }


def make_set(particles: ParticleSet, args: argparse.Namespace) -> None:
    """Make a set unless it is there; under another name first, so that a torn one is not taken for whole."""
    if (args.work / particles.name / "made.json").exists():
        return
    model = args.models.resolve() / particles.model
    maker = args.bench.resolve() / "make_dataset.py"
    shutil.rmtree(args.work / particles.name, ignore_errors=True)
    command = [sys.executable, str(maker), str(model), particles.name, *particles.make]
    print(f"{particles.name}: making the set", flush=True)
    subprocess.run(command, cwd=args.work, check=True)
    record = {"command": shlex.join(["make_dataset.py", particles.model, particles.name, *particles.make])}
    (args.work / particles.name / "made.json").write_text(json.dumps(record) + "\n", encoding="utf-8")


def run_ours(particles: ParticleSet, args: argparse.Namespace, store: Path) -> None:
    folder = Path("runs") / f"blush_{particles.name}"
    command = [
        *("blush", "refine", f"{particles.name}/particles.star"),
        *("--reference", f"{particles.name}/ref40.mrc"),
        *("--diameter", f"{particles.diameter_angstrom:g}"),
        *("-o", str(folder)),
        *("--prior", "wiener"),
        *("--symmetry", particles.symmetry),
        "--first-iteration-cc",
        *("--initial-lowpass", "40"),
        *("--seed", "1"),
        *("--device", args.device),
        *shlex.split(args.extra),
    ]
    key = f"{particles.name}/blush"
    run_once(key, particles, "blush", command, folder, None, args, store)


def run_relion(particles: ParticleSet, threads: int, args: argparse.Namespace, store: Path) -> None:
    folder = Path("runs") / f"relion_{particles.name}_j{threads}"
    as_root = ["--allow-run-as-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    command = [
        *("mpirun", *as_root, "--oversubscribe", "-n", str(RANKS), "relion_refine_mpi"),
        *("--o", f"{folder}/run", "--auto_refine", "--split_random_halves"),
        *("--i", f"{particles.name}/particles.star", "--ref", f"{particles.name}/ref40.mrc"),
        *("--firstiter_cc", "--ini_high", "40", "--dont_combine_weights_via_disc", "--preread_images"),
        *("--pool", "30", "--pad", "2", "--skip_gridding", "--ctf"),
        *("--particle_diameter", f"{particles.diameter_angstrom:g}", "--flatten_solvent", "--zero_mask"),
        *("--oversampling", "1", "--healpix_order", "2", "--auto_local_healpix_order", "4"),
        *("--offset_range", "5", "--offset_step", "2", "--low_resol_join_halves", "40", "--norm", "--scale"),
        *("--j", str(threads), "--random_seed", "1", "--sym", particles.symmetry),
    ]
    limit = None if args.limit is None else 60 * args.limit
    key = f"{particles.name}/relion/{RANKS}x{threads}"
    run_once(key, particles, "relion_refine_mpi", command, folder, limit, args, store)


def run_once(
    key: str,
    particles: ParticleSet,
    program: str,
    command: list[str],
    folder: Path,
    limit: float | None,
    args: argparse.Namespace,
    store: Path,
) -> None:
    """Run a refinement unless its result is there, with the same command line."""
    line = shlex.join(command)
    kept = read_results(store).get(key)
    if kept is not None and kept.command == line and not args.again:
        return
    where = args.work / folder
    where.parent.mkdir(exist_ok=True)
    before = Parts.of(where, line)
    going_on = None if args.again else command_to_go_on(command, folder, where) if before.count else None
    if going_on is None:
        before = Parts(line)
        shutil.rmtree(where, ignore_errors=True)
        if program != "blush":
            where.mkdir()
    load = os.getloadavg()[0]
    if load > BUSY:
        print(f"The machine is busy (load {load:.1f}): the time will not be its best.", file=sys.stderr)
    print(f"{key}: {shlex.join(going_on or command)}", flush=True)
    parts = replace(before, count=before.count + 1)
    with (args.work / "runs" / f"{folder.name}.log").open("ab" if going_on else "wb") as log:
        seconds, peak, code = timed(
            going_on or command, args.work, log, limit, lambda now: parts.keep(where, now)
        )
    seconds += before.seconds
    stopped = code is None
    if code not in (0, None):
        raise SystemExit(f"{program} failed ({code}); its words are in {log.name}.")
    outcome = Outcome(
        program=program,
        command=line,
        machine=f"{platform.node()}: {cpu_name()}, {os.cpu_count()} cores",
        seconds=None if stopped else round(seconds, 2),
        seconds_at_least=round(seconds, 1) if stopped else None,
        iterations=count_iterations(where),
        peak_megabytes=round(peak, 1),
        scores=None if stopped else score_run(where, args.work / particles.name, copies=particles.copies),
        load_before=round(load, 2),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        revision=revision(),
        parts=parts.count,
    )
    keep_result(store, key, outcome)
    forget(where)
    print(f"{key}: {describe(outcome)}", flush=True)


def timed(
    command: list[str], folder: Path, log: Any, limit: float | None, tell: Callable[[float], object]
) -> tuple[float, float, int | None]:
    """Return seconds, resident megabytes of the largest process at its peak, exit code (None: stopped).

    The seconds so far are told all the while.
    """
    started = time.monotonic()
    process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    peak, stopped = 0.0, False
    while True:
        peak = max(peak, largest_process(process.pid))
        try:
            code = process.wait(timeout=LOOK_SECONDS)
            break
        except subprocess.TimeoutExpired:
            tell(time.monotonic() - started)
            if limit is not None and not stopped and time.monotonic() - started > limit:
                stopped = True
                process.terminate()
    return time.monotonic() - started, peak, None if stopped else code


def largest_process(pid: int) -> float:
    """Return the peak resident megabytes of the largest of a process and its children.

    What ``wait4`` tells is no good: it counts the memory of this process, from which that one was split off.
    """
    largest = 0.0
    try:
        parent = psutil.Process(pid)
        family = [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return largest
    for member in family:
        try:
            status = Path(f"/proc/{member.pid}/status")
            if status.exists():
                lines = status.read_text(encoding="utf-8").splitlines()
                kilobytes = next((float(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0.0)
                largest = max(largest, kilobytes / 1024)
            else:
                largest = max(largest, member.memory_info().rss / 2**20)
        except (psutil.NoSuchProcess, OSError):
            continue
    return largest


def count_iterations(run: Path) -> int:
    """Count what was done: our events, or RELION's optimiser files."""
    events = run / "events.jsonl"
    if events.exists():
        lines = events.read_text(encoding="utf-8").splitlines()
        return sum(json.loads(line)["kind"] == "iteration_done" for line in lines)
    return len([path for path in run.glob("run_it*_optimiser.star") if "_it000_" not in path.name])


def read_results(store: Path) -> dict[str, Outcome]:
    if not store.exists():
        return {}
    rows = json.loads(store.read_text(encoding="utf-8"))
    return {
        key: Outcome(**{**row, "scores": Scores(**row["scores"]) if row["scores"] else None})
        for key, row in rows.items()
    }


def keep_result(store: Path, key: str, outcome: Outcome) -> None:
    rows = {name: asdict(kept) for name, kept in {**read_results(store), key: outcome}.items()}
    temporary = store.with_suffix(".tmp")
    temporary.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    temporary.replace(store)


def best_relion(particles: ParticleSet, results: Mapping[str, Outcome]) -> tuple[Outcome | None, bool]:
    """RELION's quickest finished run here, else what there is; and whether it is from another machine."""
    here = [outcome for key, outcome in results.items() if key.startswith(f"{particles.name}/relion/")]
    if here:
        return min(here, key=lambda o: (not o.is_done, o.seconds or o.seconds_at_least or 0)), False
    row = particles.elsewhere
    if row is None:
        return None, True
    names = ("truth", "truth_mean", "half", "angle", "shift")
    return (
        Outcome(
            program="relion_refine_mpi",
            command=f"as here, {RANKS} ranks, {row['threads']} thread",
            machine="another machine of 2 cores",
            seconds=row.get("seconds"),
            seconds_at_least=row.get("seconds_at_least"),
            iterations=row.get("iterations"),
            peak_megabytes=row.get("peak_megabytes"),
            scores=Scores(**{name: row[name] for name in names}) if "truth" in row else None,
            load_before=0.0,
            date="",
            revision="",
        ),
        True,
    )


def print_table(sets: Sequence[ParticleSet], results: Mapping[str, Outcome]) -> int:
    """Print results and targets; return 0 if every target that can be judged is reached, else 1."""
    print()
    print(
        "| set | program | time | iterations | truth 0.5 | truth mean | half 0.143 | angle | shift | memory |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    verdicts: list[tuple[str, str, bool | None]] = []
    elsewhere = False
    for particles in sets:
        ours = results.get(f"{particles.name}/blush")
        peer, foreign = best_relion(particles, results)
        elsewhere |= foreign and peer is not None
        for outcome, mark in ((ours, ""), (peer, "*" if foreign else "")):
            if outcome is not None:
                print(f"| {particles.name} | {outcome.program}{mark} | {describe(outcome, ' | ')} |")
        if ours is not None and ours.scores is not None:
            verdicts += judge(particles, ours, peer, mark="*" if foreign else "")
    if elsewhere:
        print("\n* measured on another machine; only a run on this one gives the ratio of times.")
    print()
    words = {True: "reached    ", False: "NOT reached", None: "not judged "}
    for wanted, found, reached in verdicts:
        print(f"{words[reached]}  {wanted}: {found}")
    return int(any(reached is False for *_, reached in verdicts))


def judge(
    particles: ParticleSet, ours: Outcome, peer: Outcome | None, mark: str
) -> list[tuple[str, str, bool | None]]:
    """Hold a result against the targets: what is wanted, what was found, whether it is reached."""
    mine = ours.scores
    assert mine is not None
    name, shell = particles.name, particles.shell
    beyond = shell(mine.half) - shell(mine.truth)
    rows: list[tuple[str, str, bool | None]] = [
        (f"{name}: half-map 0.143 at most two shells beyond truth 0.5", f"{beyond:+.2f}", beyond <= 2)
    ]
    if peer is None:
        return rows
    theirs = peer.scores
    if theirs is not None:
        for what, a, b in (("truth", mine.truth, theirs.truth), ("half", mine.half, theirs.half)):
            behind = shell(b) - shell(a)
            rows.append((f"{name}: {what} within one shell of RELION's{mark}", f"{a} Å, {b} Å", behind <= 1.0))
        for what, a, b in (("angle", mine.angle, theirs.angle), ("shift", mine.shift, theirs.shift)):
            rows.append(
                (
                    f"{name}: median error of {what} at most 1.1 × RELION's{mark}",
                    f"{a} against {b}",
                    a <= 1.1 * b,
                )
            )
    their_seconds = peer.seconds or peer.seconds_at_least
    if ours.seconds and their_seconds:
        ratio, at_least = their_seconds / ours.seconds, "" if peer.seconds else "at least "
        as_good = theirs is None or mine.truth_mean >= theirs.truth_mean - SCATTER
        note = "" if as_good else f", but truth mean {mine.truth_mean} against {theirs.truth_mean}"  # type: ignore[union-attr]
        enough: bool | None = ratio >= 10 and as_good
        if mark or ours.parts > 1 or peer.parts > 1 or (peer.seconds is None and not enough):
            enough = None
        rows.append((f"{name}: 10 × faster with as good a map{mark}", f"{at_least}{ratio:.1f} ×{note}", enough))
    return rows


def describe(outcome: Outcome, between: str = ", ") -> str:
    seconds = f"{outcome.seconds:.0f} s" if outcome.seconds else f"over {outcome.seconds_at_least:.0f} s"
    if outcome.parts > 1:
        seconds += f" in {outcome.parts} parts"
    s = outcome.scores
    figures = (
        [f"{s.truth} Å", f"{s.truth_mean}", f"{s.half} Å", f"{s.angle}°", f"{s.shift} Å"] if s else ["–"] * 5
    )
    memory = f"{outcome.peak_megabytes:.0f} MB" if outcome.peak_megabytes else "–"
    return between.join([seconds, str(outcome.iterations or "–"), *figures, memory])


def cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def revision() -> str:
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    return found.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
