"""A made-up training, recorded: what the viewer shows of one, without training anything."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from blushcore.jobs.train.example_files import PARTS, ExamplesFile
from blushcore.jobs.train.parameters import TrainParameters
from blushcore.protocol import Finished, IterationDone, Message, Progress, Started
from blushcore.runs import Recorder, create_run
from blushcore.runs.layout import read_description

EDGE, BLOCKS = 64, 3


def slices_at(share: float) -> dict[str, np.ndarray]:
    """Slices of blobs; the output's noise goes as the training does."""
    rng = np.random.default_rng(3)
    grid = np.mgrid[:EDGE, :EDGE].astype(np.float32)
    signal = np.zeros((BLOCKS, EDGE, EDGE), np.float32)
    for block in signal:
        for centre in rng.uniform(14, 50, (9, 2)):
            block += np.exp(-((grid[0] - centre[0]) ** 2 + (grid[1] - centre[1]) ** 2) / 18)
    noise = rng.normal(scale=0.6, size=signal.shape)
    mask = (signal > 0.2).astype(np.float32)
    found = np.clip(mask + (1 - share) * rng.normal(scale=0.4, size=mask.shape), 0, 1)
    values = (signal + noise, signal + (1 - share) * noise, signal, mask, found)
    return {part: value.astype(np.float16) for part, value in zip(PARTS, values, strict=True)}


def recorded_training(directory: Path, *, reports: int = 4, finish: bool = True) -> Path:
    """Record a training with so many reports, 100 steps apart."""
    run = create_run(directory, "train", TrainParameters(steps=100 * reports))
    with Recorder(run, read_description(run), attempt=1, seq=0) as recorder:
        recorder.record(Started(job="train", parameters={}, device="cpu"))
        recorder.record(Message(text="This training was made up.", level="warning"))
        for number in range(1, reports + 1):
            step, share = 100 * number, number / reports
            recorder.record(Progress(stage="training", done=step, total=100 * reports, unit="steps"))
            figures = {
                "density_loss": 0.6 - 0.2 * share + 0.02 * (number % 2),
                "validation_density_loss": 0.55 - 0.15 * share,
                "fsc_gain": 0.05 * share,
                "validation_fsc_gain": 0.04 * share - 0.01,
                "blocks_per_second": 4.2,
                "waiting_share": 0.03,
            }
            file = ExamplesFile(slices_at(share), f"examples_step{step:06d}.npz")
            recorder.record(IterationDone(iteration=step, figures=figures, artefacts=(file,)))
        if finish:
            recorder.record(Finished(figures=figures))
    return directory
