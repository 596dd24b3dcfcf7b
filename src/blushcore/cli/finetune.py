"""``blush finetune``: adapt weights to one pair of half-maps, in a run directory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from blushcore.cli.options import Detach, Json, RunFolder
from blushcore.cli.running import open_run
from blushcore.cli.training_lines import finetuning_end
from blushcore.jobs import JOBS
from blushcore.jobs.finetune.parameters import FinetuneParameters
from blushcore.protocol import Finished


def finetune(
    parameters: Annotated[FinetuneParameters, Parameter(name="*")],
    *,
    output: RunFolder,
    detach: Detach = False,
    json: Json = False,
) -> int:
    """Adapt the denoiser's weights to one data set, by its two half-maps.

    A part of the particle is held out: by it the best weights are chosen, and if none is better than the
    weights that it began with, these are kept and nothing is written. The result is not independent of the data
    set: look at its maps with it, but do not refine its particles with it.

    What was stopped or died goes on by: blush resume RUN_DIR
    """

    def prepared() -> FinetuneParameters:
        from blushcore.jobs.finetune.preflight import check_inputs

        absolute = parameters.with_absolute_paths()
        check_inputs(absolute)
        return absolute

    return open_run(
        JOBS["finetune"],
        prepared,
        output,
        detach=detach,
        json=json,
        closing=lambda finished: closing(finished, output),
    )


def closing(finished: Finished, output: Path) -> str:
    """Return what a fine-tuning came to, as the last line in a terminal."""
    end = finetuning_end(finished.figures)
    return (
        f"{end}; the weights are {output / finished.files['weights']}" if "weights" in finished.files else end
    )
