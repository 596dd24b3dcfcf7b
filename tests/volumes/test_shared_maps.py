"""Real and derived maps as they occur: what becomes of each file of the shared data folder."""

from __future__ import annotations

import re

import mrcfile
import numpy as np
import pytest

from blushcore.protocol import BlushError
from blushcore.volumes import read_map, write_map

ONE_ANGSTROM = "has a voxel size of exactly 1 Å, which some programs write when they do not know it"

# name: (shape (z, y, x), voxel size in Å, position of the first voxel (z, y, x) in Å, warnings)
ACCEPTED = {
    "betaGal_ngl.mrc": ((100, 100, 100), 3.54, (0, 0, 0), ()),
    # a volume cut down to its middle by its authors, not a stack: its sections are one object's
    "cryodrgn_50S-vol.mrc": ((128, 32, 32), 4.0, (0, 0, 0), ()),
    "cryodrgn_spike-vol.mrc": ((128, 16, 16), 8.0, (0, 0, 0), ()),
    "emd_11007.map.gz": ((240, 240, 240), 0.834, (0, 0, 0), ()),  # axes 3, 2, 1
    "emd_1461.mrc": ((96, 80, 75), 1.23, (225.09, -40.59, 54.12), ()),
    "emd_1832.map": ((64, 64, 64), 5.7, (-182.4, -182.4, -182.4), ()),  # placed by its starts
    "emd_1997.map": ((100, 100, 100), 2.02, (-101, -101, -101), ()),
    "emd_21457_seg.mrc": ((47, 40, 48), 1.05, (204.75, 231, 162.75), ()),
    "emd_2513.mrc": ((80, 74, 76), 1.32, (52.8, 62.04, 114.84), ()),
    "emd_2566_3J6B_chain9_seg.mrc": ((47, 52, 35), 1.34, (159.46, 155.44, 356.44), ()),
    "emd_30342_A_z4.mrc": ((63, 81, 89), 1.113, (120.517, 112.825, 145.825), ()),
    "emd_3197.map": ((20, 20, 20), 11.4, (0, 0, -22.8), ()),
    "emd_3400_86.mrc": ((84, 68, 90), 2.866667, (33.746, 70.3, 76.953), ()),
    "emd_3488.mrc": ((100, 100, 100), 1.05, (0, 0, 0), ()),
    "emd_3488_contour_mask.mrc": ((100, 91, 91), 1.05, (0, 0, 0), ()),
    "emd_3j9sA_seg.mrc": ((99, 63, 60), 1.0, (0, 0, 0), (ONE_ANGSTROM,)),
    "emd_5625.map": ((56, 56, 56), 4.23, (-118.44, -118.44, -118.44), ()),
    "emd_6824_diffmodeler.mrc": ((70, 70, 70), 2.64, (0, 0, 0), ()),
    "emd_7795_54.mrc": ((62, 58, 84), 1.8, (77.98, 84.807, 69.543), ()),
    "localResolution_ngl.mrc": ((100, 100, 100), 1.0, (0, 0, 0), (ONE_ANGSTROM,)),
    "ribocut4a_ngl.mrc": ((74, 74, 74), 0.94, (0, 0, 0), ()),
    "slaclab_relion_locres_filtered.mrc": ((90, 90, 90), 4.1004, (0, 0, 0), ()),
}
# name: (sentence, whether giving the voxel size helps)
REFUSED = {
    "aspire_clean70S_65.mrc": ("aspire_clean70S_65.mrc has no voxel size in its header.", True),
    "emd_3001_crop.map": (
        "emd_3001_crop.map has a cell that is not right-angled (alpha, beta, gamma = 90, 94.326, 90 degrees).",
        False,
    ),
    "emd_8216.map.gz": (
        "emd_8216.map.gz has a cell that is not right-angled (alpha, beta, gamma = 90, 111.55, 90 degrees).",
        False,
    ),
}

pytestmark = pytest.mark.shared_data


def test_the_tables_name_every_file(shared_data):
    assert {path.name for path in (shared_data / "maps").iterdir()} == ACCEPTED.keys() | REFUSED.keys()


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(shared_data, tmp_path, name):
    path = shared_data / "maps" / name
    shape, voxel_size, position, warnings = ACCEPTED[name]
    volume = read_map(path)
    assert volume.shape == shape
    assert volume.isotropic_voxel_size == pytest.approx(voxel_size, rel=1e-6)
    assert volume.position == pytest.approx(position, abs=1e-3)
    assert len(volume.warnings) == len(warnings)
    for found, expected in zip(volume.warnings, warnings, strict=True):
        assert expected in found

    with mrcfile.open(path, permissive=True) as file:
        order = [3 - int(file.header[key]) for key in ("maps", "mapr", "mapc")]
        np.testing.assert_array_equal(volume.data, file.data.transpose(np.argsort(order)))

    write_map(tmp_path / "copy.mrc", volume)
    assert mrcfile.validate(tmp_path / "copy.mrc")
    copy = read_map(tmp_path / "copy.mrc")
    np.testing.assert_array_equal(copy.data, volume.data)
    assert copy.voxel_size == pytest.approx(volume.voxel_size, rel=1e-7)
    assert copy.header.origin == volume.header.origin
    assert copy.header.start == volume.header.start


@pytest.mark.parametrize("name", REFUSED)
def test_refused(shared_data, name):
    path = shared_data / "maps" / name
    sentence, mendable = REFUSED[name]
    with pytest.raises(BlushError, match=re.escape(sentence)):
        read_map(path)
    if mendable:
        assert read_map(path, voxel_size=3.0).voxel_size == (3, 3, 3)
    else:
        with pytest.raises(BlushError, match=re.escape(sentence)):
            read_map(path, voxel_size=3.0)


def test_particle_stacks_are_no_maps(shared_data):
    stacks = sorted((shared_data / "particles").glob("*.mrcs"))
    assert len(stacks) >= 9
    for path in stacks:
        with pytest.raises(BlushError, match=r"is a stack of \d+ images"):
            read_map(path, voxel_size=2.0)


def test_maps_by_relion(shared_data):
    paths = sorted((shared_data / "relion_class3d_betagal").glob("*.mrc"))
    assert len(paths) == 3
    for path in paths:
        volume = read_map(path)
        assert volume.shape == (100, 100, 100)
        assert volume.isotropic_voxel_size == pytest.approx(3.54, rel=1e-6)
        assert volume.warnings == ()
