"""What a prior is given and what it gives back.

A prior is a function from reconstructions to references: ``prior(list[Reconstruction]) -> list[Reference]``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from blushcore.reconstruction.division import unfiltered_map, unregularised_map, wiener_map
from blushcore.reconstruction.half_sums import HalfSums

if TYPE_CHECKING:
    from blushcore.reconstruction.safeguards import Safeguards

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Unit:
    """What a map is of: a class of a classification, a body of a multi-body refinement.

    Attributes
    ----------
    kind
        A refinement of one map has class 1.
    number
        From 1 on.
    """

    kind: Literal["class", "body"] = "class"
    number: int = 1


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """One unit of one half after the maximisation step, before any prior.

    Attributes
    ----------
    sums
        Data and weight: Hermitian, symmetrised, joined at low resolution.
    fsc
        Of the two halves' unfiltered maps, float64 ``(n // 2 + 1,)``; zeros where there are no halves.
    tau2
        Power of the signal in each shell, float64 ``(n // 2 + 1,)``, in the units of ½|FFT/n²|².
    voxel_size
        In Å.
    diameter_angstrom
        Of the particle.
    tau_fudge
        T, which multiplies τ².
    mask
        Solvent mask ``(n, n, n)``, or None.
    symmetry
        Name of the point group that is already imposed.
    unit
        What this is a map of.
    half
        1 or 2; None where there are no halves, or both are in.
    is_last
        This is the last iteration: the result is final and not a reference.
    """

    sums: HalfSums
    fsc: Floats
    tau2: Floats
    voxel_size: float
    diameter_angstrom: float
    tau_fudge: float = 1.0
    mask: Tensor | None = None
    symmetry: str = "C1"
    unit: Unit = field(default_factory=Unit)
    half: Literal[1, 2] | None = None
    is_last: bool = False

    @property
    def data(self) -> Tensor:
        """Σ Γ·s·CTF·X/σ², complex64 ``grid.shape``."""
        return self.sums.data

    @property
    def weight(self) -> Tensor:
        """Σ Γ·(s·CTF)²/σ², float32 ``grid.shape``."""
        return self.sums.weight

    @property
    def box(self) -> int:
        """Edge of the map in voxels."""
        return self.sums.grid.n

    @property
    def current_size(self) -> int:
        """Twice the highest shell that was reconstructed."""
        return self.sums.grid.current_size

    @property
    def padding(self) -> int:
        """How many times larger the padded box is."""
        return self.sums.grid.padding

    def unregularised(self) -> Tensor:
        """Return data ÷ (W + 10⁻³⟨W⟩) as a map, float32 ``(n, n, n)``; computed anew at every call."""
        return unregularised_map(self.sums)

    def unfiltered(self) -> Tensor:
        """Return data ÷ max(W, ⟨W⟩/1000) as a map, float32 ``(n, n, n)``; computed anew at every call."""
        return unfiltered_map(self.sums)

    def wiener(self) -> Tensor:
        """Return data ÷ (W + 1/(Tτ²)) as a map, float32 ``(n, n, n)``; computed anew at every call."""
        return wiener_map(self.sums, self.tau2, tau_fudge=self.tau_fudge)


@dataclass(frozen=True, eq=False)
class Reference:
    """What a prior makes of a reconstruction: the next iteration's reference, or the final map.

    Attributes
    ----------
    map
        float32 ``(n, n, n)``.
    map_before
        The map the prior started from; the same tensor if the prior is the division itself.
    cutoff_shell
        The shell at which the prior cut `map` off, if it did: ½ of it is left there, and nothing above.
    denoised
        At last: a denoised map to look at, of which no figure is taken.
    diagnostics
        Figures worth recording, by name.
    safeguards
        Whether the prior keeps to the data, where that was measured; the same of both halves of a unit.
    warnings
        Sentences for the user.
    """

    map: Tensor
    map_before: Tensor
    cutoff_shell: int | None = None
    denoised: Tensor | None = None
    diagnostics: Mapping[str, float] = field(default_factory=dict)
    safeguards: Safeguards | None = None
    warnings: tuple[str, ...] = ()


Prior: TypeAlias = Callable[[list[Reconstruction]], list[Reference]]
"""Turns reconstructions into references, one for each in their order; it sees all units and halves at once."""
