"""The main job: scripts/demo refines the built-in particles live, and what it shows is of this very run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

ITERATIONS = 3
ENOUGH_ANGSTROM = 10.0


@pytest.mark.gui
def test_the_demo_refines_before_your_eyes(repository: Path, tmp_path: Path) -> None:
    from PIL import Image

    began = time.time()
    demo = subprocess.Popen(
        [sys.executable, "demo.py", str(tmp_path / "out"), "--iterations", str(ITERATIONS)],
        cwd=repository / "scripts",
        env={**os.environ, "XDG_DATA_HOME": str(tmp_path / "data"), "NAPARI_CONFIG": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    worker = None
    said = ""
    assert demo.stdout is not None
    for line in demo.stdout:
        said += line
        if found := re.match(r"process (\d+) refines in (.*)", line):
            worker = psutil.Process(int(found[1]))
            assert worker.create_time() > began - 1
            assert worker.pid != demo.pid
            assert str(found[2]) in worker.cmdline()
            lock = json.loads((Path(found[2]) / "run.lock").read_text())
            assert lock["process"]["pid"] == worker.pid
    demo.stdout.close()
    assert demo.wait() == 0, said
    ended = time.time()
    assert worker is not None, said

    out = tmp_path / "out"
    lines = (out / "refine_001" / "events.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    assert all(began <= event["time"] <= ended for event in events)
    done = [event["data"]["iteration"] for event in events if event["kind"] == "iteration_done"]
    assert done == list(range(ITERATIONS + 1))
    (closing,) = re.findall(r"below 0\.5 at ([\d.]+) Å", said)
    assert float(closing) < ENOUGH_ANGSTROM

    from blushcore.shells import fsc
    from blushcore.volumes import read_map

    truth = read_map(tmp_path / "data" / "napari-blush" / "demo" / "truth.mrc")
    curve = np.asarray(fsc(read_map(out / "refine_001" / "run_class001.mrc").data, truth.data))
    extent = truth.shape[0] * truth.isotropic_voxel_size
    assert curve[1 : int(extent / ENOUGH_ANGSTROM) + 1].min() > 0.5

    pictures = sorted(out.glob("iteration-*.png"))
    assert pictures
    with Image.open(out / "refinement.gif") as film:
        # One a picture and the end; pictures that are alike become one longer frame.
        assert 2 <= film.n_frames <= len(pictures) + 1
        assert film.size[0] > 600
