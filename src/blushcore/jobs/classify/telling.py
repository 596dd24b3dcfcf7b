"""What a classification warns of: references that cannot be of these images, and classes without particles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from blushcore.jobs.classify.parameters import ClassifyParameters
from blushcore.jobs.expectation_maximisation.grey_values import grey_value_warnings, power_ratio
from blushcore.jobs.expectation_maximisation.inputs import Inputs


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
