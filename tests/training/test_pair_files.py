"""Half-map pairs from files: tables, folders, what is found out where it is not given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from blushcore.protocol import BlushError
from blushcore.training.augmentation import HalfMapPair
from blushcore.training.pair_files import (
    PairEntry,
    check_pairs,
    load_pair,
    of_split,
    read_pairs,
    save_pair,
)
from blushcore.training.stored_pairs import StoredPairs
from small_halves import small_halves, write

BOX = 84


@pytest.fixture(scope="module")
def pair() -> HalfMapPair:
    return replace(small_halves(BOX, 16.0, mean=3.0), resolution=6.5, diameter=54.0)


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
    drawn = StoredPairs([entry], turned=False)(np.random.default_rng(0))
    assert torch.equal(drawn.half2, found.half2)
    one, again, other = (StoredPairs([entry])(np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert torch.equal(one.half2, again.half2)  # turned, by the generator alone
    assert not torch.allclose(one.half2, other.half2, atol=0.1)


def test_names_of_several_programs_are_known_and_a_half_that_is_alone_is_told(pair, tmp_path):
    for name in (
        "P3_J7_volume_map_half_A.mrc",
        "P3_J7_volume_map_half_B.mrc",
        "emd_2_half-map-1.map",
        "emd_2_half-map-2.map",
        "run_it003_half1_class001.mrc",  # within a refinement RELION filters its maps
        "run_it003_half2_class001.mrc",
        "half_angles.mrc",
    ):
        (tmp_path / name).touch()
    names = [(entry.half1.name, entry.half2.name) for entry in read_pairs(tmp_path)]
    assert names == [
        ("P3_J7_volume_map_half_A.mrc", "P3_J7_volume_map_half_B.mrc"),
        ("emd_2_half-map-1.map", "emd_2_half-map-2.map"),
    ]
    (tmp_path / "alone_half2.mrc").touch()
    with pytest.raises(BlushError, match=r"alone_half2.mrc has no other half: there is no alone_half1.mrc"):
        read_pairs(tmp_path)


def test_what_no_network_can_learn_from_is_refused(pair, tmp_path):
    noise = torch.randn(pair.half1.shape, generator=torch.Generator().manual_seed(9))
    for name, data in (("one", pair.half1), ("noise", noise), ("flat", torch.ones_like(noise))):
        write(tmp_path / f"{name}.mrc", data)
    write(tmp_path / "mask.mrc", pair.mask)
    one, mask = tmp_path / "one.mrc", tmp_path / "mask.mrc"
    with pytest.raises(BlushError, match=r"agree (only to|nowhere)") as caught:
        load_pair(PairEntry(one, tmp_path / "noise.mrc", mask))
    assert caught.value.field == "half2"
    assert load_pair(PairEntry(one, tmp_path / "noise.mrc", mask, resolution=8.0)).resolution == 8
    with pytest.raises(BlushError, match="is constant") as caught:
        load_pair(PairEntry(tmp_path / "flat.mrc", one, mask))
    assert caught.value.field == "half1"


def test_headers_are_compared_before_a_training_begins(pair, tmp_path):
    write(tmp_path / "a_half1.mrc", pair.half1)
    write(tmp_path / "a_half2.mrc", pair.half2, 1.6)
    with pytest.raises(BlushError, match=r"a_half2.mrc \(84 × 84 × 84 voxels of 1.6 Å\) and .*a_half1.mrc"):
        check_pairs(read_pairs(tmp_path))
    (tmp_path / "pairs.tsv").write_text("\ufeffhalf1\thalf2\tvoxel_size\na_half1.mrc\ta_half2.mrc\t2\n")
    (entry,) = read_pairs(tmp_path)
    check_pairs([entry])
    assert load_pair(entry).half1.shape[0] == 112  # 84 voxels of 2 Å
    write(tmp_path / "a_half2.mrc", pair.half2[:, :, 2:].contiguous())
    with pytest.raises(BlushError, match="82 × 84 × 84"):
        check_pairs([entry])
    (tmp_path / "a_half2.mrc").write_bytes((tmp_path / "a_half1.mrc").read_bytes()[:5000])
    with pytest.raises(BlushError, match="is truncated"):
        check_pairs([entry])


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
