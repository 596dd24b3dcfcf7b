"""Two half-maps on their way through the computing process to what a validation finds."""

from __future__ import annotations

from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from blushcore.interactive.messages import (
    DenoiserValidated,
    Describe,
    Described,
    Event,
    ValidateDenoiser,
    ValidationSettings,
)
from blushcore.volumes import Volume
from napari_blush.background import Background
from napari_blush.worker import MASK, MapTask, WorkerClient


class ValidationTask(MapTask):
    """Validates the denoiser in the computing process, on one pair of half-maps at a time.

    Parameters
    ----------
    worker, background, parent
        See `MapTask`.
    """

    done = Signal(object)
    """What was found: a `DenoiserValidated`."""
    described = Signal(object)
    """Which weights and devices there are: a `Described`."""

    def __init__(self, worker: WorkerClient, background: Background, parent: QObject | None = None) -> None:
        super().__init__(worker, background, DenoiserValidated, parent)

    def describe(self) -> None:
        """Ask which weights and devices there are; `described` comes."""
        self._worker.start()
        self._worker.tell(Describe())

    def validate(
        self, halves: tuple[Volume, Volume], mask: Volume | None, settings: ValidationSettings
    ) -> None:
        """Validate on two half-maps, within a mask if there is one; instead of what is under way."""
        maps = {"half1": halves[0], "half2": halves[1]}
        if mask is not None:
            maps[MASK] = mask
        self.begin(
            maps,
            lambda name, keys: ValidateDenoiser(
                id=name, halves=(keys["half1"], keys["half2"]), mask=keys.get(MASK), settings=settings
            ),
        )

    def take(self, event: DenoiserValidated) -> None:
        """Hand on what was found."""
        self._end()
        self.done.emit(event)

    def _on_said(self, event: Event) -> None:
        if isinstance(event, Described):
            self.described.emit(event)
        super()._on_said(event)
