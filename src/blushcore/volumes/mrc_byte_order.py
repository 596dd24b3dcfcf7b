"""The order of the bytes in an MRC header, and whether it is one at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from mrcfile.dtypes import HEADER_DTYPE
from mrcfile.utils import byte_order_from_machine_stamp

from blushcore.protocol import BlushError

if TYPE_CHECKING:
    from numpy.typing import NDArray

HEADER_BYTES: int = HEADER_DTYPE.itemsize

KNOWN_MODES = frozenset({0, 1, 2, 3, 4, 6, 12, 16, 101})
"""All that have been in use, readable here or not."""

_LARGEST_AXIS = 65_536
"""Voxels; tomograms reach about 10,000. Larger numbers are bytes of something else read as integers."""


def header_in_byte_order(head: bytes, name: str, warnings: list[str]) -> NDArray[Any]:
    """Read a header in the byte order in which it makes sense.

    Parameters
    ----------
    head
        The first 1024 bytes; fewer mean that the file is shorter than a header.
    name
        The file's name for messages.
    warnings
        Sentences for the user are added to it.

    Returns
    -------
    A record of `mrcfile.dtypes.HEADER_DTYPE`. Its size is sane, its mode one that exists.

    Raises
    ------
    BlushError
        If the bytes make sense in neither order.
    """
    if not head:
        raise BlushError(f"{name} is empty.", "Write or copy it again.")
    if len(head) < HEADER_BYTES:
        raise BlushError(
            f"{name} is not an MRC map: it has {len(head)} bytes, and the header alone takes {HEADER_BYTES}.",
            "Check that this is the right file and that it was copied whole.",
        )
    little = np.frombuffer(head, dtype=HEADER_DTYPE.newbyteorder("<"))[0]
    big = np.frombuffer(head, dtype=HEADER_DTYPE.newbyteorder(">"))[0]
    records = {"<": little, ">": big}
    has_id = bytes(little["map"])[:3] == b"MAP"
    try:
        stamped = byte_order_from_machine_stamp(little["machst"])
    except ValueError:
        stamped = None

    sensible = [order for order, record in records.items() if _makes_sense(record)]
    if stamped in sensible:
        order = stamped
    elif sensible:
        order = sensible[0]  # "<" first: both making sense is all but impossible
        if stamped is not None:
            warnings.append(
                f"{name} is stamped with the wrong byte order; read as "
                f"{'little' if order == '<' else 'big'}-endian, in which its header makes sense."
            )
    elif has_id:
        order = stamped or "<"
        _explain_nonsense(records[order], name)
    else:
        raise BlushError(
            f"{name} is not an MRC map: {_first_look(head)}.",
            "Check that this is the right file; .mrc, .map and .ccp4 files are read, also gzipped or bzipped.",
        )
    if not has_id:
        warnings.append(f"{name} has the header of the time before MRC2000, without map identifier.")
    return cast("NDArray[Any]", records[order])


def _makes_sense(record: NDArray[Any]) -> bool:
    axes = sorted(int(record[key]) for key in ("mapc", "mapr", "maps"))
    return (
        int(record["mode"]) in KNOWN_MODES
        and all(0 < int(record[key]) <= _LARGEST_AXIS for key in ("nx", "ny", "nz"))
        and axes in ([1, 2, 3], [0, 0, 0])
    )


def _explain_nonsense(record: NDArray[Any], name: str) -> None:
    """Say which field of a file that is marked as a map is wrong; axes are left to `_file_axes`."""
    size = [int(record[key]) for key in ("nx", "ny", "nz")]
    if not all(0 < n <= _LARGEST_AXIS for n in size):
        raise BlushError(
            f"{name} has an impossible size in its header: {size[0]} × {size[1]} × {size[2]} voxels.",
            "The file is damaged, or it is not a map.",
        )
    mode = int(record["mode"])
    if mode not in KNOWN_MODES:
        raise BlushError(
            f"{name} stores its values in mode {mode}, which MRC2014 does not have.",
            "Modes 0, 1, 2, 6, 12 and 101 can be read.",
        )


def _first_look(head: bytes) -> str:
    start = head[:64]
    if start.isascii() and all(byte >= 32 or byte in b"\t\r\n" for byte in start):
        line = start.decode("ascii").strip().split("\n")[0].strip()[:32]
        return f"it is text, beginning with {line!r}" if line else "it is text"
    if not any(head):
        return "its header is all zeros"
    return "its first bytes are not a map's header"
