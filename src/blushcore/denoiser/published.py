"""Where the weights published with the method are found: in an installed RELION-5, or on Zenodo."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from blushcore.denoiser.checkpoints import LARGEST_FILE_BYTES
from blushcore.protocol import BlushError, Progress

PUBLISHED_FILE = "blush_v1.0.ckpt.gz"
PUBLISHED_URL = f"https://zenodo.org/records/10072731/files/{PUBLISHED_FILE}"
PUBLISHED_SHA256 = "6e42a7d80231418bb77170619eeedf67b59be84078972a25a39fc3b82cd9c34e"
_RELION_COPY = Path("hub") / "checkpoints" / "relion_blush" / "v1.0.ckpt"
_TIMEOUT_SECONDS = 30.0
_CHUNK_BYTES = 1 << 18


def relion_copies() -> list[Path]:
    """Return where RELION-5 may have put the published checkpoint, most likely place first.

    That is torch's own folder: ``$TORCH_HOME``, ``$XDG_CACHE_HOME/torch`` or ``~/.cache/torch``.
    """
    homes = [
        Path(os.environ["TORCH_HOME"]) if os.environ.get("TORCH_HOME") else None,
        Path(os.environ["XDG_CACHE_HOME"]) / "torch" if os.environ.get("XDG_CACHE_HOME") else None,
        Path.home() / ".cache" / "torch",
    ]
    return list(dict.fromkeys(home.expanduser() / _RELION_COPY for home in homes if home is not None))


def name_of_checkpoint(path: Path) -> str:
    """Return the name for weights imported from `path`; RELION's ``v1.0.ckpt`` becomes ``blush_v1.0``."""
    stem = re.sub(r"\.(ckpt|pth?|zip)$", "", re.sub(r"\.gz$", "", path.name, flags=re.IGNORECASE))
    name = re.sub(r"[^\w.-]+", "-", stem).strip("-.") or "imported"
    return f"blush_{name}" if re.fullmatch(r"v\d[\w.]*", name) else name


def download(target: Path, *, url: str | None = None, sha256: str | None = None) -> Iterator[Progress]:
    """Download the published checkpoint to `target`, which is complete and checked when the iteration ends.

    Parameters
    ----------
    target
        The file to write.
    url, sha256
        In place of `PUBLISHED_URL` and `PUBLISHED_SHA256`.

    Raises
    ------
    BlushError
        When the server cannot be reached or sends something else. `target` is not to be used then.
    """
    url, sha256 = url or PUBLISHED_URL, sha256 or PUBLISHED_SHA256
    digest, done = hashlib.sha256(), 0
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as answer, target.open("wb") as file:
            total = int(answer.headers.get("Content-Length") or 0)
            while chunk := answer.read(_CHUNK_BYTES):
                file.write(chunk)
                digest.update(chunk)
                done += len(chunk)
                if done > LARGEST_FILE_BYTES:
                    raise BlushError(f"{url} sends far more than the published weights.")
                yield Progress(stage="downloading", done=done >> 10, total=total >> 10, unit="KiB")
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or error
        raise BlushError(
            f"{url} could not be downloaded ({reason}).",
            "Download it elsewhere, and give its file to 'blush weights import'.",
        ) from error
    if digest.hexdigest() != sha256:
        raise BlushError(
            f"{url} did not send the published weights: the SHA-256 is {digest.hexdigest()}, not {sha256}.",
            "Try again later.",
        )
