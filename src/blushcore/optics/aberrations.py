"""Odd aberrations and beam tilt: phases that turn an image's components, and their undoing."""

from __future__ import annotations

import torch
from torch import Tensor

from blushcore.optics.frequencies import scaled_frequencies
from blushcore.optics.group import OpticsGroup
from blushcore.optics.zernike import odd_zernike_sum


def aberration_phases(group: OpticsGroup, kx: Tensor, ky: Tensor, *, box: int | None = None) -> Tensor | None:
    """Return the factors e^(−iφ) that undo the odd aberrations of a group's images.

    ``φ = Σ c_odd Z(k′) − 2π·10⁻³·Cₛλ²|k′|²(t·k′)`` with the beam tilt t in mrad (Zivanov 2018, eLife 7:e42166;
    2020, IUCrJ 7:253). An image as the microscope makes it holds e^(+iφ).

    Parameters
    ----------
    group
        The optics group.
    kx, ky
        Components in units of one per box, ``(P,)``.
    box
        Box size in pixels; default: the group's.

    Returns
    -------
    complex64 ``(P,)``, or None if the group has neither odd aberrations nor beam tilt.
    """
    if not group.has_odd_aberrations:
        return None
    x, y = scaled_frequencies(group, kx, ky, box=box)
    tilt_x, tilt_y = group.beam_tilt_mrad
    coma = 2e-3 * torch.pi * group.spherical_aberration_angstrom * group.wavelength_angstrom**2
    phase = odd_zernike_sum(group.odd_zernike, x, y)
    phase = phase - coma * (x.square() + y.square()) * (tilt_x * x + tilt_y * y)
    phase = torch.remainder(phase, 2 * torch.pi).float().to(kx.device)
    return torch.polar(torch.ones_like(phase), -phase)
