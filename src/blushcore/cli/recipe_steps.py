"""Recipes: a whole way from an atomic model to a report, as command lines that anybody can type.

Each recipe is a list of steps, in a folder of its own. A step is the words of one `blush` command and the file
by which it is known to be done; nothing happens in a recipe that these commands do not do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from blushcore.protocol import BlushError

if TYPE_CHECKING:
    import gemmi

RecipeName = Literal["micelle", "small-complex", "preferred"]

_ROOM = 5.0
"""Å that the circle around the particles is wider than the model, at either side."""
_BOX_OVER_DIAMETER = 1.2
_CLASSES, _CLASS_ITERATIONS = 3, 10
_CLASS_HEALPIX_ORDER = 1
"""30°, and 15° where it matters: an eighth of the usual search's time, fine enough for a small particle."""


@dataclass(frozen=True)
class Step:
    """A command, and how one sees that it is done.

    Attributes
    ----------
    why
        What it is for, in a sentence.
    words
        What follows ``blush``; files are named from the recipe's folder.
    makes
        The file that is there once it is done.
    run
        The run directory, of commands that have one: what was broken off there is resumed.
    """

    why: str
    words: tuple[str, ...]
    makes: str
    run: str = ""


@dataclass(frozen=True)
class Choices:
    """What the user chose of a recipe.

    Attributes
    ----------
    model
        The atomic model, or the parts of it that are meant.
    lesser
        The model without its nucleic acid; for recipes that sort the two apart.
    extent_angstrom
        Of the model: the diameter of the sphere around it.
    particles, seed, device, prior
        As the commands have them.
    """

    model: Path
    lesser: Path
    extent_angstrom: float
    particles: int
    seed: int = 1
    device: str = "auto"
    prior: str = "blush"

    @property
    def diameter(self) -> str:
        """Å of the circle around the particles."""
        return f"{5 * math.ceil((self.extent_angstrom + 2 * _ROOM) / 5)}"

    def box(self, pixel_size: float) -> str:
        """Pixels of the images: a multiple of 8, with some room around the circle."""
        return f"{8 * math.ceil(_BOX_OVER_DIAMETER * float(self.diameter) / pixel_size / 8)}"


@dataclass(frozen=True)
class Recipe:
    """A recipe: what it shows, how many particles it takes, and its steps."""

    what: str
    particles: int
    steps: Callable[[Choices], Sequence[Step]]


def membrane_protein(chosen: Choices) -> list[Step]:
    """Refine a membrane protein within its micelle."""
    what = ("--micelle", *_images(chosen, pixel_size=3.5, snr=0.5))
    title = "A membrane protein in a micelle"
    return [_simulated(chosen, what), *_refined(chosen, "simulated/particles.star", title)]


def small_complex(chosen: Choices) -> list[Step]:
    """Sort a small protein–nucleic acid complex from its free protein and from junk, then refine it."""
    mixture = ("--mix", f"{chosen.lesser}:0.3", "--junk", "0.1")
    classified = f"classified/run_it{_CLASS_ITERATIONS:03d}_data.star"
    return [
        _simulated(chosen, (*mixture, *_images(chosen, pixel_size=2.8, snr=0.8))),
        Step(
            "Sort the particles into classes.",
            (
                *("classify", "simulated/particles.star", "--reference", "simulated/ref40.mrc"),
                *("-K", str(_CLASSES), "--iterations", str(_CLASS_ITERATIONS), "--diameter", chosen.diameter),
                *("--healpix-order", str(_CLASS_HEALPIX_ORDER), "--first-iteration-cc"),
                *("--prior", chosen.prior, *_common(chosen), "-o", "classified"),
            ),
            classified,
            run="classified",
        ),
        Step(
            "Report the classes.",
            ("report", "classified", "-o", "classes.html", "--title", "Classes of a small complex"),
            "classes.html",
        ),
        Step(
            "Take the largest class.",
            ("select", classified, "--largest", "-o", "selected.star"),
            "selected.star",
        ),
        *_refined(chosen, "selected.star", "A small protein–nucleic acid complex"),
    ]


def preferred_orientation(chosen: Choices) -> list[Step]:
    """Refine particles most of which show the same view."""
    what = ("--preferred-views", "strong", *_images(chosen, pixel_size=3.5, snr=0.5))
    return [_simulated(chosen, what), *_refined(chosen, "simulated/particles.star", "A preferred orientation")]


RECIPES: dict[RecipeName, Recipe] = {
    "micelle": Recipe("a membrane protein in a micelle", 600, membrane_protein),
    "small-complex": Recipe(
        "a small protein–nucleic acid complex, classified, then refined", 600, small_complex
    ),
    "preferred": Recipe("a preferred orientation", 800, preferred_orientation),
}


def extent_of(model: gemmi.Model) -> float:
    """Return the diameter in Å of the sphere about the middle of a model that holds all its atoms."""
    import numpy as np

    from blushcore.simulation import atom_positions

    positions = atom_positions(model)
    middle = (positions.max(axis=0) + positions.min(axis=0)) / 2
    return float(2 * np.linalg.norm(positions - middle, axis=1).max())


def chosen_parts(model: gemmi.Model, chains: Sequence[str]) -> tuple[gemmi.Model, gemmi.Model]:
    """Return the chains that are meant, and those of them that are no nucleic acid.

    Raises
    ------
    BlushError
        If there is no such chain, or the parts are not a protein and a nucleic acid.
    """
    import gemmi

    names = [chain.name for chain in model]
    if missing := [name for name in chains if name not in names]:
        raise BlushError(
            f"The model has no chain {', '.join(missing)}.", f"It has {', '.join(filter(None, names))}."
        )
    whole, lesser = gemmi.Model(1), gemmi.Model(1)
    nucleic = {gemmi.PolymerType.Dna, gemmi.PolymerType.Rna, gemmi.PolymerType.DnaRnaHybrid}
    for chain in model:
        if not chains or chain.name in chains:
            whole.add_chain(chain)
            if chain.get_polymer().check_polymer_type() not in nucleic:
                lesser.add_chain(chain)
    if len(lesser) in (0, len(whole)):
        there = "nothing but nucleic acid" if len(lesser) == 0 else "no nucleic acid"
        raise BlushError(
            f"These chains hold {there}.",
            "This recipe is for a protein with a nucleic acid: choose its --chains.",
        )
    return whole, lesser


def write_model(model: gemmi.Model, path: Path) -> None:
    """Write a model as an mmCIF file."""
    import gemmi

    from blushcore.volumes import atomic_file

    structure = gemmi.Structure()
    structure.add_model(model)
    structure.setup_entities()
    with atomic_file(path) as file:
        file.write(structure.make_mmcif_document().as_string().encode())


def _simulated(chosen: Choices, what: tuple[str, ...]) -> Step:
    words = ("simulate", str(chosen.model), "--kind", "particles", *what, "-n", str(chosen.particles))
    return Step(
        "Make images with a known truth.",
        (*words, "--seed", str(chosen.seed), "-o", "simulated", "--overwrite"),
        "simulated/simulation.json",
    )


def _images(chosen: Choices, *, pixel_size: float, snr: float) -> tuple[str, ...]:
    return ("--voxel-size", f"{pixel_size:g}", "--box", chosen.box(pixel_size), "--snr", f"{snr:g}")


def _common(chosen: Choices) -> tuple[str, ...]:
    return ("--seed", str(chosen.seed), "--device", chosen.device)


def _refined(chosen: Choices, particles: str, title: str) -> list[Step]:
    halves = ("refined/run_half1_class001_unfil.mrc", "refined/run_half2_class001_unfil.mrc")
    return [
        Step(
            "Refine them, two halves apart.",
            (
                *("refine", particles, "--reference", "simulated/ref40.mrc", "--diameter", chosen.diameter),
                *("--first-iteration-cc", "--prior", chosen.prior, *_common(chosen), "-o", "refined"),
            ),
            "refined/run_class001.mrc",
            run="refined",
        ),
        Step(
            "Make a soft mask of the map (never of a denoised one).",
            ("mask", "refined/run_class001.mrc", "-o", "mask.mrc"),
            "mask.mrc",
        ),
        Step(
            "Measure the resolution from place to place: colour a surface by it in napari.",
            ("local-resolution", *halves, "--mask", "mask.mrc", "-o", "local.mrc"),
            "local.mrc",
        ),
        Step(
            "Report it.",
            (
                *("report", "refined", "--mask", "mask.mrc", "--truth", "simulated/truth.mrc"),
                *("--title", title, "-o", "report.html"),
            ),
            "report.html",
        ),
    ]
