"""Runs that were recorded, or made up, played into another directory as if they happened now.

    python tests/gui/replay.py RUN_DIR TARGET --seconds-per-iteration 2

`recorded_run` makes a small run without refining anything: the files and figures of a refinement, of blobs that
sharpen. `Replay` plays any run, step by step or by the clock, with the mishaps that disks and writers have.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch

from blushcore.jobs.classify.parameters import ClassifyParameters
from blushcore.jobs.expectation_maximisation.outputs import history_map, iteration_prefix, map_file
from blushcore.jobs.map_file import MapFile
from blushcore.jobs.refine.parameters import RefineParameters
from blushcore.protocol import Finished, IterationDone, Message, Progress, Started
from blushcore.runs import Record, Recorder, RunDirectory, create_run
from blushcore.runs.heartbeat import Heartbeat
from blushcore.runs.layout import read_description
from blushcore.runs.lock import RunLock
from blushcore.runs.records import decode, encode
from blushcore.volumes import lowpass

VOXEL_SIZE = 2.0
DIAMETER = 24.0
OPTICS = f"data_optics\n\nloop_\n_rlnOpticsGroup\n_rlnImagePixelSize\n_rlnImageSize\n1 {VOXEL_SIZE} 16\n"


class TextFile:
    """A text as an artefact."""

    def __init__(self, role: str, name: str, text: str) -> None:
        self.role, self.name, self._text = role, name, text

    def write(self, path: Path) -> None:
        path.write_text(self._text)


def blob_map(box: int, seed: int = 0) -> np.ndarray:
    """Return some blobs within a sphere, float32 ``(box, box, box)``."""
    rng = np.random.default_rng(seed)
    grid = np.mgrid[:box, :box, :box].astype(np.float32)
    density = np.zeros((box,) * 3, np.float32)
    for centre in box / 2 + rng.uniform(-0.2, 0.2, (12, 3)) * box:
        squared = sum((axis - at) ** 2 for axis, at in zip(grid, centre, strict=True))
        density += np.exp(-squared / (2 * (box / 20) ** 2))
    return density


def particle_text(rng: np.random.Generator, count: int = 200, classes: Sequence[int] | None = None) -> str:
    """Return a STAR table of directions, more of them near the equator; all of class 1 unless told."""
    of_class = [1] * count if classes is None else classes
    rot, tilt = rng.uniform(-180, 180, count), np.clip(rng.normal(90, 25, count), 0, 180)
    rows = [
        f"{i + 1:06d}@particles.mrcs {a:.3f} {b:.3f} 0.0 1 {of_class[i]}"
        for i, (a, b) in enumerate(zip(rot, tilt, strict=True))
    ]
    columns = (
        "rlnImageName",
        "rlnAngleRot",
        "rlnAngleTilt",
        "rlnAnglePsi",
        "rlnRandomSubset",
        "rlnClassNumber",
    )
    head = "".join(f"_{name} #{number}\n" for number, name in enumerate(columns, start=1))
    return "\ndata_particles\n\nloop_\n" + head + "\n".join(rows) + "\n"


def figures(iteration: int, iterations: int, box: int, size: int) -> dict[str, Any]:
    """Return figures as `blushcore.jobs.refine.reports` has them, of a run that goes well."""
    shells = np.arange(box // 2 + 1)
    middle = size / 2 * 0.8
    fsc = np.where(shells <= size // 2, 1 / (1 + np.exp((shells - middle) / max(1.0, box / 40))), 0.0)
    share = iteration / iterations
    return {
        "resolution_angstrom": box * VOXEL_SIZE / (middle + 1),
        "resolution_in_use_angstrom": box * VOXEL_SIZE / middle,
        "is_last": iteration == iterations,
        "current_size": size,
        "angular_step_deg": 15.0 / 2 ** (iteration // 3),
        "accuracy_angle_deg": None if iteration == 1 else 6.0 / iteration,
        "accuracy_offset_angstrom": None if iteration == 1 else 2.0 / iteration,
        "offset_step_angstrom": 4.0 / (1 + iteration // 3),
        "change_angle_deg": 40.0 / iteration**1.5,
        "change_offset_angstrom": 4.0 / iteration,
        "mean_p_max": 0.2 + 0.6 * share,
        "fsc": [round(float(value), 4) for value in fsc],
        "box": box,
        "voxel_size_angstrom": VOXEL_SIZE,
    }


def recorded_run(
    directory: Path,
    *,
    box: int = 16,
    iterations: int = 3,
    before_prior: bool = True,
    keep: str = "light",
    particles: int = 200,
    finish: bool = True,
) -> Path:
    """Record a made-up refinement; maps grow from half the box to the whole of it."""
    folder = directory.parent
    params = RefineParameters(
        particles=folder / "particles.star",
        reference=folder / "ref.mrc",
        diameter=DIAMETER,
        keep=keep,
        prior="wiener",
    )
    run = create_run(directory, "refine", params)
    rng = np.random.default_rng(1)
    truth = torch.from_numpy(blob_map(box))
    with Recorder(run, read_description(run), attempt=1, seq=0) as recorder:
        recorder.record(Started(job="refine", parameters=params.model_dump(mode="json"), device="cpu"))
        start = lowpass(truth, 16.0, VOXEL_SIZE).numpy()
        reference = history_map("reference", "run_it000_class001.mrc", start, VOXEL_SIZE, box, params.keep)
        recorder.record(IterationDone(iteration=0, artefacts=(reference,)))
        for iteration in range(1, iterations + 1):
            size = min(box, 2 * round(box * (0.5 + 0.5 * iteration / iterations) / 2))
            for done in (50, 100):
                stage = f"iteration {iteration}: comparing images"
                recorder.record(Progress(stage=stage, done=done, total=100, unit="images", eta_seconds=1.0))
            named = figures(iteration, iterations, box, size)
            if iteration == iterations and finish:
                recorder.record(IterationDone(iteration=iteration, figures=named))
                break
            sharper = lowpass(truth, 2 * VOXEL_SIZE * box / size, VOXEL_SIZE).numpy()
            artefacts: list[Any] = []
            for half in (1, 2):
                noise = rng.normal(scale=0.05, size=sharper.shape).astype(np.float32)
                name = f"{iteration_prefix(iteration)}_half{half}_class001"
                after = (sharper + 0.2 * noise).astype(np.float32)
                artefacts.append(
                    history_map(f"half{half}", f"{name}.mrc", after, VOXEL_SIZE, size, params.keep)
                )
                if before_prior:
                    role = f"half{half}_before_prior"
                    before = (sharper + noise).astype(np.float32)
                    artefacts.append(
                        history_map(role, f"{name}_before_prior.mrc", before, VOXEL_SIZE, size, params.keep)
                    )
            data = TextFile("data", f"{iteration_prefix(iteration)}_data.star", particle_text(rng, particles))
            recorder.record(IterationDone(iteration=iteration, figures=named, artefacts=(*artefacts, data)))
        if finish:
            recorder.record(Message(text="This run was made up.", level="warning"))
            recorder.record(Finished(figures={}, artefacts=_final(truth.numpy(), rng, particles)))
    return directory


def _final(truth: np.ndarray, rng: np.random.Generator, particles: int) -> tuple[Any, ...]:
    noise = rng.normal(scale=0.05, size=truth.shape).astype(np.float32)
    halves: list[MapFile] = [
        map_file(f"half{half}_unfil", f"run_half{half}_class001_unfil.mrc", truth + noise, VOXEL_SIZE)
        for half in (1, 2)
    ]
    star = TextFile("data", "run_data.star", particle_text(rng, particles))
    return (map_file("map", "run_class001.mrc", truth, VOXEL_SIZE), *halves, star)


def recorded_classification(
    directory: Path, *, box: int = 16, iterations: int = 3, before_prior: bool = False
) -> Path:
    """Record a made-up classification into two classes, of which the first grows."""
    folder = directory.parent
    params = ClassifyParameters(
        particles=folder / "particles.star",
        reference=(folder / "ref.mrc",),
        diameter=DIAMETER,
        classes=2,
        iterations=iterations,
        prior="wiener",
    )
    run = create_run(directory, "classify", params)
    rng = np.random.default_rng(1)
    maps = [torch.from_numpy(blob_map(box, seed)) for seed in (0, 1)]
    with Recorder(run, read_description(run), attempt=1, seq=0) as recorder:
        recorder.record(Started(job="classify", parameters=params.model_dump(mode="json"), device="cpu"))
        for iteration in range(iterations + 1):
            artefacts: list[Any] = []
            for number, volume in enumerate(maps, start=1):
                name = f"{iteration_prefix(iteration)}_class{number:03d}"
                after = lowpass(volume, 16.0 / (iteration + 1), VOXEL_SIZE).numpy()
                artefacts.append(
                    history_map(f"class{number:03d}", f"{name}.mrc", after, VOXEL_SIZE, box, "full")
                )
                if before_prior and iteration:
                    noisy = (after + rng.normal(scale=0.05, size=after.shape)).astype(np.float32)
                    role, file = f"class{number:03d}_before_prior", f"{name}_before_prior.mrc"
                    artefacts.append(history_map(role, file, noisy, VOXEL_SIZE, box, "full"))
            if iteration == 0:
                recorder.record(IterationDone(iteration=0, artefacts=tuple(artefacts)))
                continue
            text = OPTICS + particle_text(rng, 50, classes=[1] * 30 + [2] * 20)
            artefacts.append(TextFile("data", f"{iteration_prefix(iteration)}_data.star", text))
            named = class_figures(iteration, iterations, box)
            recorder.record(IterationDone(iteration=iteration, figures=named, artefacts=tuple(artefacts)))
        recorder.record(
            Finished(figures={"iterations": iterations, **class_figures(iterations, iterations, box)})
        )
    return directory


def class_figures(iteration: int, iterations: int, box: int) -> dict[str, Any]:
    """Return figures as `blushcore.jobs.classify.reports` has them, of two classes."""
    first = 0.5 + 0.2 * iteration / iterations
    resolutions = [16.0 / (iteration + 1), None if iteration == 1 else 20.0 / (iteration + 1)]
    return {
        "class_distribution": [round(first, 6), round(1 - first, 6)],
        "class_particles": [round(100 * first), round(100 * (1 - first))],
        "class_resolution_angstrom": resolutions,
        "class_accuracy_angle_deg": [4.0 / iteration, 6.0 / iteration],
        "empty_classes": [],
        "resolution_angstrom": resolutions[0],
        "change_classes": 0.4 / iteration,
        "change_angle_deg": 20.0 / iteration,
        "change_offset_angstrom": 2.0 / iteration,
        "mean_p_max": 0.3,
        "mean_class_probability": 0.8,
        "angular_step_deg": 15.0,
        "offset_step_angstrom": 4.0,
        "seconds": 2.0,
        "is_last": iteration == iterations,
        "box": box,
        "voxel_size_angstrom": VOXEL_SIZE,
    }


class Replay:
    """Plays a run into `target`, by this process, with lock and heartbeat; a context.

    Parameters
    ----------
    source
        A run directory; only read.
    target
        Where it happens again.
    beat_seconds
        Between two beats of the heart.
    """

    def __init__(self, source: Path, target: Path, *, beat_seconds: float = 0.2) -> None:
        self._source, self.run = RunDirectory(source), RunDirectory(target)
        target.mkdir(parents=True)
        shutil.copy(self._source.description, self.run.description)
        self.run.commands.mkdir()
        self._lines = self._source.events.read_bytes().splitlines()
        self._at = 0
        self._seq = 0
        self._beat_seconds = beat_seconds
        self._living = ExitStack()

    def __enter__(self) -> Replay:
        lock = self._living.enter_context(RunLock(self.run))
        beat = Heartbeat(self.run.heartbeat, lock.holder.nonce, beat_seconds=self._beat_seconds)
        self._living.enter_context(beat)
        return self

    def __exit__(self, *_: object) -> None:
        self._living.close()

    @property
    def is_over(self) -> bool:
        return self._at >= len(self._lines)

    def step(self, *, files: bool = True) -> Record:
        """Play the next line: its files first, then itself. Without `files`, `deliver` brings them later."""
        record = decode(self._lines[self._at])
        self._at += 1
        if files:
            self.deliver(record)
        self._append(record)
        return record

    def play_iteration(self, *, files: bool = True) -> Record:
        """Play up to the end of the iteration in progress, or of the run."""
        while True:
            record = self.step(files=files)
            if isinstance(record.event, (IterationDone, Finished)):
                return record

    def play(self) -> None:
        """Play all that is left."""
        while not self.is_over:
            self.step()

    def again(self, record: Record, iteration: int) -> None:
        """Play an iteration once more under another number: its files are there already."""
        assert isinstance(record.event, IterationDone)
        event = IterationDone(iteration=iteration, figures=record.event.figures, files=record.event.files)
        self._append(Record(event=event, attempt=record.attempt, seq=0, time=0.0, sizes=record.sizes))

    def deliver(self, record: Record) -> None:
        """Bring a record's files, each under a temporary name that is then renamed."""
        for name in record.files.values():
            path = self.run.path / name
            temporary = path.with_name(f".{path.name}.part")
            shutil.copy(self._source.path / name, temporary)
            temporary.replace(path)

    def deliver_torn(self, record: Record) -> None:
        """Bring half of each file under its final name, as a network disk may for a while."""
        for name in record.files.values():
            whole = (self._source.path / name).read_bytes()
            (self.run.path / name).write_bytes(whole[: len(whole) // 2])

    def write_raw(self, content: bytes) -> None:
        """Append what is no record."""
        with self.run.events.open("ab") as stream:
            stream.write(content)

    def _append(self, record: Record) -> None:
        values = json.loads(encode(record))
        values |= {"time": time.time(), "seq": self._seq}
        self._seq += 1
        self.write_raw(json.dumps(values, ensure_ascii=False).encode() + b"\n")


def by_the_clock(replay: Replay, seconds_per_iteration: float) -> Iterator[Record]:
    """Play a run's iterations, one in so many seconds."""
    while not replay.is_over:
        end = time.monotonic() + seconds_per_iteration
        yield replay.play_iteration()
        time.sleep(max(0.0, end - time.monotonic()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--seconds-per-iteration", type=float, default=2.0)
    arguments = parser.parse_args()
    with Replay(arguments.run_dir, arguments.target) as replay:
        for record in by_the_clock(replay, arguments.seconds_per_iteration):
            print(f"{os.getpid()}: {record.event.kind}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
