"""Controls of blush_vs_wiener.py: denoisers that should and should not be blamed, and images without detail."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import mrcfile
import numpy as np
import starfile
import torch
from refine_scores import crossing, shell_correlation
from scipy import ndimage
from torch import Tensor

from blushcore.denoiser import BlockDenoiser, Denoised, Denoiser, denoise_map
from blushcore.denoiser.validation import Unchanged, agreement_by_chance, cross_validation
from blushcore.reconstruction import cutoff_shell, trailing_weights
from blushcore.shells import (
    filter_by_shell,
    fsc,
    randomisation_start,
    randomise_phases,
    resolution,
    shell_count,
)
from blushcore.volumes import read_map

BLAME = 0.143
"""Mean FSC of halves with random phases from which on a denoiser is blamed."""
_SHELLS = 10
_STRENGTH = 3.0
"""Of made-up detail, in standard deviations of the map."""
_NOTHING = 0.05
"""Standard deviation, of that of the raw halves, below which there is nothing in a map that could agree."""


class Constant(Unchanged):
    """Finds nothing."""

    def __call__(self, blocks: Tensor, local_std: Tensor) -> Denoised:  # noqa: ARG002
        """Return empty blocks."""
        return Denoised(torch.zeros_like(blocks), torch.zeros_like(blocks))


class Inventing(Unchanged):
    """Adds the same detail to whatever it is given."""

    def __init__(self) -> None:
        self.detail = _STRENGTH * torch.randn((64,) * 3, generator=torch.Generator().manual_seed(5))

    def __call__(self, blocks: Tensor, local_std: Tensor) -> Denoised:  # noqa: ARG002
        """Return the blocks and the detail."""
        return Denoised(blocks + self.detail, torch.zeros_like(blocks))


@dataclass(frozen=True)
class Control:
    """What a denoiser did to two halves.

    Attributes
    ----------
    name
        Of the denoiser.
    gain
        Mean of denoised-with-other-raw FSC less that of the raw halves, up to their 0.143.
    made_up
        Mean FSC of the denoised halves over ten shells, two above where their phases became random.
    made_up_trailed
        The same after spectral trailing; 0 where nothing is left.
    """

    name: str
    gain: float
    made_up: float
    made_up_trailed: float

    @property
    def is_blamed(self) -> bool:
        """Whether it makes things up; one that finds nothing does not."""
        return self.made_up > BLAME


def test_controls(run: Path, diameter: float, weights: str | None, device: str) -> list[Control]:
    """Try the network and three stand-ins on the final undenoised halves of a run."""
    one, two = (read_map(run / f"run_half{half}_class001_unfil.mrc") for half in (1, 2))
    given = torch.from_numpy(one.data), torch.from_numpy(two.data)
    network = Denoiser.load(weights, device)
    assert network.info is not None
    denoisers: dict[str, BlockDenoiser] = {
        f"network {network.info.name}": network,
        "identity": Unchanged(),
        "constant": Constant(),
        "inventing": Inventing(),
    }

    def through(denoiser: BlockDenoiser, volume: Tensor) -> Tensor:
        return denoise_map(denoiser, volume, one.voxel_size, diameter=diameter).map

    raw = through(Unchanged(), given[0]), through(Unchanged(), given[1])
    curve = fsc(*raw)
    n = one.shape[0]
    last, start = resolution(curve, n * one.isotropic_voxel_size).shell, randomisation_start(curve) or n // 2
    beyond = slice(start + 2, start + 2 + _SHELLS)
    randomised = [randomise_phases(half, start, seed=(0, number)) for number, half in enumerate(given, 1)]
    # What a refinement would go by: the halves before any denoiser.
    window = trailing_weights(cutoff_shell(fsc(*randomised)), shell_count(n))
    found = []
    for name, denoiser in denoisers.items():
        denoised = through(denoiser, given[0]), through(denoiser, given[1])
        gain = cross_validation(raw, denoised).gain(last)
        chance = agreement_by_chance(lambda volume, by=denoiser: through(by, volume), given, start)
        trailed = [
            filter_by_shell(through(denoiser, half), window, interpolation="step", beyond="zero")
            for half in randomised
        ]
        left = float(fsc(*trailed)[beyond].mean()) if window[beyond].any() else 0.0
        is_empty = all(float(d.std()) < _NOTHING * float(r.std()) for d, r in zip(denoised, raw, strict=True))
        made_up = 0.0 if is_empty else float(np.nanmean(chance[beyond]))
        found.append(Control(name, gain, made_up, left))
    return found


def random_phase_set(work: Path, name: str, from_angstrom: float) -> str:
    """Write a copy of a set whose images have random phases beyond a resolution; return the STAR file's name.

    Each image gets phases of its own, so that nothing finer can be told from any number of them.
    """
    star, stack = work / name / "random.star", work / name / "random.mrcs"
    if not star.exists():
        with mrcfile.open(work / name / "particles.mrcs") as file:
            images, pixel_size = np.asarray(file.data, np.float32), float(file.voxel_size.x)
        n = images.shape[-1]
        frequency = np.hypot(np.fft.fftfreq(n, pixel_size)[:, None], np.fft.rfftfreq(n, pixel_size))
        rng = np.random.default_rng(0)
        # White noise has uniform phases, and those of a real image: conjugate where they must be.
        noise = np.fft.rfft2(rng.normal(size=images.shape))
        transform = np.fft.rfft2(images)
        random = np.abs(transform) * noise / np.abs(noise)
        changed = np.fft.irfft2(np.where(frequency > 1 / from_angstrom, random, transform), s=(n, n))
        with mrcfile.new(stack, overwrite=True) as file:
            file.set_data(changed.astype(np.float32))
            file.voxel_size = pixel_size
            file.set_image_stack()
        content = starfile.read(work / name / "particles.star")
        assert isinstance(content, dict)
        images_of = content["particles"]["rlnImageName"]
        content["particles"]["rlnImageName"] = images_of.str.replace("particles.mrcs", "random.mrcs")
        starfile.write(content, star, overwrite=True)
    return f"{name}/random.star"


def resolution_beyond(run: Path, dataset: Path, from_angstrom: float) -> tuple[float, float]:
    """Return the halves' resolution at 0.143 in the truth's mask, and their mean FSC beyond one in Å."""
    with mrcfile.open(dataset / "truth.mrc") as file:
        truth, size = np.asarray(file.data, np.float32), float(file.voxel_size.x) * len(file.data)
    inside = ndimage.gaussian_filter(truth, 2) > 0.05 * truth.max()
    mask = ndimage.gaussian_filter(inside.astype(np.float32), 1.5)
    halves = [np.asarray(mrcfile.read(run / f"run_half{half}_class001_unfil.mrc")) * mask for half in (1, 2)]
    curve = shell_correlation(halves[0], halves[1])
    return crossing(curve, size, 0.143), float(curve[round(size / from_angstrom) + 2 :].mean())
