"""How fast the E-step is, against what the machine's matrix product and its slicing allow.

::

    python benchmarks/expectation.py [--device cuda] [--json]    # shares of the limits
    python benchmarks/expectation.py --scaling [--plot F.png]    # time and memory against images and box

Images are of a random map with noise. The limits are measured in the same run: a plain float32 matrix product
of the same shapes, and making the slices that a local search asks for once each. Each scaling figure comes from
a process of its own, so that peak memory is that of the one thing. Run it with nothing else on the machine.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from blushcore.inference import ImageModel, LocalSearch, Particles, Sampling, expectation
from blushcore.inference.coarse import DenseSearch, Weighted
from blushcore.inference.memory import Workspace
from blushcore.inference.views import Views
from blushcore.optics import CtfParameters, OpticsGroup, ctf
from blushcore.poses import OffsetGrid, OrientationGrid, SymmetryGroup, euler_to_matrix
from blushcore.projection import FourierVolume
from blushcore.shells import PlaneComponents, images_from, transform_images

PIXEL_SIZE = 2.2
_MADE_AT_ONCE = 64
TARGETS = {"coarse": 0.60, "global": 0.35, "local": 2.0}


class Problem:
    """Images of a map in random poses, made when asked for: a set of any size takes no memory."""

    def __init__(self, box: int, count: int, noise: float = 1.5, device: str = "cpu") -> None:
        generator = np.random.default_rng(1)
        self.box, self.device = box, torch.device(device)
        axis = torch.arange(box) - box // 2
        radius = torch.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
        torch.manual_seed(0)
        density = torch.randn(box, box, box) * torch.exp(-((radius / (0.2 * box)) ** 4))
        self.reference = density.to(self.device)
        self.angles = torch.from_numpy(
            np.stack(
                (
                    generator.uniform(-180, 180, count),
                    np.degrees(np.arccos(generator.uniform(-1, 1, count))),
                    generator.uniform(-180, 180, count),
                ),
                -1,
            )
        )
        self.optics = OpticsGroup(
            number=1,
            name="one",
            voltage_kilovolts=300,
            spherical_aberration_mm=2.7,
            amplitude_contrast=0.1,
            pixel_size_angstrom=PIXEL_SIZE,
            box=box,
        )
        self.ctf = CtfParameters.of(generator.uniform(8000, 20000, count))
        self.plane = PlaneComponents.of(box)
        self.volume = FourierVolume.of(density)
        self.noise = noise * self._clean(np.arange(min(count, 32))).std()
        variance = torch.full((box // 2 + 1,), float(self.noise) ** 2 / 2 / box**2, dtype=torch.float64)
        self.model = ImageModel(
            [variance], torch.ones(1, dtype=torch.float64), 1.0, 4.0, 0.6 * box * PIXEL_SIZE
        )
        self.particles = Particles(
            np.arange(count),
            [self.optics],
            torch.zeros(count, dtype=torch.int64),
            self.ctf,
            self.angles,
            torch.zeros(count, 2, dtype=torch.float64),
            torch.ones(count, dtype=torch.float64),
            torch.zeros(count, dtype=torch.int64),
        )
        self.seconds_making = 0.0

    def _clean(self, rows: np.ndarray) -> torch.Tensor:
        at = torch.from_numpy(rows)
        slices = self.volume.slices(euler_to_matrix(self.angles[at]).float(), self.plane)
        return images_from(
            slices * ctf(self.optics, self.ctf.take(at), self.plane.kx, self.plane.ky), self.plane
        )

    def batches(self, rows: np.ndarray, size: int):
        """Yield images; the time that making them takes is not the E-step's."""
        for first in range(0, len(rows), size):
            began = time.perf_counter()
            some = rows[first : first + size]
            images = torch.empty(len(some), self.box, self.box)
            generator = torch.Generator().manual_seed(int(some[0]))
            for start in range(
                0, len(some), _MADE_AT_ONCE
            ):  # making them takes less memory than comparing them
                part = slice(start, start + _MADE_AT_ONCE)
                images[part] = self._clean(some[part])
                images[part] += self.noise * torch.randn(images[part].shape, generator=generator)
            self.seconds_making += time.perf_counter() - began
            yield some, images

    def run(self, sampling: Sampling) -> float:
        """Return the seconds of an E-step."""
        self.seconds_making = 0.0
        began = time.perf_counter()
        steps = expectation(self.reference, PIXEL_SIZE, self.particles, self, sampling, self.model)
        for _ in steps:
            pass
        self._wait()
        return time.perf_counter() - began - self.seconds_making

    def best(self, work: Callable[[], object], repeats: int = 3) -> float:
        """Return the least of some times, the first left out."""
        times = []
        for _ in range(repeats + 1):
            began = time.perf_counter()
            work()
            self._wait()
            times.append(time.perf_counter() - began)
        return min(times[1:])

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def sampling_of(order: int, size: int, coarse: int, local: bool) -> Sampling:
    """Return grids as a refinement has them."""
    grid = OrientationGrid(order, SymmetryGroup.of("C1"), 0.2)
    search = LocalSearch(grid.step_deg, grid.step_deg) if local else None
    offsets = OffsetGrid(2.0, 1.0, 0.2) if local else OffsetGrid(5.0, 2.0, 0.2)
    return Sampling(grid, offsets, size, coarse, search)


def shares(device: str) -> dict[str, float]:
    """Return how much of each limit is reached."""
    box, order, count = 64, 3, 512
    problem = Problem(box, count, device=device)
    plan = sampling_of(order, 56, 44, local=False)
    grid, offsets = plan.orientations, plan.offsets.coarse(problem.device)
    plane = PlaneComponents.of(box, plan.coarse_size, problem.device)

    search = DenseSearch(
        Views((FourierVolume.of(problem.reference, plan.current_size),), grid),
        plane,
        torch.zeros(grid.direction_count, device=problem.device),
        1 << 30,
        Workspace(problem.device),
    )
    tile = search.images_at_once(len(offsets), 192 << 20)
    _, images = next(problem.batches(np.arange(tile), tile))
    transfer = ctf(problem.optics, problem.ctf.take(slice(0, tile)), plane.kx, plane.ky)
    inverse = (1 / problem.model.noise_variance[0][plane.shell]).float()
    weighted = Weighted(
        (transform_images(images, plane) * transfer * inverse).to(problem.device),
        (transfer.square() * inverse).to(problem.device),
    )
    ramps, flat = plane.phase_ramps(offsets), torch.zeros(tile, len(offsets), device=problem.device)
    rows, columns = tile * len(offsets), grid.count // 2
    left, right = (
        torch.randn(rows, plane.count).to(problem.device),
        torch.randn(columns, plane.count).to(problem.device),
    )
    out = torch.empty(rows, columns, device=problem.device)
    product = 2 * rows * columns * plane.count
    product_rate = product / problem.best(lambda: torch.mm(left, right.T, out=out))
    # Two products (real and imaginary parts) are the values of twice as many orientations.
    coarse = problem.best(lambda: search.significant(weighted, ramps, flat, fraction=0.999))
    coarse_share = 2 * product / coarse / product_rate
    problem.run(plan)
    whole = problem.run(plan)
    global_share = 2 * product / tile * count / whole / product_rate

    near = sampling_of(5, 56, 56, local=True)
    problem.run(near)
    local = problem.run(near)
    assert near.local is not None
    lists = near.orientations.nearby(problem.angles, near.local.sigma_rot_deg, near.local.sigma_psi_deg)
    fine = PlaneComponents.of(box, near.current_size, problem.device)
    volume = FourierVolume.of(problem.reference, near.current_size)
    different = torch.unique(lists.orientations)
    slicing = 0.0
    for some in torch.split(different, 20000):
        rotations = near.orientations.rotations(some.to(problem.device))
        slicing += problem.best(lambda rotations=rotations: volume.slices_real(rotations, fine), 1)
    pairs = len(lists.orientations) * len(near.offsets.coarse())
    return {
        "product_gflops": product_rate / 1e9,
        "coarse_share": coarse_share,
        "global_seconds": whole,
        "global_share": global_share,
        "local_seconds": local,
        "local_slicing_seconds": slicing,
        "local_product_seconds": 4 * pairs * fine.count / product_rate,
        "local_over_limit": local / max(slicing, 4 * pairs * fine.count / product_rate),
        "images": count,
    }


def one(box: int, count: int, local: bool) -> dict[str, float]:
    """Return time and peak memory of an E-step in this process."""
    problem = Problem(box, count)
    size = 2 * int(0.4 * box)
    plan = sampling_of(4 if local else 2, size, size if local else min(size, 22 * box // 64), local)
    problem.run(plan)  # compiles
    return {
        "box": box,
        "images": count,
        "local": local,
        "seconds": problem.run(plan),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def scaling(plot: Path | None) -> list[dict[str, float]]:
    """Measure times and memory against the number of images and the box."""
    rows = []
    cases = [(64, n, local) for local in (False, True) for n in (500, 1000, 2000, 4000, 8000, 16000)]
    cases += [(box, 500, local) for local in (False, True) for box in (48, 96, 128, 192)]
    for box, count, local in cases:
        command = [sys.executable, __file__, "--one", str(box), str(count), str(int(local))]
        rows.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        row = rows[-1]
        kind = "local" if local else "global"
        print(f"{kind:6} box {box:4} {count:5} images: {row['seconds']:7.2f} s, peak {row['peak_mb']:6.0f} MB")
    if plot is not None:
        draw(rows, plot)
    return rows


def draw(rows: list[dict[str, float]], path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    for local, colour in ((False, "C0"), (True, "C1")):
        label = "local" if local else "global"
        by_count = sorted(
            (r for r in rows if r["box"] == 64 and r["local"] == local), key=lambda r: r["images"]
        )
        by_box = sorted((r for r in rows if r["images"] == 500 and r["local"] == local), key=lambda r: r["box"])
        axes[0].plot(
            [r["images"] for r in by_count], [r["seconds"] for r in by_count], "o-", c=colour, label=label
        )
        axes[1].plot([r["box"] for r in by_box], [r["seconds"] for r in by_box], "o-", c=colour, label=label)
        axes[2].plot(
            [r["images"] for r in by_count], [r["peak_mb"] for r in by_count], "o-", c=colour, label=label
        )
    for axis, x, y in zip(
        axes, ("images (box 64)", "box (px; 500 images)", "images (box 64)"), ("s", "s", "MB"), strict=True
    ):
        axis.set(xlabel=x, ylabel=y, ylim=(0, None))
        axis.legend(frameon=False)
    figure.savefig(path, dpi=100)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", action="store_true", help="print figures as JSON")
    parser.add_argument("--scaling", action="store_true", help="time and memory against images and box")
    parser.add_argument("--plot", type=Path, help="draw the scaling")
    parser.add_argument("--one", nargs=3, type=int, metavar=("BOX", "IMAGES", "LOCAL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_grad_enabled(False)
    if options.one:
        box, count, local = options.one
        print(json.dumps(one(box, count, bool(local))))
        return 0
    if options.scaling:
        rows = scaling(options.plot)
        if options.json:
            print(json.dumps(rows, indent=1))
        return 0
    figures = shares(options.device)
    if options.json:
        print(json.dumps(figures, indent=1))
        return 0
    print(
        f"matrix product: {figures['product_gflops']:.0f} GFLOP/s, {torch.get_num_threads()} threads, float32"
    )
    verdicts = (
        ("coarse pass", figures["coarse_share"], TARGETS["coarse"]),
        ("whole global E-step", figures["global_share"], TARGETS["global"]),
    )
    missed = False
    for name, share, target in verdicts:
        missed |= share < target
        word = "reached" if share >= target else "NOT reached"
        print(f"{name}: {share:.0%} of the matrix product (wanted: {target:.0%}, {word})")
    ratio = figures["local_over_limit"]
    missed |= ratio > TARGETS["local"]
    word = "reached" if ratio <= TARGETS["local"] else "NOT reached"
    print(
        f"local E-step: {figures['local_seconds']:.2f} s for {figures['images']} images, {ratio:.2f} × the "
        f"larger of slicing ({figures['local_slicing_seconds']:.2f} s) and product "
        f"({figures['local_product_seconds']:.2f} s) (wanted: {TARGETS['local']:.0f} ×, {word})"
    )
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main())
