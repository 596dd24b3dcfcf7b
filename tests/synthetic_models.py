"""Small atomic models from ideal geometry, for tests that need a molecule."""

from __future__ import annotations

from pathlib import Path

import numpy as np

_RISE, _TURN = 1.5, np.deg2rad(100.0)
"""Å and radians a residue of a right-handed alpha helix."""
_BACKBONE = {"N": (1.57, 0.0, 0.0), "CA": (2.29, 28.3, 0.87), "C": (1.66, 55.4, 1.99), "O": (1.98, 75.6, 3.16)}
"""Radius (Å), angle (degrees) and height (Å) of the atoms of residue 0 about the helix's axis."""
_SIDE_CHAIN = {"CB": (3.29, 18.0, -0.2), "CG": (4.4, 25.0, 0.1)}
_HELICES = ((0.0, 0.0, 22), (10.0, 1.0, 18), (4.0, 9.5, 14), (-8.0, 6.0, 9))
"""Where the bundle's helices stand (x, y in Å) and how many residues each has: no two alike, no symmetry."""


def helix(residues: int, x: float, y: float) -> list[tuple[str, int, np.ndarray]]:
    """Atoms (name, residue, position) of a helix along z through (x, y)."""
    atoms = []
    for residue in range(residues):
        for name, (radius, degrees, height) in {**_BACKBONE, **_SIDE_CHAIN}.items():
            angle = np.deg2rad(degrees) + residue * _TURN
            position = [x + radius * np.cos(angle), y + radius * np.sin(angle), height + residue * _RISE]
            atoms.append((name, residue + 1, np.array(position)))
    return atoms


def pdb_line(serial: int, name: str, chain: str, residue: int, position: np.ndarray, b_factor: float) -> str:
    x, y, z = position
    return (
        f"ATOM  {serial:5d}  {name:<3s} ALA {chain}{residue:4d}    {x:8.3f}{y:8.3f}{z:8.3f}"
        f"{1.0:6.2f}{b_factor:6.2f}          {name[0]:>2s}"
    )


def write_bundle(path: Path, *, seed: int = 0) -> Path:
    """Write a bundle of four helices, 378 atoms within some 40 Å, as PDB; `seed` varies it a little."""
    rng = np.random.default_rng(seed)
    lines = []
    for chain, (x, y, residues) in zip("ABCD", _HELICES, strict=True):
        shift = rng.uniform(-2, 2, 3) if seed else np.zeros(3)
        for name, residue, position in helix(residues, x, y):
            b_factor = 20.0 + 2.0 * abs(residue - residues / 2)
            lines.append(pdb_line(len(lines) + 1, name, chain, residue, position + shift, b_factor))
    path.write_text("\n".join([*lines, "END"]) + "\n")
    return path


def write_model_table(folder: Path, **splits: int) -> Path:
    """Write bundles and their table: ``write_model_table(folder, train=2, validation=1)``."""
    rows = ["pdb\tfile\tsplit\textent_A"]
    seed = 0
    for split, count in splits.items():
        for _ in range(count):
            write_bundle(folder / f"bundle{seed}.pdb", seed=seed)
            rows.append(f"b{seed:03d}\tbundle{seed}.pdb\t{split}\t28x24x36")
            seed += 1
    table = folder / "models.tsv"
    table.write_text("\n".join(rows) + "\n")
    return table
