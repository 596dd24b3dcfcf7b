"""The Blush prior: a denoiser where the Wiener filter was (Kimanius et al. 2024, IUCrJ 11:801).

Each half by itself: its unregularised map goes through the denoiser. Then *spectral trailing*: what comes out
is cut off just below the shell where the halves, before any denoiser, stop agreeing, so that nothing the
network made up beyond it can be taken for signal by the next iteration. The figures that resolution is judged
by never see a denoised map.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from blushcore.denoiser import VOXEL_SIZE_ANGSTROM, BlockDenoiser, denoise_map
from blushcore.reconstruction.reconstruction import Reconstruction, Reference, Unit
from blushcore.reconstruction.safeguards import safeguards_of
from blushcore.shells import filter_by_shell, shell_count, solvent_corrected_fsc

Floats = NDArray[np.float64]

LEAST_FSC = 1 / 7
"""The halves agree up to the first shell whose FSC is below this."""
_SHELLS_BELOW = 2
"""So far below that shell, and below the last one the denoiser's grid has, its maps are used."""


@dataclass(frozen=True)
class BlushPrior:
    """A prior that is a denoiser.

    Halves of a refinement: the denoised unregularised map, low-passed by `trailing_weights` (under a mask by
    the solvent-corrected FSC, for which both halves are to be given at once); or, where the halves agree beyond
    what the denoiser's grid holds, with the Wiener map's shells above that (`crossover_weights`). The joined
    map of the last iteration is the Wiener map; its denoised unregularised map comes beside it, to look at. A
    class without halves: its Wiener map, denoised, without a low-pass.

    Attributes
    ----------
    denoiser
        The network, resident on its device for all maps and iterations.
    spectral_trailing
        False leaves denoised maps of halves as they are: for experts, as resolution may then feed on itself.
    safeguards
        Whether denoised halves are held against the raw ones each time; it takes both halves at once.
    """

    denoiser: BlockDenoiser
    spectral_trailing: bool = True
    safeguards: bool = True

    def __call__(self, reconstructions: list[Reconstruction]) -> list[Reference]:
        """Return one reference for each reconstruction.

        Raises
        ------
        BlushError
            If not even a single block fits into the device's memory, or a map cannot be denoised.
        """
        agreement = _agreement(reconstructions)
        references: list[Reference] = []
        uncut: list[Tensor | None] = []
        for each in reconstructions:
            denoised = None
            if each.half is not None:
                reference, denoised = self._of_half(each, agreement[each.unit])
            elif each.fsc.any():
                reference = self._of_both(each)
            else:
                reference = self._of_class(each)
            references.append(reference)
            uncut.append(denoised if self.safeguards else None)
        return _with_safeguards(reconstructions, references, uncut)

    def _of_half(self, each: Reconstruction, fsc: Floats) -> tuple[Reference, Tensor]:
        """Return the reference, and the denoised map before it was cut off."""
        before = each.unregularised()
        denoised = self._denoised(each, before)
        cutoff, last = cutoff_shell(fsc), last_denoised_shell(each.box, each.voxel_size)
        if cutoff > last:
            return denoised.reference(_crossed_over(denoised.map, each, last), before), denoised.map
        if not self.spectral_trailing:
            return denoised.reference(denoised.map, before), denoised.map
        weights = trailing_weights(cutoff, shell_count(each.box))
        trailed = filter_by_shell(denoised.map, weights, interpolation="step", beyond="zero")
        return replace(denoised.reference(trailed, before), cutoff_shell=cutoff), denoised.map

    def _of_both(self, each: Reconstruction) -> Reference:
        denoised = self._denoised(each, each.unregularised())
        final = each.wiener()
        return replace(denoised.reference(final, final), denoised=denoised.map)

    def _of_class(self, each: Reconstruction) -> Reference:
        before = each.wiener()
        denoised = self._denoised(each, before)
        last = last_denoised_shell(each.box, each.voxel_size)
        holds_all = last + _SHELLS_BELOW >= each.box // 2
        return denoised.reference(
            denoised.map if holds_all else _crossed_over(denoised.map, each, last), before
        )

    def _denoised(self, each: Reconstruction, before: Tensor) -> _Denoised:
        began, batch_size = time.monotonic(), self.denoiser.batch_size
        result = denoise_map(
            self.denoiser,
            before,
            (each.voxel_size,) * 3,
            diameter=each.diameter_angstrom,
            name=f"The map of {_name(each)}",
        )
        figures = {"denoising_seconds": time.monotonic() - began, "denoised_blocks": float(result.blocks)}
        warnings = []
        if self.denoiser.batch_size < batch_size:
            smaller = f"it goes on with {self.denoiser.batch_size} blocks at a time"
            warnings.append(f"{self.denoiser.device} ran short of memory for the denoiser; {smaller}.")
        return _Denoised(result.map.to(before.device), figures, tuple(warnings))


class _Denoised(NamedTuple):
    map: Tensor
    figures: dict[str, float]
    warnings: tuple[str, ...]

    def reference(self, volume: Tensor, before: Tensor) -> Reference:
        """Return a reference that tells what the denoising took."""
        return Reference(volume, before, diagnostics=self.figures, warnings=self.warnings)


def cutoff_shell(fsc: Floats) -> int:
    """Return c, the shell at which denoised maps are cut off: two below the first whose FSC is below 1/7.

    Two below the last shell if the FSC stays above; never less than 1, as a map of nothing is no reference.

    Parameters
    ----------
    fsc
        Of the undenoised halves, solvent-corrected if there is a mask, float64 ``(n // 2 + 1,)``.
    """
    below = np.flatnonzero(fsc[1:] < LEAST_FSC)
    first = int(below[0]) + 1 if below.size else len(fsc) - 1
    return max(1, first - _SHELLS_BELOW)


def trailing_weights(cutoff: int, shells: int) -> Floats:
    """Return the weight of each of `shells` shells: 1 up to c − 1, ½ at the cut-off c, 0 from c + 1 on.

    A weight beyond c, however small, would leak what the network expects there into the next references.
    """
    shell = np.arange(shells)
    return np.where(shell < cutoff, 1.0, np.where(shell == cutoff, 0.5, 0.0))


def last_denoised_shell(box: int, voxel_size: float) -> int:
    """Return N: two shells below the Nyquist shell of the denoiser's grid (3 Å), for a box of voxels in Å."""
    return round(box * voxel_size / (2 * VOXEL_SIZE_ANGSTROM)) - _SHELLS_BELOW


def crossover_weights(last: int, shells: int) -> Floats:
    """Return the denoised map's weight in each of `shells` shells; the rest is the Wiener map's.

    It falls over three shells: ¾, ½, ¼ at N − 1, N, N + 1, for N = `last`.
    """
    return np.clip((last + 2 - np.arange(shells)) / 4, 0.0, 1.0)


def _crossed_over(denoised: Tensor, each: Reconstruction, last: int) -> Tensor:
    wiener = each.wiener()
    weights = crossover_weights(last, shell_count(each.box))
    return wiener + filter_by_shell(denoised - wiener, weights, interpolation="step", beyond="zero")


def _with_safeguards(
    reconstructions: list[Reconstruction], references: list[Reference], uncut: list[Tensor | None]
) -> list[Reference]:
    """Return the references, those of whole pairs of halves with what the denoiser did to them."""
    found = list(references)
    for first, one in enumerate(reconstructions):
        for second, other in enumerate(reconstructions):
            denoised = uncut[first], uncut[second]
            if (one.half, other.half) != (1, 2) or one.unit != other.unit:
                continue
            if denoised[0] is None or denoised[1] is None:
                continue
            before = references[first].map_before, references[second].map_before
            last = last_denoised_shell(one.box, one.voxel_size)
            measured = safeguards_of((one, other), before, (denoised[0], denoised[1]), last)
            for place in (first, second):
                found[place] = replace(found[place], safeguards=measured)
    return found


def _agreement(reconstructions: list[Reconstruction]) -> dict[Unit, Floats]:
    """Return the FSC that cuts off the denoised halves of each unit: the solvent-corrected one under a mask."""
    halves: dict[Unit, dict[int, Reconstruction]] = {}
    for each in reconstructions:
        if each.half is not None:
            halves.setdefault(each.unit, {})[each.half] = each
    return {unit: _agreement_of(pair) for unit, pair in halves.items()}


def _agreement_of(pair: dict[int, Reconstruction]) -> Floats:
    one = next(iter(pair.values()))
    if one.mask is None or len(pair) < 2:
        return one.fsc
    curves = solvent_corrected_fsc(
        pair[1].unfiltered(), pair[2].unfiltered(), one.mask, voxel_size=one.voxel_size
    )
    curve = curves.best.copy()
    curve[one.current_size // 2 + 1 :] = 0.0  # the mask carries something there, images do not
    return curve


def _name(each: Reconstruction) -> str:
    unit = f"{each.unit.kind} {each.unit.number}"
    if each.half is None:
        return "both halves" if each.fsc.any() else unit
    return f"half {each.half}" if each.unit == Unit() else f"{unit}, half {each.half}"
