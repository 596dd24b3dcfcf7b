"""How long ago the worker's heartbeat was seen to advance, by this machine's clock."""

from __future__ import annotations

import time
from pathlib import Path

from qtpy.QtCore import QObject, QTimer, Signal  # type: ignore[attr-defined]

from blushcore.runs import RunDirectory
from napari_blush.background import Background

LOOK_MILLISECONDS = 1000


class Heart(QObject):
    """Looks at a run's heartbeat once a second, beside the GUI's thread."""

    looked = Signal()

    def __init__(self, directory: Path, background: Background, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._path = RunDirectory(directory).heartbeat
        self._background = background
        self._stopped = False
        self._seen: bytes | None = None
        self._changed: float | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_MILLISECONDS)
        self._timer.timeout.connect(self._look)
        self._timer.start()

    @property
    def age_seconds(self) -> float | None:
        """Since it was seen to advance; None until it has been."""
        return None if self._changed is None else time.monotonic() - self._changed

    def forget(self) -> None:
        """Wait until it is seen to advance anew: another worker's heart begins to beat."""
        self._seen, self._changed = None, None

    def stop(self) -> None:
        """Look no more; a look that is on its way back is not heard."""
        self._stopped = True
        self._timer.stop()

    def _look(self) -> None:
        self._background.run(self._read, self._on_read, lambda _: None, instead_of="heartbeat")

    def _read(self) -> bytes:
        try:
            return self._path.read_bytes()
        except OSError:
            return b""

    def _on_read(self, content: bytes) -> None:
        if self._stopped:
            return
        if content and content != self._seen:
            if self._seen is not None:
                self._changed = time.monotonic()
            self._seen = content
        self.looked.emit()
