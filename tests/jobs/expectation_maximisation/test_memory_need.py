"""The memory that is predicted against what is taken."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from blushcore.devices import Memory
from blushcore.jobs.expectation_maximisation import memory_need
from blushcore.jobs.expectation_maximisation.memory_need import (
    Need,
    check_memory,
    reconstruction_bytes,
    search_bytes,
)
from blushcore.jobs.refine.parameters import RefineParameters
from blushcore.jobs.refine.preflight import predicted_need
from blushcore.projection import SliceSums, slices_bytes, sums_bytes
from blushcore.protocol import BlushError
from blushcore.reconstruction import HalfSums, unfiltered_map
from tiny_refinement import BOX, COUNT, PIXEL_SIZE, write_tiny_set

CPU = torch.device("cpu")
MIB = 2**20

PEAK_OF_COMMAND = """
import sys
from pathlib import Path
from blushcore.cli import main
code = main(sys.argv[1:])
status = Path("/proc/self/status").read_text().splitlines()
print(next(line.split()[1] for line in status if line.startswith("VmHWM:")))
sys.exit(code)
"""
"""Of the program itself: what a system tells of an ended child counts what its parent held when it was made."""


def peak_bytes(compute: Callable[[], object]) -> int:
    """Return by how much the memory of this process grows at most while something is computed."""
    resets = Path("/proc/self/clear_refs")
    if not os.access(resets, os.W_OK):
        pytest.skip("this system does not tell a process's peak memory anew")

    def status(key: str) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(key))

    gc.collect()
    before = status("VmRSS:")
    resets.write_text("5")
    kept = compute()
    peak = status("VmHWM:") - before
    del kept
    return peak


def test_a_reconstruction_takes_what_is_predicted():
    n = 128  # so large that the system hands out each tensor by itself
    half = HalfSums.of(SliceSums(n))
    half.data.add_(1)
    half.weight.add_(1)
    unfiltered_map(HalfSums.of(SliceSums(16)))  # what is loaded and planned once
    predicted = reconstruction_bytes(n, 2)
    assert 0.7 * predicted < peak_bytes(lambda: unfiltered_map(half)) < 1.2 * predicted


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_a_small_run_takes_what_is_predicted(tmp_path):
    tiny = write_tiny_set(tmp_path)
    words = ["refine", str(tiny.star), "-o", str(tmp_path / "run")]
    for name, value in tiny.parameters(max_iterations=2).non_defaults().items():
        if name != "particles":
            words += [f"--{name.replace('_', '-')}", str(value)]
    ran = subprocess.run([sys.executable, "-c", PEAK_OF_COMMAND, *words], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    measured = 1024 * int(ran.stdout.split()[-1])
    need = predicted_need(tiny.parameters(), BOX, PIXEL_SIZE, CPU, COUNT, COUNT * BOX**2 * 4)
    assert 0.55 * need.host < measured < need.host  # what a program takes at least counts for much here


def test_it_is_that_of_the_largest_iteration():
    params = RefineParameters(particles="p.star", reference="r.mrc", diameter=100, prior="wiener")
    small, large = (predicted_need(params, box, 1.0, CPU, 10_000) for box in (128, 512))
    assert small.device == 0
    # Both halves' sums, and as much again for a division.
    assert 3 * sums_bytes(512, 512, 2) < large.host < 5 * sums_bytes(512, 512, 2)
    assert predicted_need(params.replace(padding=1), 512, 1.0, CPU, 10_000).host < large.host / 2
    few, many, more = (predicted_need(params, 128, 1.0, CPU, n).host for n in (20, 10**5, 10**7))
    assert few < many == more  # images are read in bounded memory
    kept = predicted_need(params, 128, 1.0, CPU, 10_000, 1 << 30)
    assert (kept.host, kept.images) == (small.host + (1 << 30), 1 << 30)


def test_searches_everywhere_keep_their_slices_and_symmetry_makes_them_fewer():
    params = RefineParameters(particles="p.star", reference="r.mrc", diameter=100, prior="wiener")
    local = params.replace(healpix_order=4)
    everywhere = predicted_need(params, 128, 1.0, CPU, 10_000).host
    # 12 bytes a component of half of the 768 × 48 views at order 3, up to the shell that tells them apart.
    shell = -(-1.2 * 128 * 360 // (torch.pi * 100 * 7.5))
    kept = 768 * 24 * 12 * torch.pi / 2 * shell**2
    tiles = [search_bytes(128, 5000, CPU, is_global=flag) for flag in (True, False)]
    found = everywhere - predicted_need(local, 128, 1.0, CPU, 10_000).host
    assert found == pytest.approx(kept + tiles[0] - tiles[1], rel=0.1)
    fewer = everywhere - predicted_need(params.replace(symmetry="C4"), 128, 1.0, CPU, 10_000).host
    assert fewer == pytest.approx(0.75 * kept, rel=0.1)


def test_on_a_device_its_share_is_told_apart():
    params = RefineParameters(particles="p.star", reference="r.mrc", diameter=100, prior="wiener")
    need = predicted_need(params, 256, 1.0, torch.device("cuda"), 10_000)
    assert need.device > 3 * sums_bytes(256, 256, 2) + slices_bytes(256, 256, 2)
    assert need.host < predicted_need(params, 256, 1.0, CPU, 10_000).host


def test_what_does_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr(memory_need, "host_memory", lambda: Memory(8 << 30, 4 << 30))
    check_memory(Need(host=3 << 30, device=0), CPU)
    with pytest.raises(BlushError, match=r"about 5\.0 GiB of memory, and 4\.0 GiB are free") as caught:
        check_memory(Need(host=5 << 30, device=0), CPU)
    assert "--padding 1" in caught.value.remedy
