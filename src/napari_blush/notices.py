"""What the plugin says to the user through napari's notifications."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from blushcore.protocol import BlushError

P = ParamSpec("P")
R = TypeVar("R")


def warn(sentences: Iterable[str]) -> None:
    """Show sentences as one warning; none, none."""
    text = "\n".join(sentences)
    if text:
        from napari.utils.notifications import show_warning

        show_warning(text)


def say_error(error: BlushError) -> None:
    """Show an error that a user can act on: its sentence, no traceback."""
    from napari.utils.notifications import show_error

    show_error(str(error))


def asked_for_by_click() -> bool:
    """Whether Qt's event loop runs: a user is waiting, and no code that could catch an exception."""
    try:
        from qtpy.QtCore import QThread
    except ImportError:  # no Qt binding
        return False
    thread = QThread.currentThread()
    return thread is not None and thread.loopLevel() > 0


def errors_are_told(otherwise: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a command that napari calls say its `BlushError` in a notification and return `otherwise`.

    napari buries what a reader raises in advice about choosing another plugin. Where a script calls, nobody
    reads notifications: there the error is raised.
    """

    def decorate(command: Callable[P, R]) -> Callable[P, R]:
        @wraps(command)
        def told(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return command(*args, **kwargs)
            except BlushError as error:
                if not asked_for_by_click():
                    raise
                say_error(error)
                return cast("R", otherwise)

        return told

    return decorate
