"""What a job that searches poses tells of its inputs before it begins, and how it looks at them."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator

from blushcore.denoiser.finetuned import warning_for_particles
from blushcore.devices import describe_device
from blushcore.jobs.expectation_maximisation.inputs import Inputs
from blushcore.protocol import Control, Event, Message, Progress

_GIB = 2**30
_LOOK_BYTES = 2**24
_LARGEST_LOOK = 1024
"""Images looked at between two looks for commands: a slow disk takes less than half a second for so much."""


def told_before(inputs: Inputs, task: str, largest: str) -> Iterator[Message]:
    """Tell what the run will be like.

    Parameters
    ----------
    inputs
        What it begins with.
    task
        What is done with the particles, as the sentence goes on after their box and pixel size.
    largest
        The beginning of the sentence that tells how much memory is needed.
    """
    table, need = inputs.table, inputs.need
    yield Message(
        text=f"{len(table)} particles of {inputs.box} pixels of {inputs.voxel_size:.4g} Å{task}; "
        f"optics groups: {len(table.optics)}; groups of one scale: {len(table.group_names)}; "
        f"symmetry {inputs.symmetry.name}."
    )
    on_device = f", {need.device / _GIB:.1f} GiB on {inputs.device}" if need.device else ""
    images = "images are kept in memory" if need.images else "images are read again in each iteration"
    yield Message(
        text=f"{largest} about {need.host / _GIB:.1f} GiB of memory{on_device} ({images}). "
        f"It runs on {describe_device(inputs.device)}."
    )
    if inputs.weights is not None:
        name, sha256 = inputs.weights.name, inputs.weights.sha256
        yield Message(text=f"The prior is Blush with the weights {name} (sha256 {sha256[:12]}).")
        if text := warning_for_particles(inputs.weights):
            yield from warned([text])


def warned(sentences: Iterable[str]) -> Iterator[Message]:
    """Tell what the user should know before trusting the result."""
    for text in sentences:
        yield Message(text=text, level="warning")


def survey(inputs: Inputs, control: Control) -> Generator[Event, None, None]:
    """Look at every image once, so that one that cannot be used does not end the run later.

    Raises
    ------
    BlushError
        With the rows of those that cannot be used.
    """
    rows = range(len(inputs.table))
    step = int(max(1, min(_LARGEST_LOOK, _LOOK_BYTES // (4 * int(inputs.reader.box.max()) ** 2))))
    for first in range(0, len(rows), step):
        part = list(rows[first : first + step])
        faults = inputs.reader.survey(part)
        if len(faults.rows):
            raise faults.error(inputs.table)
        yield from control.obey()
        yield Progress(stage="looking at the images", done=first + len(part), total=len(rows), unit="images")
