"""STAR files that an iteration leaves, as RELION lays them out: what they hold, and where they lie.

Labels and units are those of RELION 3.1 and later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from blushcore.jobs.expectation_maximisation.poses import Poses
from blushcore.particles import ParticleTable
from blushcore.particles.star_text import write_star

if TYPE_CHECKING:
    import pandas as pd

Blocks: TypeAlias = "dict[str, pd.DataFrame | Mapping[str, Any]]"

UNKNOWN = 999.0
"""RELION's word for an accuracy, a change or a ratio that is not known or beyond measure."""
_DECIMALS = 6


@dataclass(frozen=True)
class StarFile:
    """A STAR file to be: an `Artefact`. Names of maps in it become paths as RELION wants them.

    Attributes
    ----------
    role, name
        As every `Artefact` has them.
    blocks
        What it holds; made when it is written.
    project
        The folder that paths in RELION's files are relative to.
    """

    role: str
    name: str
    blocks: Blocks
    project: Path

    def write(self, path: Path) -> None:
        """Write the file to `path`."""
        folder = _relative(path.absolute().parent, self.project)
        write_star(path, {name: _placed(block, folder) for name, block in self.blocks.items()})


@dataclass(frozen=True)
class InRun:
    """The name of another file of the run, inside of a STAR file."""

    name: str


def data_columns(
    table: ParticleTable, poses: Poses, class_index: NDArray[np.int64] | None = None
) -> ParticleTable:
    """Return the table with what the last iteration found, as RELION's ``_data.star`` has it.

    Parameters
    ----------
    class_index
        Class of each particle from 0 on; without, it is a refinement's table, with half-sets.
    """
    numbers = {"rlnClassNumber": np.ones(len(table), np.int64) if class_index is None else class_index + 1}
    if class_index is None:
        numbers["rlnRandomSubset"] = table.half.astype(np.int64)
    return table.with_poses(poses.angles_deg, poses.offsets_angstrom).with_columns(
        {
            "rlnGroupNumber": table.group_index + 1,
            **numbers,
            "rlnNormCorrection": np.round(poses.norm, _DECIMALS),
            "rlnLogLikeliContribution": np.round(poses.log_likelihood, _DECIMALS),
            "rlnMaxValueProbDistribution": np.round(poses.p_max, _DECIMALS),
            "rlnNrOfSignificantSamples": poses.significant,
        }
    )


def project_folder(table: ParticleTable) -> Path:
    """Return the folder that the table's image names are relative to; the working directory if they are not."""
    name = Path(table.stacks.names[0])
    if table.root is not None:
        return table.root.absolute()
    if name.is_absolute():
        return Path.cwd()
    folders = table.path.absolute().parents
    return next((folder for folder in folders if (folder / name).is_file()), Path.cwd())


def _relative(folder: Path, project: Path) -> str:
    """Return `folder` as RELION names it: below the project, else in full; with a slash at its end."""
    try:
        inside = folder.relative_to(project).as_posix()
    except ValueError:
        return folder.as_posix() + "/"
    return "" if inside == "." else inside + "/"


def _placed(block: pd.DataFrame | Mapping[str, Any], folder: str) -> pd.DataFrame | Mapping[str, Any]:
    def path_of(value: Any) -> Any:
        return f"{folder}{value.name}" if isinstance(value, InRun) else value

    if isinstance(block, Mapping):
        return {label: path_of(value) for label, value in block.items()}
    if "rlnReferenceImage" in block:
        return block.assign(rlnReferenceImage=[path_of(value) for value in block["rlnReferenceImage"]])
    return block
