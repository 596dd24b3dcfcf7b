"""From a STAR file of any RELION since 3.0 to a checked particle table."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from blushcore.particles.checks import refuse_what_cannot_be, suspicious_values
from blushcore.particles.columns import (
    NUMBERS_OF_OPTICS,
    NUMBERS_OF_PARTICLES,
    offsets_in_angstrom,
    optics_of_old_file,
    refuse_what_is_no_number,
)
from blushcore.particles.image_stack import ImageStack
from blushcore.particles.particle_table import ParticleTable, missing_ctf_columns
from blushcore.particles.row_names import named_rows
from blushcore.particles.stack_names import StackNames, locate_stacks
from blushcore.particles.star_text import read_star
from blushcore.protocol import BlushError

if TYPE_CHECKING:
    import pandas as pd

_SUBTOMOGRAM_COLUMNS = ("rlnTomoName", "rlnTomoParticleName", "rlnCtfImage", "rlnOriginZAngst", "rlnOriginZ")


def read_particles(
    path: str | os.PathLike[str], root: str | os.PathLike[str] | None = None, *, needs_ctf: bool = True
) -> ParticleTable:
    """Read a STAR file of particles.

    RELION 3.1 to 5 (blocks ``optics`` and ``particles``) are read as they are. The single table of RELION 3.0
    and before is converted: optics groups from voltage, aberration, amplitude contrast and pixel size
    (``rlnDetectorPixelSize`` · 10⁴ / ``rlnMagnification``), offsets from pixels to Å. No image is read; a
    missing ``rlnImageSize`` is taken from the headers of stacks if they are there.

    Parameters
    ----------
    path
        The STAR file.
    root
        Folder to which image names are relative. By default they are looked up from the STAR file's folder and
        each folder above it: RELION's names are relative to the project.
    needs_ctf
        Whether a table without what the CTF needs is refused.

    Raises
    ------
    BlushError
        If the file cannot be read; has no image names, no particle, no pixel size, or (if needed) not all
        columns of the CTF; describes subtomograms; or has values that cannot be meant. Rows count from 1.
    """
    path = Path(path)
    root = None if root is None else Path(root)
    if root is not None and not root.is_dir():
        raise BlushError(f"There is no folder {root}.", "Give the folder to which image names are relative.")
    blocks = read_star(path)
    particles, optics = _particles_and_optics(blocks, path)
    refuse_what_is_no_number(particles, NUMBERS_OF_PARTICLES, path.name, "")
    if optics is None:
        particles, optics = optics_of_old_file(particles)
    else:
        refuse_what_is_no_number(optics, NUMBERS_OF_OPTICS, path.name, "data_optics, ")
        particles, optics = _optics_in_use(particles, optics, path)
    missing = missing_ctf_columns(particles, optics)
    if missing and needs_ctf:
        raise BlushError(
            f"{path.name} lacks what the CTF needs: {', '.join(missing)}.",
            "Give particles with an estimated CTF (they come from CTF estimation and extraction).",
        )
    if "rlnImagePixelSize" not in optics:
        raise BlushError(
            f"{path.name} has no pixel size (rlnImagePixelSize, or rlnDetectorPixelSize and rlnMagnification).",
            "Add the column; relion_convert_star brings old files up to date.",
        )
    refuse_what_cannot_be(particles, optics, path.name)
    table = ParticleTable(
        path=path,
        particles=particles,
        optics=optics,
        source_row=np.arange(1, len(particles) + 1),
        root=root,
        warnings=suspicious_values(particles, optics),
    )
    sizes = table.pixel_size_angstrom[table.optics_index]
    table = replace(table, particles=offsets_in_angstrom(particles, sizes))
    return table if "rlnImageSize" in optics else replace(table, optics=_with_boxes_of_stacks(table))


def _particles_and_optics(
    blocks: dict[str, pd.DataFrame], path: Path
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    optics = blocks.get("optics")
    others = {name: block for name, block in blocks.items() if name != "optics"}
    named = [name for name, block in others.items() if "rlnImageName" in block]
    main = others.get("particles", others[named[0]] if named else None)
    tomographic = "rlnTomoSubTomosAre2DStacks" in blocks.get("general", ())
    if optics is not None and (optics.get("rlnImageDimensionality", np.array([2])) == 3).any():
        tomographic = True
    if main is not None and any(label in main for label in _SUBTOMOGRAM_COLUMNS):
        tomographic = True
    if tomographic:
        raise BlushError(
            f"{path.name} describes subtomograms, which are not refined here.",
            "Give a STAR file of single-particle images.",
        )
    if main is None or (len(main) and "rlnImageName" not in main):
        raise BlushError(
            f"{path.name} has no column rlnImageName (it holds: {', '.join(blocks)}).",
            "Give a particles STAR file, such as particles.star or run_data.star.",
        )
    if len(main) == 0:
        raise BlushError(f"{path.name} has no particle in it.", "Give a STAR file with particles.")
    if optics is not None and len(optics) == 0:
        raise BlushError(f"{path.name} has an empty block of optics groups.", "Write the file again.")
    if (unnamed := np.flatnonzero(main["rlnImageName"].isna())).size:
        raise BlushError(
            f"{path.name}, {named_rows(unnamed + 1)}: rlnImageName is missing.", "Mend or remove what is wrong."
        )
    return main, optics


def _optics_in_use(
    particles: pd.DataFrame, optics: pd.DataFrame, path: Path
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Match particles to optics groups; groups without particles are left out."""
    if "rlnOpticsGroup" not in optics:
        if len(optics) > 1:
            raise BlushError(f"{path.name}: data_optics has no column rlnOpticsGroup.", "Add it.")
        optics = optics.assign(rlnOpticsGroup=1)
    if "rlnOpticsGroup" not in particles:
        if len(optics) > 1:
            raise BlushError(
                f"{path.name} has {len(optics)} optics groups, but its particles no column rlnOpticsGroup.",
                "Add it.",
            )
        particles = particles.assign(rlnOpticsGroup=int(optics["rlnOpticsGroup"].iloc[0]))
    if optics["rlnOpticsGroup"].duplicated().any():
        number = optics["rlnOpticsGroup"][optics["rlnOpticsGroup"].duplicated()].iloc[0]
        raise BlushError(f"{path.name} has two optics groups {number}.", "Give each a number of its own.")
    if (unknown := np.flatnonzero(~particles["rlnOpticsGroup"].isin(optics["rlnOpticsGroup"]))).size:
        raise BlushError(
            f"{path.name}, {named_rows(unknown + 1)}: there is no optics group "
            f"{particles['rlnOpticsGroup'].iloc[unknown[0]]} in data_optics.",
            "Mend these rows or add the group.",
        )
    used = optics["rlnOpticsGroup"].isin(particles["rlnOpticsGroup"].unique())
    return particles, optics[used].reset_index(drop=True)


def _with_boxes_of_stacks(table: ParticleTable) -> pd.DataFrame:
    """Return the optics with ``rlnImageSize`` from a stack of each group; without, if one is not there.

    That a stack is missing is said when images are wanted.
    """
    boxes = []
    for row in np.unique(table.optics_index, return_index=True)[1].tolist():
        name = table.stacks.names[table.stacks.stack_of_row[row]]
        one = StackNames((name,), np.zeros(1, np.int64), np.zeros(1, np.int64))
        try:
            found = locate_stacks(one, table.path, table.root, [int(table.source_row[row])])
            boxes.append(ImageStack(found[0]).shape[2])
        except BlushError:
            return table.optics
    return table.optics.assign(rlnImageSize=boxes)
