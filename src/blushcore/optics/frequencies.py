"""The spatial frequencies of an image's Fourier components."""

from __future__ import annotations

from torch import Tensor

from blushcore.optics.group import OpticsGroup


def scaled_frequencies(
    group: OpticsGroup, kx: Tensor, ky: Tensor, *, box: int | None = None
) -> tuple[Tensor, Tensor]:
    """Return the frequencies k′ in 1/Å at which components see the particle.

    Parameters
    ----------
    group
        Pixel size and anisotropic magnification M: k′ = Mk (Zivanov 2020, IUCrJ 7:253).
    kx, ky
        The components, in units of one per box, ``(P,)`` or any other shape.
    box
        Box size in pixels; default: the group's.

    Returns
    -------
    x and y, float64 like `kx`; on the CPU for components on a device without float64 (MPS).
    """
    device = "cpu" if kx.device.type == "mps" else kx.device
    per_angstrom = 1 / ((box or group.box) * group.pixel_size_angstrom)
    x, y = kx.to(device).double() * per_angstrom, ky.to(device).double() * per_angstrom
    if group.magnification is None:
        return x, y
    (m00, m01), (m10, m11) = group.magnification
    return m00 * x + m01 * y, m10 * x + m11 * y
