"""Make half-map pairs for training with the engine's own refinement of few, noisy, simulated particles.

    python scripts/refined_pairs.py MODELS.tsv -o pairs --count 20 [--split train] [--seed 0]

What no other route has comes about by itself: noise that the poses have followed (overfitting, streaks),
wrongly aligned particles, blur that grows outwards as the poses' errors have it. Each pair is one model of the
table, its images (noise level, number and preferred views are drawn; membrane proteins get a micelle),
a refinement with the Wiener filter from what is left of it at 40 Å (less for small ones), and its unfiltered
half-maps, at 1.5 Å. Mask and truth are turned into the frame in which the refinement ended, by the true poses.
``pairs/pairs.tsv`` names the pairs as ``pairs`` of ``blush train`` wants them; a pair that is there is not made
again. A pair takes minutes on two cores.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from blushcore.jobs.refine.job import JOB as REFINE
from blushcore.jobs.refine.parameters import RefineParameters
from blushcore.jobs.simulate import JOB as SIMULATE
from blushcore.jobs.simulate import SimulateParameters
from blushcore.protocol import BlushError
from blushcore.runs.driver import run_job, run_unrecorded
from blushcore.simulation import (
    ModelEntry,
    electron_density,
    particle_mask,
    read_model_table,
    read_structure,
)
from blushcore.simulation.run_frame import frame_of_run, in_frame
from blushcore.training.augmentation import HalfMapPair
from blushcore.training.pair_files import TABLE, PairEntry, load_pair, save_pair
from blushcore.volumes import Volume, read_map, write_map

_MICELLE_ANGSTROM = 60.0
_COARSEST = 0.4
"""Of the particle's extent, what detail a refinement begins with at most: coarser, it is a ball."""
_WORST_POSE_DEG = 20.0
"""A refinement whose median error is larger has not found the structure: no pair comes of it."""


@dataclass(frozen=True)
class Images:
    """What is refined. Lengths in Å."""

    box: int
    pixel_size: float
    count: int
    snr: float
    views: str
    micelle: bool


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the pairs that are not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, help="table of atomic models")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the pairs")
    parser.add_argument("--count", type=int, default=10, help="how many pairs")
    parser.add_argument("--split", default="train", choices=["train", "validation", "test"])
    parser.add_argument("--largest", type=float, default=130.0, help="leave out larger models (Å)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    args = parser.parse_args(arguments)
    entries = [e for e in read_model_table(args.models, args.split) if e.extent_angstrom <= args.largest]
    if not entries:
        raise BlushError(
            f"{args.models} lists no model of the split {args.split} of at most {args.largest:g} Å."
        )
    table = args.output / TABLE
    for number in range(args.count):
        generator = np.random.default_rng([args.seed, zlib.crc32(args.split.encode()), number])
        entry = entries[int(generator.integers(len(entries)))]
        name = f"{args.split}-{args.seed}-{number:04d}-{entry.name}"
        if table.is_file() and f"{name}_half1.mrc" in table.read_text(encoding="utf-8"):
            continue
        images = draw_images(entry, generator)
        with tempfile.TemporaryDirectory(prefix="refined-pair-") as folder:
            try:
                pair = refined_pair(entry, images, Path(folder), seed=number, device=args.device)
            except BlushError as error:
                print(f"{name}: left out: {error}", flush=True)
                continue
        save_pair(args.output, name, pair, args.split)
        print(f"{name}: {images}, {pair.resolution:.1f} Å", flush=True)
    return 0


def draw_images(entry: ModelEntry, generator: np.random.Generator) -> Images:
    """Draw images of a model: a box of 48 to 72 pixels, which a refinement of minutes can do."""
    micelle = "membrane" in entry.kind and bool(generator.random() < 0.8)
    size = 1.5 * entry.extent_angstrom + micelle * _MICELLE_ANGSTROM
    box = int(generator.choice([48, 56, 64, 72]))
    return Images(
        box=box,
        pixel_size=max(1.5, round(size / box, 3)),
        count=round(float(np.exp(generator.uniform(np.log(300), np.log(2000))))),
        snr=float(np.exp(generator.uniform(np.log(0.03), np.log(0.3)))),
        views=str(generator.choice(["none", "mild", "strong"])),
        micelle=micelle,
    )


def refined_pair(
    entry: ModelEntry,
    images: Images,
    work: Path,
    *,
    seed: int = 0,
    device: str = "auto",
    healpix_order: int = 2,
    max_iterations: int = 25,
) -> HalfMapPair:
    """Simulate images of a model, refine them, and return the unfiltered half-maps at 1.5 Å.

    Parameters
    ----------
    entry, images
        Of what.
    work
        Folder for images and run, to be removed by who made it.
    seed
        Of images and refinement.
    device, healpix_order, max_iterations
        See `RefineParameters`.

    Raises
    ------
    BlushError
        When the model cannot be simulated, or the refinement has not found the structure.
    """
    dataset, run = work / "particles", work / "run"
    parameters = SimulateParameters(
        model=entry.path,
        output=dataset,
        kind="particles",
        box=images.box,
        voxel_size=images.pixel_size,
        count=images.count,
        snr=images.snr,
        preferred_views=images.views,
        micelle=images.micelle,
        seed=seed,
    )
    for _ in run_unrecorded(SIMULATE, parameters, dataset):
        pass
    diameter = 1.1 * entry.extent_angstrom + 0.6 * _MICELLE_ANGSTROM * images.micelle
    refinement = RefineParameters(
        particles=dataset / "particles.star",
        reference=dataset / "truth.mrc",
        initial_lowpass=min(40.0, _COARSEST * entry.extent_angstrom),
        root=work,
        diameter=diameter,
        first_iteration_cc=True,
        prior="wiener",  # which overfits where the network would not
        healpix_order=healpix_order,
        max_iterations=max_iterations,
        seed=seed,
        device=device,
    )
    for _ in run_job(REFINE, refinement, run):
        pass
    return _in_its_frame(entry, images, dataset, run, diameter)


def _in_its_frame(entry: ModelEntry, images: Images, dataset: Path, run: Path, diameter: float) -> HalfMapPair:
    """Return the halves of a run, with the truth and the molecule's mask where the run's poses have them."""
    frame = frame_of_run(run / "run_data.star", dataset / "true.star")
    error = float(np.median(frame.angles_deg))
    if error > _WORST_POSE_DEG:
        raise BlushError(f"The refinement has not found the structure (median error {error:.0f}°).")
    model = electron_density(read_structure(entry.path), images.box, images.pixel_size)
    mask = particle_mask(model, images.pixel_size).numpy()
    maps = {
        "truth": in_frame(read_map(dataset / "truth.mrc").data, frame, images.pixel_size),
        "mask": in_frame(mask, frame, images.pixel_size).clip(0, 1),
    }
    maps |= {f"half{h}": read_map(run / f"run_half{h}_class001_unfil.mrc").data for h in (1, 2)}
    files = {name: run / f"pair_{name}.mrc" for name in maps}
    for name, data in maps.items():  # anew, so that all four lie on one grid
        write_map(files[name], Volume(np.array(data, np.float32), (images.pixel_size,) * 3))
    half1, half2, truth, mask = (files[name] for name in ("half1", "half2", "truth", "mask"))
    return load_pair(PairEntry(half1, half2, mask=mask, truth=truth, diameter=diameter))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BlushError as error:
        sys.exit(f"refined_pairs: {error}")
