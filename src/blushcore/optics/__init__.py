"""Optics: the contrast transfer function, aberrations, anisotropic magnification."""

from blushcore.optics.aberrations import aberration_phases
from blushcore.optics.ctf import ctf
from blushcore.optics.frequencies import scaled_frequencies
from blushcore.optics.group import OpticsGroup, electron_wavelength_angstrom
from blushcore.optics.parameters import CtfParameters
from blushcore.optics.star import optics_group_from_star
from blushcore.optics.zernike import even_zernike_sum, odd_zernike_sum

__all__ = [
    "CtfParameters",
    "OpticsGroup",
    "aberration_phases",
    "ctf",
    "electron_wavelength_angstrom",
    "even_zernike_sum",
    "odd_zernike_sum",
    "optics_group_from_star",
    "scaled_frequencies",
]
