"""Which plugin napari opens run directories with: told once, so that it need not ask.

Any reader of folders may be meant by a folder, and napari's own takes pictures in folders: napari therefore
asks, unless its settings (*Preferences > Plugins > File extension readers*) have a pattern for its name.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

PLUGIN = "napari-blush"
PATTERNS = ("*/refine_[0-9][0-9][0-9]/", "*/classify_[0-9][0-9][0-9]/")
"""Run directories as the dock names them; napari adds the last slash to folders before it compares."""


def prefer_this_plugin(marker: Path) -> bool:
    """Let napari open run directories with this plugin; once, so that a user's own choice stays.

    Parameters
    ----------
    marker
        A file that tells that this was done.

    Returns
    -------
    Whether it was done now.
    """
    from napari.settings import get_settings

    if marker.exists():
        return False
    settings = get_settings().plugins
    chosen = dict(settings.extension2reader)
    # A new object: napari saves its settings when one of them is set, not when a dict inside changes.
    settings.extension2reader = {**dict.fromkeys(PATTERNS, PLUGIN), **chosen}
    with contextlib.suppress(OSError):
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
    return True
