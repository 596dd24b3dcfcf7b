"""`blush picture`: the right slices the right way round, at their sizes in Å, and plain refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from blushcore.cli import main
from blushcore.cli.pictures import central_slices, draw_before_after, scale_bar_length
from blushcore.protocol import BlushError
from blushcore.volumes import Volume, write_map

SHAPE, VOXEL_SIZE = (6, 8, 11), (3.0, 2.0, 1.5)  # (z, y, x)


def ramp(factor: float = 1.0, voxel_size: tuple[float, float, float] = VOXEL_SIZE) -> Volume:
    z, y, x = np.indices(SHAPE)
    return Volume(np.ascontiguousarray(factor * (100 * z + 10 * y + x), dtype=np.float32), voxel_size)


def test_slices_pass_through_the_centre_with_first_axis_up() -> None:
    xy, xz, yz = central_slices(ramp())
    assert [one.label for one in (xy, xz, yz)] == ["xy, z = 3", "xz, y = 4", "yz, x = 5"]
    assert xy.data[7, 10] == 300 + 70 + 10
    assert xz.data[5, 10] == 500 + 40 + 10
    assert yz.data[5, 7] == 500 + 70 + 5
    assert xy.size_angstrom == (16.0, 16.5)
    assert xz.size_angstrom == (18.0, 16.5)
    assert yz.size_angstrom == (18.0, 16.0)


def test_panels_hold_before_after_and_change() -> None:
    figure = draw_before_after(ramp(), ramp(factor=3))
    panels = [axes for axes in figure.axes if axes.images]
    assert len(panels) == 9
    for row, (one, other) in enumerate(zip(central_slices(ramp()), central_slices(ramp(3)), strict=True)):
        images = [panel.images[0] for panel in panels[3 * row : 3 * row + 3]]
        np.testing.assert_array_equal(images[0].get_array(), one.data)
        np.testing.assert_array_equal(images[1].get_array(), other.data)
        np.testing.assert_allclose(images[2].get_array(), 2.0 * one.data)
        assert images[0].get_clim() == images[1].get_clim()
        assert sum(images[2].get_clim()) == 0
        for image in images:
            assert image.origin == "lower"
            assert tuple(image.get_extent()) == (0, one.size_angstrom[1], 0, one.size_angstrom[0])


def test_panels_are_drawn_to_one_scale() -> None:
    figure = draw_before_after(ramp(), ramp(factor=3))
    figure.draw_without_rendering()
    pixels_per_angstrom = []
    for panel in (axes for axes in figure.axes if axes.images):
        left, right, bottom, top = panel.images[0].get_extent()
        box = panel.get_window_extent()
        pixels_per_angstrom += [box.width / (right - left), box.height / (top - bottom)]
    np.testing.assert_allclose(pixels_per_angstrom, pixels_per_angstrom[0], rtol=1e-6)


@pytest.mark.parametrize(("width", "length"), [(300.0, 100), (299.0, 50), (61.0, 20), (15.0, 5), (2.0, 0.5)])
def test_scale_bar_is_a_round_length_of_at_most_a_third(width: float, length: float) -> None:
    assert scale_bar_length(width) == pytest.approx(length)


def test_constant_maps_are_drawn(tmp_path: Path) -> None:
    draw_before_after(ramp(0), ramp(0)).savefig(tmp_path / "constant.png")
    assert imread(tmp_path / "constant.png").size > 0


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_command_writes_the_picture(tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_map(tmp_path / "before.mrc", ramp())
    write_map(tmp_path / "after.mrc", ramp(3))
    output = tmp_path / f"picture.{suffix}"
    words = ["picture", str(tmp_path / "before.mrc"), str(tmp_path / "after.mrc"), "-o", str(output)]
    assert main(words) == 0
    assert capsys.readouterr().err.splitlines()[-1] == f"Wrote {output}."
    assert output.stat().st_size > 1000
    if suffix == "png":
        pixels = imread(output)[..., :3]
        assert pixels.min() == 0
        assert np.ptp(pixels, axis=-1).max() > 0.5  # the difference is in colour
    assert sorted(path.name for path in tmp_path.iterdir()) == ["after.mrc", "before.mrc", output.name]


def test_what_exists_is_replaced_only_when_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("before.mrc", "after.mrc"):
        write_map(tmp_path / name, ramp())
    (tmp_path / "picture.png").write_text("precious")
    words = [str(tmp_path / name) for name in ("before.mrc", "after.mrc")]
    words = ["picture", *words, "-o", str(tmp_path / "picture.png")]
    assert main(words) == 1
    assert "exists already. Give --overwrite" in capsys.readouterr().err
    assert (tmp_path / "picture.png").read_text() == "precious"
    assert main([*words, "--voxel-size", "0"]) == 2
    assert main([*words, "--overwrite"]) == 0
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_maps_on_different_grids_are_refused() -> None:
    with pytest.raises(BlushError, match=r"before \(11 × 8 × 6 voxels.* after \(8 × 8 × 6 voxels"):
        draw_before_after(ramp(), ramp().with_data(np.zeros((6, 8, 8))))
    with pytest.raises(BlushError, match=r"voxels of 1\.5 × 2 × 3 Å.* voxels of 1\.6 × 2 × 3 Å"):
        draw_before_after(ramp(), ramp(voxel_size=(3.0, 2.0, 1.6)))


def test_unknown_picture_format_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["picture", "before.mrc", "after.mrc", "-o", str(tmp_path / "picture.jpg")]) == 2
    assert "picture.jpg does not" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
