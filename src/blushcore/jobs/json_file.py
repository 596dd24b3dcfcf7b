"""Figures as something a job hands out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class JsonFile:
    """Figures as an artefact."""

    role: str
    name: str
    values: dict[str, Any]

    def write(self, path: Path) -> None:
        """Write the figures to `path`.

        Raises
        ------
        ValueError
            If one is not finite, which JSON does not know: a fault in the job.
        """
        text = json.dumps(self.values, indent=1, ensure_ascii=False, allow_nan=False)
        path.write_text(text + "\n", encoding="utf-8")
