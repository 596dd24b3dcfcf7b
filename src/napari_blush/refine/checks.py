"""What is looked at before a run, by a process of its own: inputs, memory, disk, time; and the demo set."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from blushcore.interactive.messages import (
    CheckRefinement,
    Event,
    Failed,
    Load,
    Loaded,
    MakeDemoParticles,
    ParticlesMade,
    RefinementChecked,
    Working,
)
from napari_blush.panels.words import duration
from napari_blush.refine.kinds import JobKind, JobParameters
from napari_blush.worker import Questions, WorkerClient, sentence_of

_GIB = 2**30
_MIB = 2**20
_REFERENCE = "reference"


class Checks(Questions):
    """Asks whether a run can begin, for the demo set, and for diameters.

    `passed` comes with a `RefinementChecked`; `failed` also where the demo set could not be made.
    """

    progressed = Signal(int, int)
    made = Signal(ParticlesMade)
    estimated = Signal(object)
    """Diameter in Å, or None where no particle stands out."""

    def __init__(self, worker: WorkerClient, parent: QObject | None = None) -> None:
        super().__init__(worker, "check_refinement", RefinementChecked, parent)

    def check(self, kind: JobKind, params: JobParameters, output: Path) -> None:
        """Ask whether a run can begin; `passed` or `refused` comes."""
        self.ask(
            lambda name: CheckRefinement(
                id=name, job=kind.name, parameters=params.model_dump(mode="json"), output=output
            )
        )

    def make_demo(self, folder: Path) -> None:
        """Make the built-in set, or find that it is there; `progressed`, then `made` comes."""
        self.tell(MakeDemoParticles(id="demo", folder=folder))

    def estimate(self, reference: Path) -> None:
        """Estimate the diameter of what a map shows; `estimated` comes."""
        self.tell(Load(key=_REFERENCE, path=reference))

    def hear(self, event: Event) -> None:
        """Take what is said of the demo set and of diameters."""
        match event:
            case Failed(request="make_demo_particles" | "?"):
                self.failed.emit(sentence_of(event))
            case Working(id="demo"):
                self.progressed.emit(event.done, event.total)
            case ParticlesMade():
                self.made.emit(event)
            case Loaded(key=key) if key == _REFERENCE:
                self.estimated.emit(event.estimated_diameter)


def words_of_check(found: RefinementChecked) -> tuple[str, bool]:
    """Return what a check found, and whether it is worth a warning."""
    images = f"{found.particles} images"
    if found.half_sizes is not None:
        images = "Halves of {} and {} images".format(*found.half_sizes)
    memory = f"Memory {_gib(found.host_peak)} of {_gib(found.host_free)} free"
    if found.device_peak:
        memory += f" · on {found.device} {_gib(found.device_peak)} of {_gib(found.device_free)} free"
    lines = [
        f"{images} · {found.device}: {found.device_name}",
        memory,
        f"Disk {_size(found.disk)} of {_size(found.disk_free)} free",
    ]
    if found.seconds is not None:
        low, high = found.seconds
        lines.append(f"Roughly {duration(low)} to {duration(high)}")
    lines += found.warnings
    return "\n".join(lines), bool(found.warnings)


def _gib(size: int) -> str:
    return f"{size / _GIB:.1f} GiB"


def _size(size: int) -> str:
    return _gib(size) if size > _GIB else f"{max(1, round(size / _MIB))} MiB"
