"""What the engine advises is said in the dock's words, and where nothing can be written is told at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from blushcore.protocol import BlushError

pytestmark = pytest.mark.gui


@pytest.mark.parametrize(
    ("job", "said", "told"),
    [
        (
            "refine",
            "Give --resample-reference to bring it onto their grid.",
            "Tick “Resample reference” (Expert) to bring it onto their grid.",
        ),
        (
            "refine",
            "Begin with a lower --healpix-order than --local-from-order.",
            "Begin with a lower “HEALPix order” (Expert) than “Local from order” (Expert).",
        ),
        ("refine", "Use --padding 1 or a smaller box.", "Use “Padding” (Expert) 1 or a smaller box."),
        ("classify", "or use --alignment global.", "or use “Alignment”: “everywhere”."),
        (
            "classify",
            "and --alignment local begins with them.",
            "and “Alignment”: “near the last poses” begins with them.",
        ),
        (
            "classify",
            "Fewer will do, or give --reseed-empty.",
            "Fewer will do, or tick “Reseed empty” (Expert).",
        ),
        ("refine", "Run it with --no-such-option.", "Run it with --no-such-option."),
    ],
)
def test_options_are_controls(job: str, said: str, told: str) -> None:
    from napari_blush.refine.kinds import kind_named
    from napari_blush.refine.remedies import in_the_dock

    assert in_the_dock(said, kind_named(job)) == told


def test_no_sentence_of_the_checks_speaks_of_options(tmp_path: Path) -> None:
    """A reference, and a mask, of another pixel size and box: as the engine refuses them."""
    import numpy as np

    from blushcore.jobs.refine.preflight import check_inputs
    from blushcore.volumes import Volume, read_map, write_map
    from napari_blush.refine.kinds import REFINE
    from napari_blush.refine.remedies import in_the_dock
    from tiny_refinement import BOX, PIXEL_SIZE, write_tiny_set

    tiny = write_tiny_set(tmp_path / "tiny", count=10)
    values = read_map(tiny.reference).data
    for field, box, voxel_size in (
        ("reference", BOX, 3.0),
        ("reference", BOX - 4, PIXEL_SIZE),
        ("mask", BOX, 3.0),
        ("mask", BOX - 4, PIXEL_SIZE),
    ):
        path = tmp_path / "other.mrc"
        content = np.ones((box,) * 3) if field == "mask" else values[:box, :box, :box]
        write_map(path, Volume(np.ascontiguousarray(content, np.float32), (voxel_size,) * 3))
        with pytest.raises(BlushError) as caught:
            check_inputs(tiny.parameters(**{field: path}))
        assert caught.value.field == field
        told = in_the_dock(str(caught.value), REFINE)
        assert "--" not in told
        assert f"{box} × {box} × {box} voxels of {voxel_size:g} Å" in told
        path.unlink()


def test_a_folder_that_cannot_be_made_is_refused_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_blush.refine import runs

    (tmp_path / "notes").write_text("here")
    runs.require_room(tmp_path / "new" / "run")
    for path in (tmp_path / "notes", tmp_path / "notes" / "run"):
        with pytest.raises(BlushError, match="notes is a file, not a folder") as caught:
            runs.require_room(path)
        assert caught.value.field == "output"
    monkeypatch.setattr(os, "access", lambda path, _: path != tmp_path)
    with pytest.raises(BlushError, match="Nothing can be written in"):
        runs.require_room(tmp_path / "run")
