"""Half-map pairs from files: tables, folders, what is found out where it is not given."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from blushcore.protocol import BlushError
from blushcore.training.augmentation import HalfMapPair
from blushcore.training.pair_files import StoredPairs, load_pair, of_split, read_pairs, save_pair
from blushcore.volumes import Volume, soft_sphere, write_map

BOX = 84


@pytest.fixture(scope="module")
def pair() -> HalfMapPair:
    generator = torch.Generator().manual_seed(0)
    mask = soft_sphere((BOX,) * 3, 16, 4)
    k = torch.fft.fftfreq(BOX, 1.5)
    squared = k[:, None, None] ** 2 + k[:, None] ** 2 + k[: BOX // 2 + 1] ** 2
    white = torch.fft.rfftn(torch.randn((BOX,) * 3, generator=generator))
    signal = (3 + 2 * torch.fft.irfftn(white * torch.exp(-40 * squared), s=(BOX,) * 3) * 20) * mask
    half1, half2 = (signal + 1.5 * torch.randn(signal.shape, generator=generator) for _ in range(2))
    return HalfMapPair(half1, half2, mask, 6.5, 54.0, signal, signal)


def write(path, data, voxel_size=1.5) -> None:
    write_map(path, Volume(np.ascontiguousarray(data.numpy(), np.float32), (voxel_size,) * 3))


def test_a_saved_pair_is_read_again(pair, tmp_path):
    saved = [save_pair(tmp_path, f"p{i}", pair, split) for i, split in enumerate(("train", "validation"))]
    entries = read_pairs(tmp_path)
    assert entries == saved
    assert of_split(entries, "validation") == [saved[1]]
    found = load_pair(entries[0])
    scale = float(pair.half1.std())
    for name in ("half1", "half2", "signal", "truth"):
        assert torch.allclose(getattr(found, name), getattr(pair, name) / scale, atol=5e-3)
    assert torch.allclose(found.mask, pair.mask, atol=1e-3)
    assert (found.resolution, found.diameter) == (6.5, 54.0)


def test_pairs_are_found_by_their_names_and_what_is_not_given_is_found_out(pair, tmp_path):
    write(tmp_path / "emd_1_half_map_1.mrc", pair.half1)
    write(tmp_path / "emd_1_half_map_2.mrc", pair.half2)
    write(tmp_path / "run_half1_unfil.mrc", pair.half1)
    write(tmp_path / "run_half2_unfil.mrc", pair.half2)
    write(tmp_path / "run_mask_unfil.mrc", pair.mask)
    write(tmp_path / "alone_half1.mrc", pair.half1)
    first, second = read_pairs(tmp_path)
    assert first.half2.name == "emd_1_half_map_2.mrc"
    assert first.mask is None
    assert second.mask == tmp_path / "run_mask_unfil.mrc"
    found = load_pair(first)
    inside = found.mask > 0.5
    true = pair.mask > 0.5
    # It reaches a little beyond the particle, as masks do.
    assert int((inside & true).sum()) > 0.97 * int(true.sum())
    assert int(inside.sum()) < 2 * int(true.sum())
    assert found.diameter == pytest.approx(54, rel=0.4)
    assert 3 < found.resolution < 12
    assert found.signal is None


def test_other_voxel_sizes_and_small_boxes_come_onto_the_network_s_grid(pair, tmp_path):
    small = pair.half1[18:-18, 18:-18, 18:-18].contiguous()
    write(tmp_path / "a_half1.mrc", small, 2.25)
    write(tmp_path / "a_half2.mrc", small.flip(0).contiguous(), 2.25)
    write(tmp_path / "a_mask.mrc", pair.mask[18:-18, 18:-18, 18:-18].contiguous(), 2.25)
    (entry,) = read_pairs(tmp_path)
    found = load_pair(entry)
    assert found.half1.shape == found.mask.shape == (80, 80, 80)
    assert 0 <= float(found.mask.min()) <= float(found.mask.max()) <= 1
    drawn = StoredPairs([entry])(np.random.default_rng(0))
    assert torch.equal(drawn.half2, found.half2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("half1\tmask\na.mrc\tb.mrc\n", "lacks the columns half2"),
        ("half1\thalf2\na.mrc\tnone.mrc\n", "names half2 none.mrc, which is not there"),
        ("half1\thalf2\na.mrc\t\n", "Line 2 of .* lacks one of its half-maps"),
        ("half1\thalf2\tresolution\na.mrc\ta.mrc\tfine\n", "'fine' in column resolution"),
        ("half1\thalf2\tsplit\na.mrc\ta.mrc\tother\n", "the split 'other'"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(tmp_path, text, said):
    (tmp_path / "a.mrc").touch()
    (tmp_path / "pairs.tsv").write_text(text)
    with pytest.raises(BlushError, match=said):
        read_pairs(tmp_path)


def test_a_folder_without_pairs_and_a_missing_one_are_refused(tmp_path):
    with pytest.raises(BlushError, match="No half-map pairs were found"):
        read_pairs(tmp_path)
    with pytest.raises(BlushError, match="no table or folder"):
        read_pairs(tmp_path / "nowhere")
