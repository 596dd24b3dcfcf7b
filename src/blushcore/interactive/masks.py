"""Masks that somebody looks at while choosing: the low-passed map is kept from one to the next."""

from __future__ import annotations

from blushcore.interactive.arrays import ArrayFolder
from blushcore.interactive.maps import Maps
from blushcore.interactive.messages import MakeMask, MaskMade
from blushcore.volumes import Volume
from blushcore.volumes.mask_making import mask_of, smoothed


class MaskMaker:
    """Makes masks of the maps in memory.

    Parameters
    ----------
    maps
        The maps.
    folder
        For the masks.
    """

    def __init__(self, maps: Maps, folder: ArrayFolder) -> None:
        self._maps, self._folder = maps, folder
        self._kept: tuple[Volume, float, Volume] | None = None
        """A map, the resolution (Å) it was low-passed to, and what came of it."""

    def forget(self) -> None:
        """Keep no map in memory."""
        self._kept = None

    def make(self, request: MakeMask) -> MaskMade:
        """Make one.

        Raises
        ------
        BlushError
            If there is no such map, or no such mask of it.
        """
        volume, settings = self._maps.get(request.key), request.settings
        if self._kept is None or self._kept[0] is not volume or self._kept[1] != settings.lowpass:
            self._kept = volume, settings.lowpass, smoothed("The map", volume, settings)
        smooth = self._kept[2]
        made = mask_of("The map", smooth, settings)
        return MaskMade(
            id=request.id,
            path=self._folder.write(made.mask.data, "mask"),
            threshold=made.threshold,
            lowest=float(smooth.data.min()),
            highest=float(smooth.data.max()),
            volume_nm3=made.volume_nm3,
            share_of_box=made.share_of_box,
            warnings=tuple(made.doubts()),
        )
