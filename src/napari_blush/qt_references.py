"""Keeps PySide6 from ending napari on Python 3.11."""

from __future__ import annotations

import ctypes
import sys

from qtpy import PYSIDE6

_PLENTY = 1 << 40


def hold_constants() -> None:
    """Let `None`, `True` and `False` never run out of references.

    PySide6 6.12 gives away references to them that it does not own, in pyqtgraph's and napari's code as in ours
    (17,000 of `True` in 200 updates of the plots), and at the last of them Python 3.11 aborts, napari and all.
    From Python 3.12 on they cannot run out, with PyQt6 nothing is lost: there, nothing is done.
    """
    if PYSIDE6 and sys.version_info < (3, 12):
        for constant in (None, True, False):
            references = ctypes.c_ssize_t.from_address(id(constant))
            if references.value < _PLENTY // 2:
                references.value += _PLENTY
