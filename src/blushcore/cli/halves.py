"""Two half-maps and a mask, as several commands take them."""

from __future__ import annotations

from pathlib import Path

from blushcore.denoiser.provenance import is_denoised
from blushcore.volumes import Volume, read_map, read_mask, require_halves


def read_halves(
    half1: Path, half2: Path, mask: Path | None, voxel_size: float | None
) -> tuple[Volume, Volume, Volume | None, list[str]]:
    """Read two half-maps and a mask, and say what is odd about the files.

    Parameters
    ----------
    half1, half2, mask
        The files; the mask may be None.
    voxel_size
        In Å, of all of them instead of what their headers say.

    Returns
    -------
    The halves, the mask or None, and sentences for the user.

    Raises
    ------
    BlushError
        If one cannot be read, is constant or no cube, they do not fit together, or the halves are one map.
    """
    first, second = read_map(half1, voxel_size=voxel_size), read_map(half2, voxel_size=voxel_size)
    doubts = require_halves(half1, first, half2, second)
    window = read_mask(mask, half1, first, voxel_size=voxel_size) if mask else None
    warnings = [*first.warnings, *second.warnings, *doubts, *(window.warnings if window else ())]
    denoised = [str(path) for path, volume in ((half1, first), (half2, second)) if is_denoised(volume)]
    if denoised:
        named = f"{' and '.join(denoised)} {'were' if denoised[1:] else 'was'}"
        warnings.append(
            f"{named} denoised: this FSC is no resolution estimate, since it measures the network as much "
            "as the data. Give the halves as they were reconstructed."
        )
    return first, second, window, list(dict.fromkeys(warnings))
