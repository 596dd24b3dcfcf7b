"""The contrast transfer function of many particles at many Fourier components."""

from __future__ import annotations

import torch
from torch import Tensor

from blushcore.devices import kernel_threads
from blushcore.optics.ctf_kernels import ctf_values
from blushcore.optics.ctf_tensor_ops import ctf_by_tensors
from blushcore.optics.group import OpticsGroup
from blushcore.optics.parameters import CtfParameters
from blushcore.optics.phase_terms import ComponentTerms, ParticleTerms


def ctf(
    group: OpticsGroup,
    parameters: CtfParameters,
    kx: Tensor,
    ky: Tensor,
    *,
    box: int | None = None,
    intact_first_peak: bool = False,
) -> Tensor:
    """Return the CTF, positive at low frequency for white particles.

    ``sin(πλΔf(α)k² − ½πCₛλ³k⁴ + φ_shift + asin(Q₀) − Σ c_even Z(k)) · exp(−Bk²/4) · scale`` with the defocus
    ``Δf(α) = ½[(u + v) + (u − v) cos 2(α − α₀)]`` (Mindell & Grigorieff 2003, J Struct Biol 142:334; Zivanov
    2020, IUCrJ 7:253), all at k = k′ of `scaled_frequencies`.

    Parameters
    ----------
    group
        The optics group of all the particles.
    parameters
        Of B particles.
    kx, ky
        P components, in units of one per box; on the device where the result shall be.
    box
        Box size in pixels; default: the group's.
    intact_first_peak
        1 instead of the CTF below its first peak (before B factor and scale).

    Returns
    -------
    float32 ``(B, P)``, right to 1e-6 or so: the phase is not rounded to float32.
    """
    components = ComponentTerms.of(group, kx, ky, box=box)
    if not kernel_threads.has_kernels(kx.device):
        return ctf_by_tensors(components, parameters, kx.device, intact_first_peak=intact_first_peak)
    particles = ParticleTerms.of(parameters)
    out = torch.empty(parameters.count, len(kx), dtype=torch.float32)
    kernel_threads.use_torch_threads()
    ctf_values(
        torch.stack(
            (components.per_defocus, components.per_cosine, components.per_sine, components.rest)
        ).numpy(),
        torch.stack((particles.defocus, particles.cosine, particles.sine, particles.shift), -1).cpu().numpy(),
        components.decay.float().numpy(),
        parameters.b_factor.cpu().float().numpy(),
        parameters.scale.cpu().float().numpy(),
        intact_first_peak,
        out.numpy(),
    )
    return out
