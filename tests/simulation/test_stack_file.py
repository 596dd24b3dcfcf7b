"""Stacks written image by image, as mrcfile reads them."""

from __future__ import annotations

import mrcfile
import numpy as np
import pytest

from blushcore.protocol import BlushError
from blushcore.simulation import StackWriter


def test_a_stack_written_in_pieces_is_valid_and_whole(tmp_path):
    images = np.random.default_rng(0).normal(2, 3, (7, 12, 12)).astype(np.float32)
    path = tmp_path / "some.mrcs"
    with StackWriter(path, 12, 1.75) as writer:
        writer.append(images[:4])
        writer.append(images[4:])
    assert mrcfile.validate(path)
    with mrcfile.open(path) as file:
        assert np.array_equal(file.data, images)
        assert file.is_image_stack()
        assert float(file.voxel_size.x) == pytest.approx(1.75)
        assert float(file.header.dmean) == pytest.approx(images.mean(), abs=1e-5)
        assert float(file.header.rms) == pytest.approx(images.std(), rel=1e-5)
        assert float(file.header.dmin) == images.min()
        assert float(file.header.dmax) == images.max()


def test_a_file_that_exists_or_a_folder_that_does_not_is_told(tmp_path):
    (tmp_path / "there.mrcs").write_bytes(b"precious")
    for name in ("there.mrcs", "nowhere/some.mrcs"):
        with pytest.raises(BlushError, match="could not be written"):
            StackWriter(tmp_path / name, 12, 1.0)
    assert (tmp_path / "there.mrcs").read_bytes() == b"precious"


def test_a_full_disk_is_told(tmp_path):
    # /dev/full answers every write with "no space left"; opening it exclusively is what a writer refuses.
    with StackWriter(tmp_path / "some.mrcs", 256, 1.0) as writer:
        writer._file.close()
        with open("/dev/full", "wb", buffering=0) as full:  # noqa: PTH123
            writer._file = full
            with pytest.raises(BlushError, match="No space left on device"):
                writer.append(np.zeros((4, 256, 256), np.float32))
        writer._file = (tmp_path / "other").open("wb")
