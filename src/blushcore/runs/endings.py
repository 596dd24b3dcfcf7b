"""However a job ends, readers learn why.

Told to stop, it is `Finished` with outcome "stopped"; an error is recorded as `Failed` and raised again; only a
killed process leaves no word, and its heartbeat tells.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

from blushcore.disk import is_full_disk
from blushcore.protocol import BlushError, Event, Failed, Finished, Started, Stopped
from blushcore.runs.files import MAKE_ROOM


def see_to_the_end(
    stream: Iterator[Event],
    keep: Callable[[Event], Event],
    where: Path,
    keep_traceback: Callable[[], object],
) -> Generator[Event, None, None]:
    """Yield the kept events of `stream` and make sure that its end is told, whatever it is.

    Parameters
    ----------
    stream
        The job.
    keep
        Takes what an event lends; returns the event for the consumer.
    where
        The folder that is written to, for sentences.
    keep_traceback
        Called while an unexpected error is being handled.
    """
    ended = False
    try:
        first = True
        for event in stream:
            if first and not isinstance(event, Started):
                raise TypeError(f"a job's first event is Started, not {type(event).__name__}")
            first = False
            kept = keep(event)
            ended = isinstance(event, Finished)
            yield kept
            if ended:
                return
        raise TypeError("a job's last event is Finished; this one just ended")
    except Stopped:
        yield keep(Finished(outcome="stopped"))
    except (GeneratorExit, KeyboardInterrupt, SystemExit):
        # The consumer has lost interest, or the interpreter is told to go: nobody is left to yield to.
        if not ended:
            close_stream(stream)
            with contextlib.suppress(BlushError):
                keep(Finished(outcome="stopped"))
        raise
    except Exception as error:
        if ended:
            raise
        told = _told(error, where)
        if told is None:
            with contextlib.suppress(BlushError):
                keep_traceback()
        failed: Event = _as_failed(told or error)
        # The disk that made the job fail may not take this line either; the error itself must get through.
        with contextlib.suppress(BlushError):
            failed = keep(failed)
        yield failed
        if told is None or told is error:
            raise
        raise told from error
    finally:
        close_stream(stream)


def close_stream(stream: Iterator[Event]) -> None:
    """Let a job that is no longer listened to clean up after itself."""
    if isinstance(stream, Generator):
        stream.close()


def _told(error: Exception, where: Path) -> BlushError | None:
    """Return `error` as what a user can mend; None if it is a fault of the program."""
    if isinstance(error, BlushError):
        return error
    if is_full_disk(error):
        return BlushError(f"The disk of {where} is full, or your quota is used up.", MAKE_ROOM)
    if isinstance(error, MemoryError):
        return BlushError(
            "This machine has too little free memory for the job.", "Close other programs or use a larger one."
        )
    return None


def _as_failed(error: Exception) -> Failed:
    if isinstance(error, BlushError):
        return Failed(problem=error.problem, remedy=error.remedy, error_type=type(error).__name__)
    if isinstance(error, OSError) and error.strerror:
        path = f" ({error.filename})" if error.filename else ""
        return Failed(problem=f"{error.strerror}{path}.", error_type=type(error).__name__)
    return Failed(
        problem=f"An unexpected error stopped the job: {type(error).__name__}: {error}.",
        remedy="This is a fault in the program; please report it with the file traceback.txt.",
        error_type=type(error).__name__,
    )
