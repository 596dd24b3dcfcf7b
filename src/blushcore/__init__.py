"""blushcore: the engine behind napari-blush.

Blush regularisation (Kimanius et al., Nature Methods 2024) for cryo-EM maps, refinements and
classifications. No Qt and no napari in here; `napari_blush` is one of its readers.

Conventions, stated once (RELION / 3DEM):

- A volume is float32, indexed ``[z, y, x]``; the particle's centre lies at index ``n // 2`` of each axis.
- Lengths are in Å and angles in degrees wherever a name or a docstring says nothing else.
- Shell ``s`` of a cubic box ``n`` with voxel size ``a`` holds the Fourier components with
  ``s = round(|k|·n·a)`` (half away from zero); its resolution is ``n·a / s`` Å.
"""
