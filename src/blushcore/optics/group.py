"""An optics group: what particles from one microscope session have in common."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

ANGSTROM_PER_MM = 1e7
SAME_SIZE = 1e-6
"""Extents that differ by less than this, relatively, are the same."""


def electron_wavelength_angstrom(voltage_kilovolts: float) -> float:
    """Return the relativistic wavelength of electrons accelerated by a voltage."""
    volts = 1000 * voltage_kilovolts
    return 12.2643247 / math.sqrt(volts + 0.978466e-6 * volts**2)


@dataclass(frozen=True)
class OpticsGroup:
    """Microscope and camera of a group of particles.

    Attributes
    ----------
    number
        ``rlnOpticsGroup``.
    name
        ``rlnOpticsGroupName``.
    voltage_kilovolts, spherical_aberration_mm, amplitude_contrast
        Of the microscope; the amplitude contrast is a fraction, −1 to 1.
    pixel_size_angstrom, box
        Pixel size and box size (pixels) of the images.
    magnification
        Anisotropic magnification M, rows (m00, m01) and (m10, m11): an image's frequency k is that of the
        particle at k′ = Mk. None: isotropic.
    even_zernike, odd_zernike
        Coefficients of aberrations in RELION's order; see `zernike`.
    beam_tilt_mrad
        Beam tilt along x and y.
    ctf_premultiplied
        Whether the images have been multiplied by their CTF already. (`ctf` is the CTF itself either way.)
    """

    number: int
    name: str
    voltage_kilovolts: float
    spherical_aberration_mm: float
    amplitude_contrast: float
    pixel_size_angstrom: float
    box: int
    magnification: tuple[tuple[float, float], tuple[float, float]] | None = None
    even_zernike: tuple[float, ...] = ()
    odd_zernike: tuple[float, ...] = ()
    beam_tilt_mrad: tuple[float, float] = (0.0, 0.0)
    ctf_premultiplied: bool = False

    def __post_init__(self) -> None:
        if not (self.voltage_kilovolts > 0 and self.pixel_size_angstrom > 0 and self.box > 0):
            kv, a = self.voltage_kilovolts, self.pixel_size_angstrom
            raise ValueError(f"optics group {self.number} of {kv} kV, {a} Å a pixel and {self.box} pixels")
        if not -1 <= self.amplitude_contrast <= 1:
            raise ValueError(f"optics group {self.number} with amplitude contrast {self.amplitude_contrast}")

    @property
    def wavelength_angstrom(self) -> float:
        """λ of the electrons."""
        return electron_wavelength_angstrom(self.voltage_kilovolts)

    @property
    def spherical_aberration_angstrom(self) -> float:
        """Cₛ in Å."""
        return self.spherical_aberration_mm * ANGSTROM_PER_MM

    @property
    def has_odd_aberrations(self) -> bool:
        """Whether images of the group have to be corrected for odd aberrations."""
        return any(self.odd_zernike) or any(self.beam_tilt_mrad)

    def slice_magnification(
        self, relative_size: float = 1.0, *, volume_box: int | None = None
    ) -> Tensor | None:
        """Return the matrix that takes the images' frequencies to those of a volume, both as whole numbers.

        Parameters
        ----------
        relative_size
            The image's extent over the volume's, both in Å.
        volume_box
            The volume's box in voxels; default: the images'.

        Returns
        -------
        float64 ``(2, 2)``, M divided by `relative_size`; None if that is the identity and the boxes are the
        same, so that the volume has the same components.
        """
        same = abs(relative_size - 1) < SAME_SIZE
        if same and self.magnification is None and volume_box in (None, self.box):
            return None
        matrix = torch.tensor(self.magnification or ((1.0, 0.0), (0.0, 1.0)), dtype=torch.float64)
        return matrix if same else matrix / relative_size
