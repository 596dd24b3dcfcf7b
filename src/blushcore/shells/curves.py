"""The FSC curves of a pair of halves, as one value that can be kept as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from blushcore.protocol import BlushError
from blushcore.shells.geometry import Floats, shell_count, shell_counts, shell_frequencies, shell_resolutions
from blushcore.shells.resolution import HALF_MAP_THRESHOLD, Resolution, resolution

_SCHEMA = 1
_CURVES = ("unmasked", "masked", "randomised", "corrected")


@dataclass(frozen=True, eq=False, kw_only=True)
class FscCurves:
    """All that a comparison of two halves yields, one value a shell.

    Attributes
    ----------
    box
        Box size in voxels.
    voxel_size
        In Å.
    unmasked
        FSC of the halves as they are, float64 ``(box // 2 + 1,)``.
    masked
        FSC of the halves times the mask; None without a mask, as are all that follow.
    randomised
        FSC of the halves with randomised phases times the mask: what the mask alone makes agree. None too if
        nothing was randomised.
    corrected
        FSC freed of the mask's share: the curve to believe.
    randomised_from_shell
        Shell from whose radius on phases were randomised; None if there was none.
    mask_fraction
        Share of the box that the mask lets through: (Σm²)²/(n³Σm⁴), a binary mask's share of the volume.
    """

    box: int
    voxel_size: float
    unmasked: Floats
    masked: Floats | None = None
    randomised: Floats | None = None
    corrected: Floats | None = None
    randomised_from_shell: int | None = None
    mask_fraction: float | None = None

    def __post_init__(self) -> None:
        for name in _CURVES:
            curve = getattr(self, name)
            optional = name != "unmasked"
            if not (optional and curve is None) and np.shape(curve) != (shell_count(self.box),):
                raise ValueError(f"{name} has shape {np.shape(curve)}, not ({shell_count(self.box)},)")
        if (self.masked is None) != (self.corrected is None):
            raise ValueError("masked and corrected come together")
        if (self.randomised is None) != (self.randomised_from_shell is None):
            raise ValueError("randomised and randomised_from_shell come together")

    @property
    def best(self) -> Floats:
        """The corrected curve where there is one, else the unmasked."""
        return self.unmasked if self.corrected is None else self.corrected

    @property
    def frequencies(self) -> Floats:
        """Spatial frequency of each shell in 1/Å."""
        return shell_frequencies(self.box, self.voxel_size)

    @property
    def resolutions(self) -> Floats:
        """Resolution of each shell in Å; infinite for shell 0."""
        return shell_resolutions(self.box, self.voxel_size)

    @property
    def randomised_error(self) -> Floats | None:
        """About the standard deviation that chance gives the randomised curve; None without a mask.

        1/√N for the N components of a shell that vary on their own. A mask ties each to its 1/`mask_fraction`
        neighbours in Fourier space, of which the power ⅔ lies in a shell as thin as one.
        """
        if self.mask_fraction is None:
            return None
        independent = shell_counts(self.box) * self.mask_fraction ** (2.0 / 3.0)
        error: Floats = 1.0 / np.sqrt(np.maximum(independent, 1.0))
        return error

    def resolution(self, threshold: float = HALF_MAP_THRESHOLD) -> Resolution:
        """Return the resolution of the best curve at `threshold`."""
        return resolution(self.best, self.box * self.voxel_size, threshold)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values only, as `from_dict` takes them; a curve that is not there is None."""
        curves = {name: None if (c := getattr(self, name)) is None else c.tolist() for name in _CURVES}
        return {
            "schema": _SCHEMA,
            "box": self.box,
            "voxel_size_angstrom": self.voxel_size,
            "frequency_per_angstrom": self.frequencies.tolist(),
            **curves,
            "randomised_from_shell": self.randomised_from_shell,
            "mask_fraction": self.mask_fraction,
        }

    def to_json(self) -> str:
        """Return the curves as a JSON object."""
        return json.dumps(self.to_dict(), allow_nan=False)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Build the curves from what `to_dict` returned.

        Raises
        ------
        BlushError
            If something is missing or of another schema.
        """
        if values.get("schema") != _SCHEMA:
            raise BlushError(
                f"These FSC curves have schema {values.get('schema')!r}; this version reads {_SCHEMA}.",
                "Compute them again with blush fsc.",
            )
        try:
            curves = {
                name: None if values[name] is None else np.array(values[name], np.float64) for name in _CURVES
            }
            return cls(
                box=int(values["box"]),
                voxel_size=float(values["voxel_size_angstrom"]),
                randomised_from_shell=values["randomised_from_shell"],
                mask_fraction=values["mask_fraction"],
                **curves,  # type: ignore[arg-type]  # __post_init__ refuses unmasked=None
            )
        except KeyError as error:
            raise BlushError(
                f"These FSC curves lack the field {error}.", "Compute them again with blush fsc."
            ) from None
        except (TypeError, ValueError) as error:
            raise BlushError(
                f"These FSC curves are damaged: {error}.", "Compute them again with blush fsc."
            ) from None

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Build the curves from what `to_json` returned; raises `BlushError` as `from_dict` does."""
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise BlushError(f"These FSC curves are not JSON: {error}.", "Compute them again.") from None
        if not isinstance(values, dict):
            raise BlushError("These FSC curves are not a JSON object.", "Compute them again with blush fsc.")
        return cls.from_dict(values)
