"""Where compiled kernels run, and on how many threads: on the processor, on as many as torch does.

Not among the names of the package: importing numba takes as long as importing the rest.
"""

from __future__ import annotations

import numba
import torch

_MOST_THREADS: int = numba.get_num_threads()
"""What the pool was made for; only a number up to it can be set."""


def has_kernels(device: torch.device) -> bool:
    """Return whether compiled kernels do the work on `device`; elsewhere plain tensor operations do."""
    return device.type == "cpu"


def use_torch_threads() -> None:
    """Let this thread's next kernels use as many threads as torch may; results do not depend on it."""
    numba.set_num_threads(min(torch.get_num_threads(), _MOST_THREADS))
