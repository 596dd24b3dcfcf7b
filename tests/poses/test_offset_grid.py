"""The offsets of a search."""

from __future__ import annotations

import pytest
import torch

from blushcore.poses import OFFSET_CHILDREN, OffsetGrid


def test_offsets_fill_the_disc() -> None:
    offsets = OffsetGrid(5, 2).coarse()
    assert len(offsets) == 21  # as RELION says of a range of 5 in steps of 2
    assert offsets.norm(dim=-1).max() <= 5
    assert (offsets % 2 == 0).all()
    assert len({tuple(offset) for offset in offsets.tolist()}) == 21


def test_the_edge_of_the_disc_belongs_to_it() -> None:
    assert len(OffsetGrid(2, 2).coarse()) == 5
    assert len(OffsetGrid(0, 1).coarse()) == 1
    assert len(OffsetGrid(0.3, 0.1).coarse()) == 29  # 0.3 / 0.1 is a little less than 3


def test_children_are_the_centres_of_the_quarters() -> None:
    grid = OffsetGrid(3, 1.5, perturbation=0.3)
    children = grid.children().reshape(-1, OFFSET_CHILDREN, 2)
    torch.testing.assert_close(children.mean(1), grid.coarse())
    apart = (children - grid.coarse()[:, None]).abs()
    torch.testing.assert_close(apart, torch.full_like(apart, 0.375))
    assert grid.fine_step_px == 0.75


def test_a_perturbation_moves_all_by_a_part_of_the_step() -> None:
    moved = OffsetGrid(4, 2, perturbation=-0.25).coarse()
    torch.testing.assert_close(moved, OffsetGrid(4, 2).coarse() - 0.5)


@pytest.mark.parametrize(("reach", "step"), [(-1.0, 1.0), (5.0, 0.0), (5.0, -2.0)])
def test_impossible_discs_are_refused(reach: float, step: float) -> None:
    with pytest.raises(ValueError, match="in steps of"):
        OffsetGrid(reach, step)
