"""Small sets of particle images as RELION lays them out."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

STAR = """
data_optics

loop_
_rlnOpticsGroup #1
_rlnOpticsGroupName #2
_rlnImagePixelSize #3
_rlnImageSize #4
_rlnImageDimensionality #5
1 opticsGroup1 3.5 8 2
2 unused 1.25 8 2

data_particles

loop_
_rlnImageName #1
_rlnAngleRot #2
_rlnOpticsGroup #3
000002@Extract/one.mrcs 10.0 1
000001@Extract/one.mrcs 20.0 1
000001@Extract/two.mrcs 30.0 1
"""


def stack_bytes(images: np.ndarray, *, pixel_size: float = 0.0, mode: int = 2, order: str = "<") -> bytes:
    """An MRC stack of ``images[i, y, x]``, byte by byte from the MRC2014 document."""
    count, height, width = images.shape
    header = bytearray(1024)
    header[0:16] = struct.pack(order + "4i", width, height, count, mode)
    header[28:40] = struct.pack(order + "3i", width, height, count)
    header[40:52] = struct.pack(order + "3f", width * pixel_size, height * pixel_size, count * pixel_size)
    header[64:76] = struct.pack(order + "3i", 1, 2, 3)
    header[208:216] = b"MAP " + (b"\x44\x44\x00\x00" if order == "<" else b"\x11\x11\x00\x00")
    stored = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}[mode]
    return bytes(header) + images.astype(np.dtype(stored).newbyteorder(order)).tobytes()


def write_particle_set(project: Path) -> Path:
    """Write two stacks and a STAR file two folders below `project`; returns the STAR file.

    Image i (from 1) of ``one.mrcs`` has the value i everywhere, that of ``two.mrcs`` 10 + i.
    """
    (project / "Extract").mkdir()
    (project / "Refine3D" / "job012").mkdir(parents=True)
    for name, first, count in (("one", 1, 3), ("two", 11, 1)):
        values = np.arange(first, first + count)[:, None, None] * np.ones((1, 6, 8))
        (project / "Extract" / f"{name}.mrcs").write_bytes(stack_bytes(values))
    star = project / "Refine3D" / "run_data.star"
    star.write_text(STAR)
    return star
