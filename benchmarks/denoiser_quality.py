"""The scorecard of a denoiser: how good its maps are, how it behaves, and whether it makes things up.

::

    python benchmarks/denoiser_quality.py --weights v2 other.safetensors    # all of it; stop and go on at will
    python benchmarks/denoiser_quality.py --weights my.safetensors --quick
    python benchmarks/denoiser_quality.py --weights v2 --only quality --limit 8 --resolutions 5
    python benchmarks/denoiser_quality.py --weights v2 --only quality --views drawn --peers input   # first look

**Quality.** Each model of the table's ``test`` split is simulated at four resolutions and three anisotropies
by the fast route, some of them by way of images too (docs/calibration.md); with ``--views drawn``, once at each
resolution, with views as training draws them. Half 1 is denoised by the network
and by its peers: a Wiener filter by the halves' FSC, a Gaussian, non-local means. The baseline is the input
times the network's own mask, since a good mask alone raises the FSC. All figures are taken inside one mask,
derived from the truth.

**Behaviour.** Ten applications in a row; turns of the map by 90° and by an arbitrary angle.

**Hallucination.** Six tests with controls, in hallucination.py. What they may show at most follows from a
denoiser that changes nothing; one that adds what it knows by heart must fail every one.

These are half-maps of atomic models, not of data. Every finished figure is kept in a file of its own in the
work folder and not computed again; ``--report`` writes the scorecard from what is there.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import hallucination as h
from hallucination_trials import KINDS, TESTS, Trial, trials
from quality_behaviour import drift, equivariance
from quality_cases import ANISOTROPIES, DRAWN, PROTOCOL, Case, all_cases, box_of, pair_of, spread
from quality_pictures import draw
from quality_report import Scorecard, write_scorecard
from quality_scores import PEERS, Denoise, as_denoise, score_network, score_peer

from blushcore.denoiser import Denoiser
from blushcore.protocol import BlushError
from blushcore.simulation import ModelEntry, read_model_table

REPOSITORY = Path(__file__).resolve().parent.parent
PARTS = ("quality", "behaviour", "hallucination")
LARGEST_BOX = 200


@dataclass(frozen=True)
class Task:
    """One figure or set of figures, kept in one file."""

    file: Path
    """Relative to the work folder."""
    voxels: int
    """Stands for the time that it takes."""
    work: Callable[[], Any]
    """Returns what is kept: content for JSON."""


def main(arguments: Sequence[str] | None = None) -> int:
    args = parse_arguments(arguments)
    entries, skipped = choose_models(args.models, args.limit)
    networks = {
        Path(weights).stem if weights else "default": Denoiser.load(weights, args.device, args.precision)
        for weights in args.weights
    }
    if len(networks) < len(args.weights):
        raise BlushError("Two of the weights have one name.", "Rename a file.")
    say(f"Results are kept in {args.work}.")
    if skipped:
        names = ", ".join(entry.name for entry in skipped)
        say(f"Left out, with boxes above {LARGEST_BOX} voxels: {names}.")
    tasks = [task for part in args.only for task in _PARTS[part](args, entries, networks)]
    if not args.report:
        run(tasks, args.work)
    return report(args, entries, networks)


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    shared = Path(os.environ.get("BLUSH_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--weights", nargs="+", default=[None], help="names or .safetensors files")
    parser.add_argument("--models", type=Path, default=shared / "MODELS.tsv", help="table of atomic models")
    parser.add_argument("--quick", action="store_true", help="two models, one resolution, fewer tests: minutes")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="parts to run")
    parser.add_argument("--limit", type=int, help="only so many models, of evenly spread sizes")
    parser.add_argument("--by-images", type=int, help="how many models go by way of images too (default 5)")
    parser.add_argument("--resolutions", type=float, nargs="+", help="Å (default 4 5 6 8)")
    parser.add_argument(
        "--views",
        nargs="+",
        choices=[*ANISOTROPIES, DRAWN],
        default=list(ANISOTROPIES),
        help="of the quality part",
    )
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), help="of the quality part")
    parser.add_argument("--tests", nargs="+", choices=[*TESTS, *KINDS], help="of the hallucination part")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto", choices=["auto", "float32", "bfloat16"])
    parser.add_argument(
        "--work", type=Path, default=Path(tempfile.gettempdir()) / "blush-benchmarks" / "quality"
    )
    parser.add_argument("--report", action="store_true", help="write the scorecard from what is there")
    parser.add_argument(
        "-o", "--output", type=Path, help="folder of the scorecard; by default in the work folder"
    )
    args = parser.parse_args(arguments)
    args.limit = args.limit or (2 if args.quick else None)
    args.by_images = args.by_images if args.by_images is not None else (0 if args.quick else 5)
    args.resolutions = args.resolutions or ([5.0] if args.quick else [4.0, 5.0, 6.0, 8.0])
    return args


def say(text: str) -> None:
    print(text, flush=True)


def choose_models(table: Path, limit: int | None) -> tuple[list[ModelEntry], list[ModelEntry]]:
    """Return the test models, smallest first, and those that are left out as too large."""
    entries = sorted(read_model_table(table, "test"), key=lambda entry: (entry.extent_angstrom, entry.name))
    fitting = [entry for entry in entries if box_of(entry) <= LARGEST_BOX]
    if not fitting:
        raise BlushError(f"{table} lists no test model.")
    chosen = fitting if limit is None else spread(fitting, limit)
    return chosen, [entry for entry in entries if box_of(entry) > LARGEST_BOX]


def run(tasks: Sequence[Task], work: Path) -> None:
    """Do what is not done yet; the time left goes by the boxes' volumes."""
    todo = [task for task in tasks if read(work / task.file) is None]
    left, done, started = sum(task.voxels for task in todo), 0, time.monotonic()
    for number, task in enumerate(todo, start=1):
        begun = time.monotonic()
        content = task.work()
        seconds = time.monotonic() - begun
        keep(work / task.file, content)
        done, left = done + task.voxels, left - task.voxels
        remaining = timedelta(seconds=round((time.monotonic() - started) / done * left))
        say(f"{number:4d}/{len(todo)}  {task.file.as_posix()}  {seconds:.0f} s  {remaining} left")


def read(path: Path) -> Any:
    """Return what was kept, or None where there is nothing, or nothing of this protocol."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return None
    return record["content"] if record.get("protocol") == PROTOCOL else None


def keep(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    unfinished.write_text(json.dumps({"protocol": PROTOCOL, "content": content}), encoding="utf-8")
    unfinished.replace(path)


def key_of(denoiser: Denoiser) -> str:
    assert denoiser.info is not None
    return f"{denoiser.info.sha256[:12]}-{str(denoiser.dtype).removeprefix('torch.')}"


# Parts -------------------------------------------------------------------------------------------------------


def quality_cases(args: argparse.Namespace, entries: Sequence[ModelEntry]) -> list[Case]:
    return all_cases(entries, args.resolutions, spread(entries, args.by_images), args.seed, args.views)


def quality_tasks(
    args: argparse.Namespace, entries: Sequence[ModelEntry], networks: dict[str, Denoiser]
) -> Iterator[Task]:
    slow = {entry.name for entry in spread(entries, max(args.by_images, 1))}
    for case in quality_cases(args, entries):
        folder, voxels = Path("quality") / case.name, box_of(case.entry) ** 3

        def pair(case: Case = case) -> Any:
            return pair_of(case, args.work / "pairs")

        for name in args.peers:
            if name == "non_local_means" and case.entry.name not in slow:
                continue  # half a minute each: on the models that go by way of images, by both routes
            cost = voxels * (4 if name == "non_local_means" else 1)
            yield Task(folder / f"{name}.json", cost, lambda n=name, p=pair: asdict(score_peer(n, p())))
        for network in networks.values():

            def score(network: Denoiser = network, pair: Callable[[], Any] = pair) -> Any:
                return {name: asdict(s) for name, s in score_network(as_denoise(network), pair()).items()}

            yield Task(folder / f"{key_of(network)}.json", 2 * voxels, score)


def behaviour_cases(args: argparse.Namespace, entries: Sequence[ModelEntry]) -> list[Case]:
    count = 1 if args.quick else 4
    small = [entry for entry in entries if box_of(entry) <= 130] or entries[:1]
    resolutions = args.resolutions[:: max(1, len(args.resolutions) - 1)][:2]
    return [
        Case(entry, resolution, seed=args.seed) for entry in spread(small, count) for resolution in resolutions
    ]


def behaviour_tasks(
    args: argparse.Namespace, entries: Sequence[ModelEntry], networks: dict[str, Denoiser]
) -> Iterator[Task]:
    for case in behaviour_cases(args, entries):
        for network in networks.values():
            folder, voxels = Path("behaviour") / case.name / key_of(network), box_of(case.entry) ** 3
            for name, measure, cost in (("drift", drift, 10), ("equivariance", equivariance, 5)):

                def work(measure: Any = measure, case: Case = case, network: Denoiser = network) -> Any:
                    return asdict(measure(as_denoise(network), pair_of(case)))

                yield Task(folder / f"{name}.json", cost * voxels, work)


def denoisers_with_memory(networks: dict[str, Denoiser]) -> dict[str, h.WithMemory]:
    """Return the controls and the networks."""

    def plain(denoise: Denoise) -> h.WithMemory:
        return lambda known: denoise  # noqa: ARG005 - it has no memory

    found: dict[str, h.WithMemory] = {"unchanged": h.unchanged, "from-memory": h.from_memory}
    return found | {key_of(network): plain(as_denoise(network)) for network in networks.values()}


def trials_of(args: argparse.Namespace) -> list[Trial]:
    """Return the tests of hallucination, on models of the whole test split."""
    found = trials(choose_models(args.models, None)[0], args.work, args.seed, quick=args.quick)
    return [trial for trial in found if args.tests is None or trial.name in args.tests]


def hallucination_tasks(
    args: argparse.Namespace, entries: Sequence[ModelEntry], networks: dict[str, Denoiser]
) -> Iterator[Task]:
    del entries
    for trial in trials_of(args):
        for subject, (voxels, measure) in trial.measures.items():
            for key, denoiser in denoisers_with_memory(networks).items():
                yield Task(
                    _hallucination_file(trial.name, subject, key), voxels, lambda m=measure, d=denoiser: m(d)
                )


def _hallucination_file(trial: str, subject: str, key: str) -> Path:
    return Path("hallucination") / trial.replace(" ", "-") / subject / f"{key}.json"


_PARTS: dict[str, Callable[..., Iterator[Task]]] = {
    "quality": quality_tasks,
    "behaviour": behaviour_tasks,
    "hallucination": hallucination_tasks,
}


# Report ------------------------------------------------------------------------------------------------------


def report(args: argparse.Namespace, entries: Sequence[ModelEntry], networks: dict[str, Denoiser]) -> int:
    """Gather what there is and write the scorecard; 1 where a control does not do what it must."""
    card = Scorecard(
        command="python benchmarks/denoiser_quality.py " + " ".join(sys.argv[1:]),
        weights={name: network.info.sha256 for name, network in networks.items() if network.info},
        quality=[
            {"case": case.name, "model": case.entry.name, "resolution": case.resolution}
            | {"anisotropy": case.anisotropy, "route": case.route, "scores": scores}
            for case in (quality_cases(args, entries) if "quality" in args.only else ())
            if (scores := _scores(args.work / "quality" / case.name, networks))
        ],
        behaviour=[
            {"case": case.name, "weights": name, "kind": kind, "found": found}
            for case in (behaviour_cases(args, entries) if "behaviour" in args.only else ())
            for name, network in networks.items()
            for kind in ("drift", "equivariance")
            if (found := read(args.work / "behaviour" / case.name / key_of(network) / f"{kind}.json"))
        ],
        verdicts=verdicts(args, networks) if "hallucination" in args.only else {},
    )
    output = args.output or args.work / "scorecard"
    print(write_scorecard(card, output))
    draw(card, output / "scorecard.png")
    say(f"Written to {output}: scorecard.json, scorecard.md, scorecard.png.")
    return 0 if card.controls_hold else 1


def _scores(folder: Path, networks: dict[str, Denoiser]) -> dict[str, Any]:
    scores = {name: found for name in PEERS if (found := read(folder / f"{name}.json"))}
    for name, network in networks.items():
        if found := read(folder / f"{key_of(network)}.json"):
            scores[f"{name} × mask"], scores[name] = found["masked"], found["denoised"]
    return scores


def verdicts(args: argparse.Namespace, networks: dict[str, Denoiser]) -> dict[str, list[dict[str, Any]]]:
    """Judge each denoiser by each test whose measurements are all there."""
    keys = {"unchanged": "unchanged", "from memory": "from-memory"}
    keys |= {name: key_of(network) for name, network in networks.items()}
    found: dict[str, list[dict[str, Any]]] = {}
    for trial in trials_of(args):
        control = _together(args.work, trial, "unchanged")
        for name, key in keys.items():
            measured = _together(args.work, trial, key)
            if measured and control:
                verdict = trial.judge(measured, control)
                found.setdefault(name, []).append(asdict(verdict) | {"passed": verdict.passed})
    return found


def _together(work: Path, trial: Trial, key: str) -> h.Measured | None:
    parts = [read(work / _hallucination_file(trial.name, subject, key)) for subject in trial.measures]
    if any(part is None for part in parts):
        return None
    return {name: [value for part in parts for value in part[name]] for name in parts[0]}


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BlushError as error:
        sys.exit(f"denoiser_quality: {error}")
