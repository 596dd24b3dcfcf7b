"""The built-in particle set: how it is made of what the package ships, and how it is refined."""

from __future__ import annotations

import json
from pathlib import Path

from blushcore.jobs.simulate.file_names import RECORD, output_names
from blushcore.jobs.simulate.parameters import SimulateParameters
from blushcore.shipped import shipped_file

DEMO_DIAMETER_ANGSTROM = 120.0
"""Diameter of the mask to refine it with."""
DEMO_SYMMETRY = "D3"
"""Its symmetry, in RELION's setting."""


def demo_parameters(folder: Path) -> SimulateParameters:
    """Return the parameters that make the built-in set in `folder`, in a few seconds and megabytes.

    Images of uridine phosphorylase, the enzyme of the demo half-maps: six chains of symmetry D3, 156 kDa.
    """
    return SimulateParameters(
        model=shipped_file("demo/truth.mrc.gz"),
        output=folder,
        kind="particles",
        count=400,
        snr=0.5,
        seed=3,
    )


def is_made(params: SimulateParameters) -> bool:
    """Whether the files that `params` would write are there, and were made with the same parameters."""
    if not all((params.output / name).is_file() for name in output_names(params)):
        return False
    try:
        kept = json.loads((params.output / RECORD).read_text(encoding="utf-8"))["parameters"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return bool(kept == params.recorded())
