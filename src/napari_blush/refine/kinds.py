"""The jobs that the dock sets up: their parameters, and how these are shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from blushcore.jobs.classify.parameters import ClassifyParameters
from blushcore.jobs.refine.parameters import RefineParameters

JobParameters: TypeAlias = RefineParameters | ClassifyParameters

FILES = ("particles", "reference", "mask")
_SHARED = ("diameter", "symmetry", "prior", "weights", "device")
LABELS = {
    "classes": "Classes (K)",
    "healpix_order": "HEALPix order",
    "local_from_order": "Local from order",
    "initial_lowpass": "Initial low-pass",
    "first_iteration_cc": "First by correlation",
    "tau_fudge": "Tau fudge (T)",
    "low_resolution_join": "Join halves up to",
    "max_iterations": "Iterations at most",
    "resample_reference": "Resample reference",
    "local_sigma_deg": "Local search σ",
    "highest_resolution": "Compare up to",
    "keep": "Keep of the maps",
    "root": "Images' folder",
}
"""What a parameter is called in the dock, where its own name will not do."""
_ALIGNMENTS = (
    ("everywhere", "global"),
    ("near the last poses", "local"),
    ("offsets only", "offsets"),
    ("none: keep the poses", "none"),
)


@dataclass(frozen=True)
class JobKind:
    """A job and its form.

    Attributes
    ----------
    name
        The job's, as its run directories have it.
    title, heading
        Of the button that chooses it, and of its section.
    model
        Its parameters; all defaults are theirs.
    main
        The parameters that are always in view; the others are for experts.
    kept
        What is not shown, and goes round as it was set.
    choices
        What a choice is called, where its value will not do.
    """

    name: str
    title: str
    heading: str
    model: type[RefineParameters] | type[ClassifyParameters]
    main: tuple[str, ...]
    kept: tuple[str, ...] = ()
    choices: Mapping[str, tuple[tuple[str, Any], ...]] = field(default_factory=dict)

    @property
    def expert(self) -> list[str]:
        """The parameters that seldom need to be changed."""
        elsewhere = (*self.main, *FILES, *self.kept)
        return [name for name in self.model.model_fields if name not in elsewhere]

    def label(self, name: str) -> str:
        """Return what a parameter is called in the dock."""
        return LABELS.get(name, name.replace("_", " ").capitalize())

    def with_files(self, values: Mapping[str, Any], **files: Path | None) -> dict[str, Any]:
        """Return values with other files, in the form that the model takes them."""
        merged = {**values, **files}
        one = merged.get("reference")
        if self.model is ClassifyParameters and isinstance(one, Path):
            others = tuple(values.get("other_references", ()))
            merged["reference"] = (one, *others)
        merged.pop("other_references", None)
        return merged

    def parse(self, values: Mapping[str, Any], source: str) -> JobParameters:
        """Return parameters; raises `BlushError`, in whose sentence `source` stands, where they will not do."""
        return self.model.parse(self.with_files(values), source)


REFINE = JobKind("refine", "Refine", "Refinement", RefineParameters, _SHARED, kept=("continue_from",))
CLASSIFY = JobKind(
    "classify",
    "Classify",
    "Classification",
    ClassifyParameters,
    ("classes", "alignment", "iterations", "tau_fudge", *_SHARED),
    choices={"alignment": _ALIGNMENTS},
)
KINDS = (REFINE, CLASSIFY)


def kind_of(params: JobParameters) -> JobKind:
    """Return the job that parameters are of."""
    return next(kind for kind in KINDS if type(params) is kind.model)


def kind_named(job: str) -> JobKind | None:
    """Return the kind of a run's job; None for jobs that the dock does not set up."""
    return next((kind for kind in KINDS if kind.name == job), None)
