"""Figures of an iteration that jobs of all kinds give: JSON values with the unit in the name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from blushcore.inference import Sampling
from blushcore.jobs.expectation_maximisation.expectation_inputs import poses_searched
from blushcore.jobs.expectation_maximisation.inputs import Inputs
from blushcore.jobs.expectation_maximisation.poses import Poses
from blushcore.jobs.expectation_maximisation.search import Search


def searched_figures(search: Search, sampling: Sampling, poses: Poses) -> dict[str, Any]:
    """Return how an iteration searched, and in how many poses it compared each image."""
    return {
        "current_size": sampling.current_size,
        "coarse_size": sampling.coarse_size,
        "healpix_order": search.healpix_order,
        "angular_step_deg": search.step_deg,
        "fine_angular_step_deg": search.fine_step_deg,
        "local_search": sampling.local is not None,
        "offset_range_angstrom": search.offset_range_angstrom,
        "offset_step_angstrom": search.offset_step_angstrom,
        "poses_per_image": poses_searched(sampling),
        "significant_poses": float(poses.significant.mean()),
    }


def prior_figures(inputs: Inputs, stages: Mapping[str, float]) -> dict[str, Any]:
    """Return which network the prior is, and what it took; nothing for the Wiener filter.

    `stages` are the seconds of each stage of an iteration.
    """
    if inputs.weights is None:
        return {}
    return {
        "denoising_seconds": round(stages.get("denoising", 0.0), 2),
        **network_figures(inputs),
    }


def network_figures(inputs: Inputs) -> dict[str, Any]:
    """Return which network the prior is; nothing for the Wiener filter."""
    if inputs.weights is None:
        return {}
    return {
        "prior": "blush",
        "weights": inputs.weights.name,
        "weights_sha256": inputs.weights.sha256,
    }
