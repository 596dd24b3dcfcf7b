"""The CTF's phase, split into what depends on the component and what on the particle.

``phase / 2π = defocus·a + cosine·a·cos 2α + sine·a·sin 2α + rest + shift`` with ``a = ½λ|k′|²``: a CTF of B
particles at P components takes four numbers of each, and no trigonometry but one sine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from blushcore.optics.frequencies import scaled_frequencies
from blushcore.optics.group import OpticsGroup
from blushcore.optics.parameters import CtfParameters
from blushcore.optics.zernike import even_zernike_sum


@dataclass(frozen=True, eq=False)
class ComponentTerms:
    """Per component, float64 ``(P,)``; phases in turns.

    Attributes
    ----------
    per_defocus, per_cosine, per_sine
        Turns per Å of mean defocus, and per Å of half astigmatism times the cosine and the sine of twice its
        angle.
    rest
        Spherical aberration, amplitude contrast and even Zernikes.
    decay
        −|k′|²/4 in 1/Å², the B factor's.
    """

    per_defocus: Tensor
    per_cosine: Tensor
    per_sine: Tensor
    rest: Tensor
    decay: Tensor

    @staticmethod
    def of(group: OpticsGroup, kx: Tensor, ky: Tensor, *, box: int | None = None) -> ComponentTerms:
        """Return the terms of components kx, ky of an image of `box` pixels."""
        x, y = scaled_frequencies(group, kx, ky, box=box)
        wavelength, cs = group.wavelength_angstrom, group.spherical_aberration_angstrom
        x2, y2 = x.square(), y.square()
        squared = x2 + y2
        rest = math.asin(group.amplitude_contrast) / (2 * math.pi) - cs * wavelength**3 / 4 * squared.square()
        if any(group.even_zernike):
            rest = rest - even_zernike_sum(group.even_zernike, x, y) / (2 * torch.pi)
        half = wavelength / 2
        # |k|² cos 2α and |k|² sin 2α need no angle.
        return ComponentTerms(half * squared, half * (x2 - y2), wavelength * x * y, rest, -squared / 4)


@dataclass(frozen=True, eq=False)
class ParticleTerms:
    """Per particle, float64 ``(B,)``: what multiplies the component terms.

    Attributes
    ----------
    defocus
        Mean of u and v in Å.
    cosine, sine
        Half of u − v in Å times the cosine and the sine of twice its angle.
    shift
        Phase shift in turns.
    """

    defocus: Tensor
    cosine: Tensor
    sine: Tensor
    shift: Tensor

    @staticmethod
    def of(parameters: CtfParameters) -> ParticleTerms:
        """Return the terms of CTF parameters."""
        u, v = parameters.defocus_u_angstrom.double(), parameters.defocus_v_angstrom.double()
        twice = 2 * torch.deg2rad(parameters.defocus_angle_deg.double())
        half = (u - v) / 2
        return ParticleTerms(
            (u + v) / 2, half * twice.cos(), half * twice.sin(), parameters.phase_shift_deg.double() / 360
        )
