"""The whole course of a validation: two half-maps, and the same with random phases, through a denoiser."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from blushcore.denoiser.application import MapDenoising, denoise_map
from blushcore.denoiser.denoiser import Denoiser
from blushcore.denoiser.findings import Findings
from blushcore.denoiser.network import VOXEL_SIZE_ANGSTROM
from blushcore.denoiser.validation import (
    Halves,
    Unchanged,
    cross_validation,
    masked_fsc,
    measured_transfer,
    phases_at_random,
)
from blushcore.protocol import Progress
from blushcore.shells import fsc, randomisation_start, resolution, shell_resolutions
from blushcore.volumes import Volume, grid_of_voxel_size


class DenoiserValidation:
    """Tests on two half-maps whether a denoiser keeps to the data, or makes things up.

    Both halves are denoised, and both once more with random phases from where they agree to 0.8 on, if shells
    are left beyond. All figures are within the denoiser's sphere, and up to the Nyquist frequency of its grid.

    Parameters
    ----------
    denoiser
        The denoiser, with its `info`.
    halves
        Two half-maps: cubes of cubic voxels on one grid.
    diameter
        Of the denoiser's sphere (Å); by default the box's.
    mask
        On the halves' grid, 0 to 1: where figures are taken; by default in the whole sphere.
    drawn
        An atomic model as a map on their grid, ``[z, y, x]``.
    seed
        Of the random phases.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        halves: tuple[Volume, Volume],
        *,
        diameter: float | None = None,
        mask: Volume | None = None,
        drawn: NDArray[np.float32] | None = None,
        seed: int = 0,
    ) -> None:
        assert denoiser.info is not None  # `Denoiser.load` always has it
        self._denoiser, self._weights = denoiser, denoiser.info.name
        self._halves = torch.from_numpy(halves[0].data), torch.from_numpy(halves[1].data)
        self._voxel_size, self._size = halves[0].voxel_size, halves[0].isotropic_voxel_size
        self._diameter, self._seed = diameter, seed
        self._mask = None if mask is None else torch.from_numpy(mask.data)
        self._drawn = None if drawn is None else torch.from_numpy(drawn)
        self._findings: Findings | None = None

    def run(self) -> Iterator[Progress]:
        """Do it batch by batch; `done` and `total` count the blocks of all maps. Stop iterating to cancel."""
        raw = self._unchanged(self._halves[0]), self._unchanged(self._halves[1])
        start = randomisation_start(fsc(*raw)[: self._shells])
        given = dict(zip(("half-map 1", "half-map 2"), self._halves, strict=True))
        if start is not None:
            random = phases_at_random(self._halves, start, self._seed)
            given |= {f"{name}, random phases": half for name, half in zip(tuple(given), random, strict=True)}
        denoised: list[Tensor] = []
        began = time.monotonic()
        for stage, half in given.items():
            work = MapDenoising(self._denoiser, half, self._voxel_size, diameter=self._diameter)
            for progress in work.run():
                done, total = len(denoised) * progress.total + progress.done, len(given) * progress.total
                eta = (time.monotonic() - began) * (total - done) / done if done else None
                yield replace(progress, stage=f"denoising {stage}", done=done, total=total, eta_seconds=eta)
            denoised.append(work.result().map)
        self._findings = self._found(raw, (denoised[0], denoised[1]), start, denoised[2:])

    def result(self) -> Findings:
        """Return what was found; only after `run` has ended."""
        if self._findings is None:
            raise RuntimeError("the validation has not ended")
        return self._findings

    @property
    def _shells(self) -> int:
        """How many shells both the halves' grid and the denoiser's hold."""
        n = len(self._halves[0])
        grid, _ = grid_of_voxel_size((n, n, n), self._voxel_size, VOXEL_SIZE_ANGSTROM)
        return min(n, grid[0]) // 2 + 1

    def _unchanged(self, half: Tensor) -> Tensor:
        return denoise_map(Unchanged(), half, self._voxel_size, diameter=self._diameter).map

    def _found(self, raw: Halves, denoised: Halves, start: int | None, chance: list[Tensor]) -> Findings:
        n, shells = len(raw[0]), self._shells
        crossed = cross_validation(raw, denoised, self._mask)
        transfer = measured_transfer(raw, denoised, self._mask)
        last = resolution(crossed.raw[:shells], n * self._size).shell
        curves = {
            "raw": crossed.raw,
            "cross": crossed.cross,
            "transfer_signal": transfer.signal,
            "transfer_noise": transfer.noise,
        }
        if chance:
            curves["chance"] = masked_fsc((chance[0], chance[1]), self._mask)
        if self._drawn is not None:
            for name, (one, two) in (("model_raw", raw), ("model_denoised", denoised)):
                curves[name] = masked_fsc(((one + two) / 2, self._drawn), self._mask)
        return Findings(
            shell_resolutions(n, self._size)[:shells],
            {name: curve[:shells] for name, curve in curves.items()},
            last,
            start,
            crossed.gain(last) if last else 0.0,
            self._weights,
            str(self._denoiser.device),
            self._mask is not None,
            n,
            self._size,
        )
