"""Maps: their voxel size and place in space, MRC files in and out, resampling, filters, masks.

Reading and writing need no torch; what computes on tensors lives in its own modules:
`blushcore.volumes.fourier`, `blushcore.volumes.filters`, `blushcore.volumes.masks`.
"""

from blushcore.volumes.reading import read_map
from blushcore.volumes.volume import MapHeader, Volume
from blushcore.volumes.writing import write_map

__all__ = ["MapHeader", "Volume", "read_map", "write_map"]
