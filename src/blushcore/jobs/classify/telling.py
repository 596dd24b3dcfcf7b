"""What a classification warns of: references of other grey values, coarse steps, classes without particles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from blushcore.jobs.classify.parameters import ClassifyParameters
from blushcore.jobs.expectation_maximisation.grey_values import grey_value_warnings, power_ratio
from blushcore.jobs.expectation_maximisation.inputs import Inputs
from blushcore.jobs.expectation_maximisation.search import Search, angular_step_deg


def about_grey_values(
    params: ClassifyParameters, inputs: Inputs, last_shell: int, noise: Sequence[NDArray[np.float64]]
) -> Iterator[str]:
    """Say which of the references that were given cannot have the images' grey values.

    Parameters
    ----------
    params, inputs
        The references; of one for all classes it is said once.
    last_shell
        Up to which they have anything.
    noise
        σ²(s) of each optics group before anything is known of poses.
    """
    for index, path in enumerate(params.reference):
        which = "the reference" if len(params.reference) == 1 else path.name
        ratio = power_ratio(inputs, last_shell, noise, index)
        yield from grey_value_warnings(ratio, params.initial_lowpass, which)


def about_coarse_steps(params: ClassifyParameters, search: Search) -> Iterator[str]:
    """Say that a local search goes by steps that are coarser than what it looks for."""
    if params.alignment == "local" and search.fine_step_deg > params.local_sigma_deg:
        yield (
            f"Local searches go by {search.fine_step_deg:.3g}°, coarser than their standard deviation of "
            f"{params.local_sigma_deg:.3g}°: poses that were known better get worse. Give --healpix-order of "
            f"{_fine_enough(params.local_sigma_deg)} or more."
        )


def about_empty_classes(empty: Sequence[int], donor: int | None, is_reseeding: bool) -> Iterator[str]:
    """Say which classes have no particles, and what becomes of them.

    Parameters
    ----------
    empty
        Their indices.
    donor
        Index of the class beside which they get a new start; None if they get none.
    is_reseeding
        Whether it was asked for: in the last iteration there is none all the same.
    """
    if not empty:
        return
    names = ", ".join(str(index + 1) for index in empty)
    which = f"Class {names} has" if len(empty) == 1 else f"Classes {names} have"
    then = "Fewer classes may do." if is_reseeding else "Fewer classes may do, or give --reseed-empty."
    if donor is not None:
        then = f"A new start is made beside class {donor + 1}, the largest."
    yield f"{which} no particles left. {then}"


def _fine_enough(sigma_deg: float) -> int:
    """Return the lowest HEALPix order whose finer step is no coarser than a standard deviation."""
    return next((order for order in range(9) if angular_step_deg(order) / 2 <= sigma_deg), 8)
