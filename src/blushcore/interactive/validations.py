"""A validation of the denoiser that somebody waits for: a batch of blocks at a time."""

from __future__ import annotations

from collections.abc import Iterator

from blushcore.denoiser import Denoiser
from blushcore.denoiser.validating import DenoiserValidation
from blushcore.interactive.messages import DenoiserValidated, Event, ValidateDenoiser, Working
from blushcore.simulation.map_model import draw_model
from blushcore.volumes import Volume, require_halves, require_mask_values, require_same_grid


class Validating:
    """A `ValidateDenoiser` request under way; ``next(validating.steps())`` denoises some blocks.

    Parameters
    ----------
    request
        What is wanted.
    halves, mask
        The maps that it names.
    denoiser
        The network that it names.

    Raises
    ------
    BlushError
        If the maps are no two halves on one grid, the mask is empty, or the model cannot be read or lies
        elsewhere.
    """

    idle = False
    """There is always something to do until it has finished."""

    def __init__(
        self,
        request: ValidateDenoiser,
        halves: tuple[Volume, Volume],
        mask: Volume | None,
        denoiser: Denoiser,
    ) -> None:
        self.id, self.request = request.id, request.request
        self.finished = False
        settings = request.settings
        require_halves("Half-map 1", halves[0], "half-map 2", halves[1])
        if mask is not None:
            require_same_grid("The half-maps", halves[0], "the mask", mask)
            require_mask_values(float(mask.data.min()), float(mask.data.max()), "The mask")
        drawn = None if settings.model is None else draw_model(settings.model, halves[0])
        self._validation = DenoiserValidation(
            denoiser,
            halves,
            diameter=settings.diameter,
            mask=mask,
            drawn=drawn,
            seed=settings.seed,
        )

    def steps(self) -> Iterator[list[Event]]:
        """Denoise, and say how far it has come; the last step says what was found."""
        for at in self._validation.run():
            yield [
                Working(id=self.id, stage=at.stage, done=at.done, total=at.total, eta_seconds=at.eta_seconds)
            ]
        found = self._validation.result()
        self.finished = True
        yield [DenoiserValidated(id=self.id, sentences=tuple(found.sentences()), figures=found.figures())]
