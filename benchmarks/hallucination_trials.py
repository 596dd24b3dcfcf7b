"""Which tests of hallucination are done on which models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gemmi
import hallucination as h
import numpy as np
from hallucination_material import longest_helix
from quality_cases import Case, box_of

from blushcore.simulation import ModelEntry, atom_positions, read_structure

HELICAL_SUBJECTS, HELICAL_RESOLUTIONS = 4, (4.5, 6.0)
TESTS = ("noise", "helix", "mirror", "scrambled", "beads")
KINDS = {"amyloid": "amyloid", "RNA": "nucleic", "virus": "virus", "membrane proteins": "membrane"}
"""Name of a test and what the table's class_guess has."""


@dataclass(frozen=True)
class Trial:
    """A test of hallucination: its measurements, one a subject, and its judgement over all of them."""

    name: str
    measures: dict[str, tuple[int, Callable[[h.WithMemory], h.Measured]]]
    """By subject: voxels, and the measurement."""
    judge: Callable[[h.Measured, h.Measured], h.Verdict]


def trials(entries: Sequence[ModelEntry], work: Path, seed: int, *, quick: bool) -> list[Trial]:
    """Return the tests, on some of the models; `work` keeps what is made of them."""
    helical = helical_subjects(entries, 1 if quick else HELICAL_SUBJECTS)
    resolutions = HELICAL_RESOLUTIONS[:1] if quick else HELICAL_RESOLUTIONS
    subjects = [h.Subject(Case(e, r, seed=seed + 50)) for e in helical for r in resolutions]

    def over(
        some: Sequence[h.Subject], measure: Callable[..., h.Measured], cost: int, *more: Any, **options: Any
    ) -> dict[str, tuple[int, Callable[[h.WithMemory], h.Measured]]]:
        return {
            subject.case.name: (
                cost * box_of(subject.case.entry) ** 3,
                lambda denoiser, s=subject: measure(denoiser, s, *more, **options),
            )
            for subject in some
        }

    found = [
        Trial("noise", over(subjects[:2], h.measure_noise, 4), h.judge_noise),
        Trial("helix", over(subjects, h.measure_helix, 4), h.judge_helix),
        Trial("mirror", over(subjects, h.measure_mirror, 4), h.judge_mirror),
    ]
    found.extend(
        Trial(
            kind,
            over(subjects[: 2 * len(resolutions)], h.measure_structureless, 8, kind),
            lambda f, c, kind=kind: h.judge_structureless(f, c, kind),
        )
        for kind in ("scrambled", "beads")
    )
    for name, kind in {} if quick else KINDS.items():
        some = [entry for entry in entries if kind in entry.kind.replace("nucleoprotein", "")][:2]
        if name == "virus":
            some = [capsid(entry, work) for entry in some if is_capsid(entry)] + some
        cases = [h.Subject(Case(e, r, seed=seed + 50)) for e in some for r in resolutions]
        found.append(
            Trial(
                name,
                over(cases, h.measure_kind, 2, subjects[0]),
                lambda f, c, name=name: h.judge_kind(f, c, name),
            )
        )
    return [trial for trial in found if trial.measures]


def helical_subjects(entries: Sequence[ModelEntry], count: int) -> list[ModelEntry]:
    """Return the smallest proteins with a helix of three turns or more."""
    found: list[ModelEntry] = []
    for entry in entries:
        if len(found) < count and "nucle" not in entry.kind and longest_helix(read_structure(entry.path)):
            found.append(entry)
    return found


def is_capsid(entry: ModelEntry) -> bool:
    """Whether the file says how sixty copies make a shell."""
    return any(
        sum(len(g.operators) for g in a.generators) >= 60
        for a in gemmi.read_structure(str(entry.path)).assemblies
    )


def capsid(entry: ModelEntry, work: Path) -> ModelEntry:
    """Return the whole shell of a virus as a model of its own, made from its file's operators."""
    path = work / "models" / f"{entry.name}-capsid.cif"
    if not path.is_file():
        structure = gemmi.read_structure(str(entry.path))
        largest = max(structure.assemblies, key=lambda a: sum(len(g.operators) for g in a.generators))
        whole = gemmi.Structure()
        whole.add_model(gemmi.make_assembly(largest, structure[0], gemmi.HowToNameCopiedChain.Short))
        path.parent.mkdir(parents=True, exist_ok=True)
        whole.make_mmcif_document().write_file(str(path))
    extent = float(np.ptp(atom_positions(read_structure(path)), axis=0).max())
    return ModelEntry(f"{entry.name}-capsid", path, entry.split, extent, entry.kind)
