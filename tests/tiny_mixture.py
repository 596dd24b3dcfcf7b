"""A set of particles of two clearly different structures, so small that a classification takes seconds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import starfile

from blushcore.jobs.classify.parameters import ClassifyParameters
from particle_files import stack_bytes
from tiny_refinement import BOX, DIAMETER, PIXEL_SIZE, TinySet, write_tiny_set


@dataclass(frozen=True)
class TinyMixture:
    """Where it is, which class each particle is of (0 or 1), and the two sets that it was mixed of."""

    folder: Path
    classes: np.ndarray
    parts: tuple[TinySet, TinySet]

    @property
    def star(self) -> Path:
        """Without poses."""
        return self.folder / "particles.star"

    @property
    def posed(self) -> Path:
        """With the true poses."""
        return self.folder / "posed.star"

    def parameters(self, **changes: Any) -> ClassifyParameters:
        values = {
            "particles": self.star,
            "reference": tuple(part.reference for part in self.parts),
            "diameter": DIAMETER,
            "initial_lowpass": 20.0,
            "prior": "wiener",
            "healpix_order": 1,
            "offset_range": 8.0,
            "offset_step": 4.0,
            "iterations": 3,
            "device": "cpu",
            **changes,
        }
        return ClassifyParameters(**values)

    def rightly_placed(self, found: np.ndarray) -> float:
        """Share of the particles in the right one of two classes, whichever is called 1."""
        same = float((found == self.classes).mean())
        return max(same, 1 - same)


def write_tiny_mixture(folder: Path, *, counts: tuple[int, int] = (45, 25), noise: float = 1.0) -> TinyMixture:
    """Write stack and STAR files of two maps of blobs, one after the other in the table."""
    import mrcfile

    parts = tuple(
        write_tiny_set(folder / f"part{k}", count=count, noise=noise, seed=10 + k)
        for k, count in enumerate(counts)
    )
    images = np.concatenate([mrcfile.read(part.stack) for part in parts])
    (folder / "particles.mrcs").write_bytes(stack_bytes(images.astype(np.float32), pixel_size=PIXEL_SIZE))
    tables = [starfile.read(part.star) for part in parts]
    particles = type(tables[0]["particles"])(
        np.concatenate([table["particles"].to_numpy() for table in tables]),
        columns=tables[0]["particles"].columns,
    )
    particles["rlnImageName"] = [f"{i + 1:06d}@particles.mrcs" for i in range(len(particles))]
    optics = tables[0]["optics"]
    starfile.write({"optics": optics, "particles": particles}, folder / "particles.star")
    angles = np.concatenate([part.angles_deg for part in parts])
    offsets = np.concatenate([part.offsets_px for part in parts]) * PIXEL_SIZE
    for column, name in enumerate(("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi")):
        particles[name] = angles[:, column]
    for column, name in enumerate(("rlnOriginXAngst", "rlnOriginYAngst")):
        particles[name] = offsets[:, column]
    starfile.write({"optics": optics, "particles": particles}, folder / "posed.star")
    assert images.shape[1:] == (BOX, BOX)
    return TinyMixture(folder, np.repeat([0, 1], counts), (parts[0], parts[1]))
