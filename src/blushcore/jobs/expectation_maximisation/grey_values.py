"""Whether a reference's grey values can be those of the images: told before they mislead a first iteration.

A posterior is only right if projections and images have one scale (Scheres 2012, J Struct Biol 180:519). Maps
of other programs, and of atomic models, rarely have it; a first iteration by cross-correlation needs none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from blushcore.jobs.expectation_maximisation.expectation_inputs import ctf_parameters
from blushcore.jobs.expectation_maximisation.inputs import Inputs
from blushcore.optics import ctf
from blushcore.projection import FourierVolume
from blushcore.reconstruction.reference_power import tau2_from_reference
from blushcore.shells import PlaneComponents

TOO_STRONG = 10.0
"""Times the power of the images, of which the particle is but a part."""
TOO_WEAK = 1e-4
"""Of that power: nothing could be seen of such a particle, not even at low resolution."""
_SAME_EXTENT = 1e-3
_PARTICLES = 200


def power_ratio(
    inputs: Inputs, last_shell: int, noise: Sequence[NDArray[np.float64]], reference: int = 0
) -> float | None:
    """Return the power of a reference's projections over that of the images, up to `last_shell`.

    Parameters
    ----------
    inputs
        References and particles. The optics group with the reference's extent counts, and the CTFs of some.
    last_shell
        Up to which the reference has anything.
    noise
        σ²(s) of each optics group before anything is known of poses: particles and all.
    reference
        Which one of them, from 0 on.

    Returns
    -------
    None if no group has the reference's extent, or either has no power.
    """
    for number, (group, variance) in enumerate(zip(inputs.optics, noise, strict=True)):
        if abs(group.box * group.pixel_size_angstrom / inputs.size_angstrom - 1) > _SAME_EXTENT:
            continue
        last = min(last_shell, len(variance) - 1, inputs.box // 2)
        rows = np.flatnonzero(inputs.table.optics_index == number)[:_PARTICLES]
        plane = PlaneComponents.of(group.box, 2 * last)
        contrast = ctf(group, ctf_parameters(inputs.table, rows), plane.kx, plane.ky)
        of_ctf = plane.shell_sums(contrast.double().square().mean(0))[1 : last + 1].numpy()
        volume = FourierVolume.of(torch.from_numpy(inputs.references[reference]), 2 * last)
        ours = float(of_ctf @ tau2_from_reference(volume)[1 : last + 1])
        theirs = float(plane.shell_counts()[1 : last + 1].double().numpy() @ variance[1 : last + 1])
        return ours / theirs if ours > 0 and theirs > 0 else None
    return None


def grey_value_warnings(
    ratio: float | None, lowpass_angstrom: float, which: str = "the reference"
) -> list[str]:
    """Return a sentence if a `power_ratio` cannot be that of a reference of these particles."""
    if ratio is None or TOO_WEAK < ratio < TOO_STRONG:
        return []
    times = math.sqrt(ratio if ratio > 1 else 1 / ratio)
    how = "stronger" if ratio > 1 else "weaker"
    told = f"Up to {lowpass_angstrom:g} Å, projections of {which} are about {times:.0f} times {how} than"
    return [f"{told} the images: its grey values are not theirs. Begin again with --first-iteration-cc."]
