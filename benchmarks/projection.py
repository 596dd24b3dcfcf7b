"""How fast slices are taken out of a Fourier volume and put back, against what the caches can deliver.

::

    python benchmarks/projection.py [--boxes 64 128 256] [--device cuda] [--json]

On the processor the bound is memory: trilinear interpolation reads eight complex numbers for each component;
inserting reads and writes eight complex numbers and eight weights. How fast the machine streams through the
cache of its cores with the same threads is measured in the same run; the ratio says what share of that is
reached. The peer is the same by torch's own operations (`grid_sample`, `index_add_`). On other devices those
are what runs, and the bound is the device's own memory. Views are those of a search: 24 turns in the plane
about each direction.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from blushcore.projection import FourierVolume, SliceSums
from blushcore.projection.tensor_ops import insert_from, slice_into
from blushcore.shells.plane import PlaneComponents

READ_FOR_A_SLICE = 8 * 8
MOVED_FOR_AN_INSERT = 2 * 8 * 12
COMPONENTS = 6_000_000
CACHED = {"cpu": 1 << 20}
UNCACHED = 1 << 30


@dataclass(frozen=True)
class Row:
    """One box: rates per second, and shares of the bound."""

    box: int
    components: int
    slices: float
    slices_of_bound: float
    slices_of_peer: float | None
    inserts: float
    inserts_of_bound: float
    inserts_of_peer: float | None


def seconds(work: Callable[[], object], device: torch.device, repeats: int = 5) -> float:
    """Return the least of some times, the first left out."""
    best = float("inf")
    for turn in range(repeats + 1):
        if device.type == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        if turn:
            best = min(best, time.perf_counter() - start)
    return best


def bandwidths(device: torch.device) -> tuple[float, float]:
    """Return bytes a second of reading, and of reading and writing, where the working set lies."""
    size = CACHED.get(device.type, UNCACHED) // 4 * (torch.get_num_threads() if device.type == "cpu" else 1)
    values = torch.ones(size, device=device)
    turns = max(1, (1 << 28) // size)

    def read() -> None:
        for _ in range(turns):
            values.sum()

    def move() -> None:
        for _ in range(turns):
            values.mul_(1.0)

    total = 4.0 * size * turns
    return total / seconds(read, device), 2 * total / seconds(move, device)


def views(count: int) -> Tensor:
    """Return rotations as a search goes through them."""
    directions = torch.from_numpy(Rotation.random(-(-count // 24), random_state=0).as_matrix())
    turns = torch.from_numpy(
        Rotation.from_euler("z", [[15.0 * i] for i in range(24)], degrees=True).as_matrix()
    )
    return (turns @ directions[:, None]).flatten(0, 1)[:count].float()


def measure(box: int, device: torch.device, read: float, move: float) -> Row:
    """Return the rates for one box at full size, padding 2."""
    plane = PlaneComponents.of(box, device=device)
    count = max(24, COMPONENTS // plane.count)
    poses = views(count).to(device)
    volume = FourierVolume.of(torch.randn(box, box, box, device=device))
    sums = SliceSums(box, device=device)
    slices = torch.empty(count, plane.count, dtype=torch.complex64, device=device)
    weights = torch.rand(count, plane.count, device=device)
    slicing = seconds(lambda: volume.slices(poses, plane, out=slices), device)
    inserting = seconds(lambda: sums.insert(poses, slices, weights, plane), device)
    peers: list[float | None] = [None, None]
    if device.type == "cpu":
        some = max(24, count // 10)  # it takes its time
        kx, ky, reach = 2.0 * plane.kx, 2.0 * plane.ky, volume.grid.reach
        parts = torch.empty(some, 2, plane.count)
        components, turned = volume.components, poses[:some]
        peer = seconds(lambda: slice_into(parts, components, reach, turned, kx, ky), device, 1)
        peers[0] = count / slicing / (some / peer)
        peer = seconds(
            lambda: insert_from(sums.data, sums.weight, reach, turned, kx, ky, slices[:some], weights[:some]),
            device,
            1,
        )
        peers[1] = count / inserting / (some / peer)
    points = count * plane.count
    return Row(
        box,
        plane.count,
        count / slicing,
        points * READ_FOR_A_SLICE / read / slicing,
        peers[0],
        count / inserting,
        points * MOVED_FOR_AN_INSERT / move / inserting,
        peers[1],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--boxes", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    read, move = bandwidths(device)
    rows = [measure(box, device, read, move) for box in arguments.boxes]
    if arguments.json:
        print(json.dumps({"read": read, "move": move, "rows": [asdict(row) for row in rows]}))
        return
    print(f"bound: reads {read / 1e9:.0f} GB/s, reads and writes {move / 1e9:.0f} GB/s")
    print("box  components | slices/s  of bound  × torch | inserts/s  of bound  × torch")
    for row in rows:
        of_peers = [
            "–" if ratio is None else f"{ratio:.1f}" for ratio in (row.slices_of_peer, row.inserts_of_peer)
        ]
        print(
            f"{row.box:3d}  {row.components:10d} | {row.slices:8.0f}  {row.slices_of_bound:8.0%}  "
            f"{of_peers[0]:>7} | {row.inserts:9.0f}  {row.inserts_of_bound:8.0%}  {of_peers[1]:>7}"
        )


if __name__ == "__main__":
    main()
