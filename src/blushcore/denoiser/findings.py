"""What a validation found out about a denoiser: curves over shells, and what to say of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from blushcore.shells.resolution import HALF_MAP_THRESHOLD, MAP_MODEL_THRESHOLD, resolution

Floats = NDArray[np.float64]
Verdict: TypeAlias = Literal["keeps", "invents beyond", "harm", "nothing"]

_NO_GAIN = -0.01


@dataclass(frozen=True, eq=False)
class Findings:
    """All curves, and what to say of them.

    Attributes
    ----------
    angstrom
        Resolution of each shell that the denoiser's grid holds, float64 ``(shells,)``; infinite of shell 0.
    curves
        float64 ``(shells,)`` each, NaN where there is nothing to tell: ``raw`` and ``cross``, see
        `CrossValidation`; ``transfer_signal`` and ``transfer_noise``, see `Transfer`; ``chance``, see
        `agreement_by_chance`, where some shells are left for it; ``model_raw`` and ``model_denoised``, the FSC
        with an atomic model of both halves together, where there is one.
    last_shell
        The last in which the raw halves agree to 0.143; 0 if there is none.
    from_shell
        From which on phases were random; None if the halves agree to 0.8 in all shells.
    gain
        What denoising adds to the agreement with the raw other half, on the mean up to `last_shell`.
    weights, device
        Name of the network, and where it computed.
    masked
        Whether there was a mask.
    box, voxel_size
        Of the maps: voxels, Å.
    """

    angstrom: Floats
    curves: dict[str, Floats]
    last_shell: int
    from_shell: int | None
    gain: float
    weights: str
    device: str
    masked: bool
    box: int
    voxel_size: float

    @property
    def made_up(self) -> float | None:
        """Mean FSC with random phases, over ten shells, two above where they begin; None if none are left."""
        if self.from_shell is None:
            return None
        beyond = self.curves["chance"][self.from_shell + 2 : self.from_shell + 12]
        return float(beyond.mean()) if len(beyond) else None

    @property
    def verdict(self) -> Verdict:
        """Return it all in a word: it ``keeps`` to the data; does so, but ``invents beyond`` them, where only
        spectral trailing helps; does ``harm`` within them; or there is ``nothing`` to hold it against.
        """
        if not self.last_shell:
            return "nothing"
        if self.gain < _NO_GAIN:
            return "harm"
        return "invents beyond" if (self.made_up or 0.0) > HALF_MAP_THRESHOLD else "keeps"

    def sentences(self) -> list[str]:
        """Return what was found, most important first."""
        told = [f"Weights {self.weights}, on {self.device}.", self._of_cross_validation()]
        if not self.masked:
            told.append("No mask was given: taking away noise of the solvent counts as a gain.")
        told.append(self._of_random_phases())
        if "model_raw" in self.curves:
            raw, denoised = (self._reached(f"model_{name}") for name in ("raw", "denoised"))
            told.append(f"The FSC of both halves together with the model {raw}; denoised, it {denoised}.")
        return told

    def figures(self) -> dict[str, Any]:
        """Return all of it as JSON values; what is not known is None."""
        return {
            "verdict": self.verdict,
            "weights": self.weights,
            "device": self.device,
            "box": self.box,
            "voxel_size_angstrom": self.voxel_size,
            "shell_at_0.143": self.last_shell,
            "random_phases_from_shell": self.from_shell,
            "cross_validation_gain": self.gain,
            "made_up": self.made_up,
            "angstrom": _values(self.angstrom),
            "curves": {name: _values(curve) for name, curve in self.curves.items()},
        }

    def _of_cross_validation(self) -> str:
        if not self.last_shell:
            return (
                f"The halves agree to {HALF_MAP_THRESHOLD:g} nowhere: there is nothing to hold denoised ones "
                "against."
            )
        verb = "lower" if self.gain < 0 else "higher"
        harm = " It takes signal away or invents." if self.verdict == "harm" else ""
        return (
            f"A denoised half agrees with the raw other one by {abs(self.gain):.3f} {verb} than the raw halves "
            f"do, on average up to {self.angstrom[self.last_shell]:.3g} Å, where the halves agree to "
            f"{HALF_MAP_THRESHOLD:g}.{harm}"
        )

    def _of_random_phases(self) -> str:
        if self.made_up is None or self.from_shell is None:
            return "The halves agree up to the last shells: none are left to be random."
        told = (
            f"With random phases from {self.angstrom[self.from_shell]:.3g} Å on, denoised halves agree beyond "
            f"it by {self.made_up:.2f}."
        )
        if self.made_up > HALF_MAP_THRESHOLD:
            told += " That is what it makes up: in refinements, spectral trailing has to cut it off."
        return told

    def _reached(self, name: str) -> str:
        found = resolution(self.curves[name], self.box * self.voxel_size, MAP_MODEL_THRESHOLD)
        if found.reaches_nyquist:
            return f"is above {MAP_MODEL_THRESHOLD:g} up to {found.angstrom:.2f} Å, the last shell"
        if found.shell == 0:
            return f"is below {MAP_MODEL_THRESHOLD:g} from the first shell on"
        return f"falls below {MAP_MODEL_THRESHOLD:g} at {found.interpolated_angstrom:.2f} Å"


def _values(curve: Floats) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in curve]
