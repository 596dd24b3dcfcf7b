"""MRC files of every variety, made byte by byte from the MRC2014 document and not by the code under test."""

from __future__ import annotations

import struct

import numpy as np

STORED = {0: "i1", 1: "i2", 2: "f4", 4: "c8", 6: "u2", 12: "f2"}

# name: (offset in bytes, struct format)
FIELDS = {
    "nx": (0, "i"),
    "ny": (4, "i"),
    "nz": (8, "i"),
    "mode": (12, "i"),
    "nxstart": (16, "i"),
    "nystart": (20, "i"),
    "nzstart": (24, "i"),
    "mx": (28, "i"),
    "my": (32, "i"),
    "mz": (36, "i"),
    "xlen": (40, "f"),
    "ylen": (44, "f"),
    "zlen": (48, "f"),
    "alpha": (52, "f"),
    "beta": (56, "f"),
    "gamma": (60, "f"),
    "mapc": (64, "i"),
    "mapr": (68, "i"),
    "maps": (72, "i"),
    "dmin": (76, "f"),
    "dmax": (80, "f"),
    "dmean": (84, "f"),
    "ispg": (88, "i"),
    "nsymbt": (92, "i"),
    "exttyp": (104, "4s"),
    "nversion": (108, "i"),
    "imod_stamp": (152, "i"),
    "imod_flags": (156, "i"),
    "xorigin": (196, "f"),
    "yorigin": (200, "f"),
    "zorigin": (204, "f"),
    "map": (208, "4s"),
    "machst": (212, "4s"),
    "rms": (216, "f"),
    "nlabl": (220, "i"),
    "label0": (224, "80s"),
    "label1": (304, "80s"),
}
LITTLE, BIG = b"\x44\x44\x00\x00", b"\x11\x11\x00\x00"
IMOD_STAMP = 1146047817


def mrc_bytes(
    data: np.ndarray,
    *,
    mode: int = 2,
    order: str = "<",
    axes: tuple[int, int, int] = (1, 2, 3),
    voxel: float = 2.0,
    extended: bytes = b"",
    payload: bytes | None = None,
    **fields: float | bytes,
) -> bytes:
    """Make a file that holds ``data[z, y, x]``.

    `axes` are (mapc, mapr, maps); `voxel` Å; `payload` replaces the values; `fields` go into the header last.
    """
    # file order is (sections, rows, columns), whose axes are maps, mapr, mapc with 1 = x, the last of data's
    file = data.transpose([3 - axis for axis in reversed(axes)])
    header = bytearray(1024)
    nz, ny, nx = data.shape
    values: dict[str, float | bytes] = {
        "nx": file.shape[2],
        "ny": file.shape[1],
        "nz": file.shape[0],
        "mode": mode,
        "mx": nx,
        "my": ny,
        "mz": nz,
        "xlen": nx * voxel,
        "ylen": ny * voxel,
        "zlen": nz * voxel,
        "alpha": 90,
        "beta": 90,
        "gamma": 90,
        "mapc": axes[0],
        "mapr": axes[1],
        "maps": axes[2],
        "dmin": 0,
        "dmax": -1,
        "dmean": -2,
        "rms": -1,
        "ispg": 1,
        "nsymbt": len(extended),
        "nversion": 20140,
        "map": b"MAP ",
        "machst": LITTLE if order == "<" else BIG,
        **fields,
    }
    for name, value in values.items():
        offset, kind = FIELDS[name]
        struct.pack_into(order + kind, header, offset, int(value) if kind == "i" else value)
    if payload is None:
        payload = file.astype(np.dtype(STORED[mode]).newbyteorder(order)).tobytes()
    return bytes(header) + extended + payload
