"""Errors that a user can act on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


class BlushError(Exception):
    """Something a user did or has, and can mend: bad input, a full disk, too little memory.

    Parameters
    ----------
    problem
        One plain sentence: what is wrong, and in which file, row or field.
    remedy
        What to do about it, as a sentence of its own; may be empty.

    Attributes
    ----------
    field
        Name of the parameter that is to be mended, where it is known; see `blaming`.

    The command line prints ``str(error)`` without a traceback and exits with 1; the GUI shows it as it is.
    Programming errors are other exceptions and keep their traceback.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        self.problem = problem
        self.remedy = remedy
        self.field = ""
        super().__init__(f"{problem} {remedy}".strip())


@contextlib.contextmanager
def blaming(field: str) -> Iterator[None]:
    """Name the parameter that errors from inside belong to, unless something further in has named one."""
    try:
        yield
    except BlushError as error:
        error.field = error.field or field
        raise


class UsageError(BlushError):
    """A command or request that could not have worked with any data: a name or option of the wrong form.

    The command line exits with 2.
    """


class Stopped(BaseException):
    """Raised inside a job when it was told to stop now.

    A `BaseException`, so that no handler of ordinary errors in between can swallow it. Whoever drives the
    job turns it into ``Finished(outcome="stopped")``.
    """
