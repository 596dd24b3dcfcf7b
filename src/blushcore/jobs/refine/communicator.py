"""Several processes that share the particles and have the same models."""

from __future__ import annotations

from typing import Protocol

from blushcore.inference import ExpectationSums, ImageResults


class Communicator(Protocol):
    """What a refinement asks of the processes it runs in. Each has every ``size``-th particle of a half.

    Attributes
    ----------
    rank, size
        Which process this is, from 0, and how many there are. Process 0 reads commands and records.
    """

    @property
    def rank(self) -> int:
        """Which process this is."""
        ...

    @property
    def size(self) -> int:
        """How many there are."""
        ...

    def add_sums(self, sums: ExpectationSums) -> ExpectationSums:
        """Return the sums over all processes, the same in each; may change `sums`."""
        ...

    def gather(self, results: ImageResults, count: int) -> ImageResults:
        """Return the results of all `count` particles, in order, the same in each process."""
        ...


class SingleProcess:
    """One process has everything."""

    rank = 0
    size = 1

    def add_sums(self, sums: ExpectationSums) -> ExpectationSums:
        """Return `sums`."""
        return sums

    def gather(self, results: ImageResults, count: int) -> ImageResults:  # noqa: ARG002 - the protocol's form
        """Return `results`."""
        return results
