"""Pictures of the documentation are small, and thin lines in them keep their colours."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")
ROOT = Path(__file__).parents[2]


def test_a_thin_line_keeps_its_colour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT / "scripts"), *sys.path])
    from small_png import write_small_png

    picture = np.full((200, 300, 3), (35, 36, 43), np.uint8)
    picture[100:] = np.random.default_rng(0).integers((0, 40, 90), (190, 200, 255), (100, 300, 3))  # a picture
    picture[:90:3, 150] = orange = (250, 165, 90)
    write_small_png(tmp_path / "p.png", picture)
    written = np.asarray(Image.open(tmp_path / "p.png").convert("RGB")).astype(int)
    assert np.abs(written[:90:3, 150] - orange).max() < 12
    assert tuple(written[50, 20]) == (35, 36, 43)
