"""Whether a header's voxel size can be believed."""

from __future__ import annotations

from blushcore.protocol import BlushError
from blushcore.volumes.mrc_header import RawHeader
from blushcore.volumes.volume import Triple

_SMALLEST, _LARGEST = 0.1, 100.0
"""Å. Below: lengths in nm, or nonsense; single-particle data begin at about 0.2 Å with super-resolution. Above:
coarser than any tomogram."""

_SMALLEST_EXTENT = 40.0
"""Å. The smallest complexes solved by cryo-EM (~ 40 kDa) are 45 Å across without the solvent around them, so a
whole box below this means that the 1 Å voxel is a default."""


class UnknownVoxelSizeError(BlushError):
    """A map cannot be used before someone says its voxel size; there is nothing else wrong with its header."""


def checked_voxel_size(raw: RawHeader, name: str, given: float | None) -> tuple[Triple, list[str]]:
    """Choose a map's voxel size, and say what is odd about it.

    A header's size is refused where it is not a positive number, lies outside 0.1 to 100 Å, or is 1 Å along
    all axes, what many programs write when they know nothing, of a box less than 40 Å wide. A 1 Å voxel that
    could be true is taken with a warning, and so are voxels that are not cubes.

    Parameters
    ----------
    raw
        The file's header.
    name
        The file's name for messages.
    given
        The size the user gave in Å; goes before the header's.

    Returns
    -------
    The voxel size in Å along (z, y, x), and sentences for the user.

    Raises
    ------
    UnknownVoxelSizeError
        If the header's size cannot be believed and none was given.
    """
    if given is not None:
        return (given, given, given), []
    size = raw.voxel_size
    x_y_z = " × ".join(f"{length:.4g}" for length in reversed(size))
    remedy = "Give the voxel size in Å, on the command line with --voxel-size."
    if not any(size):
        raise UnknownVoxelSizeError(f"{name} has no voxel size in its header.", remedy)
    if not all(_SMALLEST <= length <= _LARGEST for length in size):
        raise UnknownVoxelSizeError(
            f"{name} has a voxel size of {x_y_z} Å along x, y, z in its header; "
            f"plausible are {_SMALLEST:g} to {_LARGEST:g} Å.",
            remedy,
        )
    warnings = []
    if all(abs(length - 1) < 1e-5 for length in size):
        widest = max(raw.shape)
        if widest < _SMALLEST_EXTENT:
            raise UnknownVoxelSizeError(
                f"{name} has a voxel size of exactly 1 Å in its header, which would make the box only {widest} "
                "Å wide, too small for a particle; programs write 1 when they do not know it.",
                remedy,
            )
        warnings.append(
            f"{name} has a voxel size of exactly 1 Å, which some programs write when they do not know it; "
            "correct it if it is another (on the command line with --voxel-size)."
        )
    elif max(size) > 1.001 * min(size):
        warnings.append(f"{name} has voxels that are not cubes: {x_y_z} Å along x, y, z.")
    return size, warnings
