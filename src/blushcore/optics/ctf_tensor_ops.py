"""The CTF on devices other than the processor, where float64 is slow or missing: float32 throughout.

A phase of hundreds of turns has no fraction left in float32. So the defocus is split into a whole number m of
coarse steps and a remainder of less than one step. Of the turns in a coarse step only the fraction counts; it
is split in turn into 12 bits, whose product with m is exact, and a rest below 2⁻¹³, whose product is small.
"""

from __future__ import annotations

import torch
from torch import Tensor

from blushcore.optics.parameters import CtfParameters
from blushcore.optics.phase_terms import ComponentTerms, ParticleTerms

COARSE_STEP_ANGSTROM = 256.0
VALUES_AT_ONCE = 2**24


def ctf_by_tensors(
    components: ComponentTerms, parameters: CtfParameters, device: torch.device, *, intact_first_peak: bool
) -> Tensor:
    """Return the CTF, float32 ``(B, P)`` on `device`; arguments as for `ctf`."""
    particles = ParticleTerms.of(parameters)
    split = [
        _Product(particle, component, device)
        for particle, component in (
            (particles.defocus, components.per_defocus),
            (particles.cosine, components.per_cosine),
            (particles.sine, components.per_sine),
        )
    ]
    rest = _fraction(components.rest).float().to(device)
    shift = _fraction(particles.shift).float().to(device)
    decay = components.decay.float().to(device)
    b_factor, scale = parameters.b_factor.float().to(device), parameters.scale.float().to(device)
    damped = bool((parameters.b_factor != 0).any())
    out = torch.empty(parameters.count, len(rest), dtype=torch.float32, device=device)
    at_once = max(1, VALUES_AT_ONCE // max(1, len(rest)))
    for first in range(0, parameters.count, at_once):
        rows = slice(first, first + at_once)
        turns = rest + shift[rows, None]
        for product in split:
            turns += product.fraction_of_turns(rows)
        values = torch.sin((2 * torch.pi) * _fraction(turns))
        if intact_first_peak:
            values = torch.where(_turns(components, particles, rows, device).abs() < 0.25, 1.0, values)
        if damped:
            values *= torch.exp(b_factor[rows, None] * decay)
        torch.mul(values, scale[rows, None], out=out[rows])
    return out


class _Product:
    """Ångströms of B particles times turns per ångström of P components, but for whole turns."""

    def __init__(self, angstroms: Tensor, turns_per_angstrom: Tensor, device: torch.device) -> None:
        whole = torch.round(angstroms / COARSE_STEP_ANGSTROM)
        per_step = _fraction(turns_per_angstrom * COARSE_STEP_ANGSTROM)
        high = torch.round(per_step * 4096) / 4096
        self.whole = whole.float().to(device)
        self.remainder = (angstroms - whole * COARSE_STEP_ANGSTROM).float().to(device)
        self.high = high.float().to(device)
        self.low = (per_step - high).float().to(device)
        self.fine = turns_per_angstrom.float().to(device)

    def fraction_of_turns(self, rows: slice) -> Tensor:
        whole, remainder = self.whole[rows, None], self.remainder[rows, None]
        return _fraction(whole * self.high) + (whole * self.low + remainder * self.fine)


def _turns(components: ComponentTerms, particles: ParticleTerms, rows: slice, device: torch.device) -> Tensor:
    """Return all the turns, to float32's relative precision: enough to tell which are below a quarter."""
    turns = components.rest.float().to(device) + particles.shift[rows, None].float().to(device)
    for particle, component in (
        (particles.defocus, components.per_defocus),
        (particles.cosine, components.per_cosine),
        (particles.sine, components.per_sine),
    ):
        turns += particle[rows, None].float().to(device) * component.float().to(device)
    return turns


def _fraction(turns: Tensor) -> Tensor:
    return turns - turns.round()
