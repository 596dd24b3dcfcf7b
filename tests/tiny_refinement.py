"""A set of particles so small that a refinement of it takes seconds, and what a refinement of it is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from blushcore.jobs.refine.parameters import RefineParameters
from blushcore.optics import CtfParameters, OpticsGroup, ctf
from blushcore.poses import euler_to_matrix
from blushcore.projection import FourierVolume
from blushcore.shells import PlaneComponents, images_from, transform_images
from blushcore.volumes import Volume, lowpass, write_map
from particle_files import stack_bytes
from relion_projections import Views, blobs

BOX, PIXEL_SIZE, COUNT = 24, 4.0, 80
DIAMETER = 64.0

_HEAD = """
data_optics

loop_
_rlnOpticsGroup #1
_rlnOpticsGroupName #2
_rlnVoltage #3
_rlnSphericalAberration #4
_rlnAmplitudeContrast #5
_rlnImagePixelSize #6
_rlnImageSize #7
_rlnImageDimensionality #8
_rlnCtfDataAreCtfPremultiplied #9
1 opticsGroup1 300 2.7 0.1 {pixel_size} {box} 2 {premultiplied}

data_particles

loop_
_rlnImageName #1
_rlnMicrographName #2
_rlnOpticsGroup #3
_rlnDefocusU #4
_rlnDefocusV #5
_rlnDefocusAngle #6
"""


@dataclass(frozen=True)
class TinySet:
    """Where it is, and what is true of it: the map, the angles in degrees, the offsets in pixels."""

    folder: Path
    truth: np.ndarray
    angles_deg: np.ndarray
    offsets_px: np.ndarray

    @property
    def star(self) -> Path:
        return self.folder / "particles.star"

    @property
    def stack(self) -> Path:
        return self.folder / "particles.mrcs"

    @property
    def reference(self) -> Path:
        return self.folder / "reference.mrc"

    def parameters(self, **changes: Any) -> RefineParameters:
        values = {
            "particles": self.star,
            "reference": self.reference,
            "diameter": DIAMETER,
            "initial_lowpass": 20.0,
            "prior": "wiener",
            "healpix_order": 1,
            "local_from_order": 2,
            "offset_range": 8.0,
            "offset_step": 4.0,
            "device": "cpu",
            **changes,
        }
        return RefineParameters(**values)


def write_tiny_set(
    folder: Path, *, count: int = COUNT, noise: float = 1.0, seed: int = 0, premultiplied: bool = False
) -> TinySet:
    """Write stack, STAR file and reference of blobs in random views, with noise of that standard deviation."""
    rng = np.random.default_rng(seed)
    truth = blobs(BOX, rng, count=25)
    views = Views.random(count, rng)
    offsets = rng.uniform(-1.5, 1.5, (count, 2))
    plane = PlaneComponents.of(BOX)
    slices = FourierVolume.of(torch.from_numpy(truth), BOX).slices(
        euler_to_matrix(torch.from_numpy(views.angles_deg)).float(), plane
    )
    group = OpticsGroup(1, "opticsGroup1", 300.0, 2.7, 0.1, PIXEL_SIZE, BOX)
    defocus = torch.from_numpy(views.defocus)
    flat = torch.zeros(count, dtype=torch.float64)
    parameters = CtfParameters(defocus[:, 0], defocus[:, 1], defocus[:, 2], flat, flat, flat + 1)
    # An image is moved to where its offset would bring it back from.
    contrast = ctf(group, parameters, plane.kx, plane.ky)
    moved = slices * contrast * plane.phase_ramps(torch.from_numpy(-offsets))
    images = images_from(moved, plane).numpy()
    images = images / images.std() + noise * rng.normal(size=images.shape)
    scale = float(1 / images.std())
    if premultiplied:
        images = images_from(transform_images(torch.from_numpy(images), plane) * contrast, plane).numpy()
    folder.mkdir(parents=True, exist_ok=True)
    tiny = TinySet(folder, truth, views.angles_deg, offsets)
    tiny.stack.write_bytes(stack_bytes(images.astype(np.float32), pixel_size=PIXEL_SIZE))
    rows = [
        f"{i + 1:06d}@particles.mrcs mic{i % 3}.mrc 1 {u:.2f} {v:.2f} {angle:.2f}"
        for i, (u, v, angle) in enumerate(views.defocus)
    ]
    head = _HEAD.format(pixel_size=PIXEL_SIZE, box=BOX, premultiplied=int(premultiplied))
    tiny.star.write_text(head + "\n".join(rows) + "\n")
    reference = lowpass(torch.from_numpy(truth * scale), 15.0, PIXEL_SIZE).numpy()
    write_map(tiny.reference, Volume(np.ascontiguousarray(reference, np.float32), (PIXEL_SIZE,) * 3))
    return tiny
