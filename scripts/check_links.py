"""A build hook: refuse a checkout whose two links have become text files, as Git for Windows makes them."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CheckLinks(BuildHookInterface):  # type: ignore[type-arg]
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        resources = Path(self.root, "src", "blushcore", "resources")
        manifest = Path(self.root, "src", "napari_blush", "napari.yaml")
        if not resources.is_dir() or manifest.read_text(encoding="utf-8").startswith(".."):
            raise RuntimeError(
                "This checkout has text files in place of symbolic links, so the package would lack its "
                "network and its plugin manifest. Turn symbolic links on (Windows: Developer Mode), run "
                "'git config core.symlinks true' and 'git checkout -- src'."
            )
