"""The benchmark of the denoiser's share reads a run's own record."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def record(iteration: int, **figures: object) -> str:
    return json.dumps({"kind": "iteration_done", "data": {"iteration": iteration, "figures": figures}})


def test_global_and_local_iterations_are_told_apart(tmp_path: Path, repository: Path) -> None:
    (tmp_path / "run").mkdir()
    lines = [
        json.dumps({"kind": "progress", "data": {}}),
        record(0),
        record(1, local_search=False, seconds=100.0, denoising_seconds=50.0),  # done again after a crash
        record(1, local_search=False, seconds=60.0, denoising_seconds=5.0),
        record(2, local_search=False, seconds=40.0, denoising_seconds=5.0),
        record(3, local_search=True, seconds=20.0, denoising_seconds=8.0),
    ]
    (tmp_path / "run" / "events.jsonl").write_text("\n".join(lines) + "\n")
    words = [sys.executable, repository / "benchmarks/denoiser_share.py", "--model", "none", "--table"]
    told = subprocess.run([*words, "--work", tmp_path], capture_output=True, text=True, check=True).stdout
    assert "| global | 2 | 100 s | 10 s | **10.0 %** | at most 12 % |" in told
    assert "| local | 1 | 20 s | 8 s | **40.0 %** |  |" in told
    assert "| whole run | 3 | 120 s | 18 s | **15.0 %** | at most 25 % |" in told
