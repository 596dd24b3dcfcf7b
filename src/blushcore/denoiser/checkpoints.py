"""The published torch checkpoint, read as the untrusted file it is.

Such a file is a dict with ``model_state_dict``, ``voxel_size``, ``block_size``, ``no_mask`` and
``model_definition``, the network's source code, pickled into a zip archive and maybe gzipped (Kimanius et al.
2024, Code availability). Tensors and plain values are taken from it; nothing in it is ever executed, the
source code is not even looked at. What stands between a file and this process, in this order:

1. its size, also that of what gzip unpacks, is bounded;
2. it must be a plain archive (stored, not compressed) of torch's zip format, neither TorchScript nor an older
   format, whose pickle is of a sane length;
3. torch's restricted unpickler (``weights_only``) knows nothing but tensors and plain values;
4. names, types, shapes and values must be exactly the network's.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch
from torch import Tensor

from blushcore.denoiser.network import BlushNetwork
from blushcore.denoiser.weights import require_grid, require_shapes, weights_bytes
from blushcore.protocol import BlushError

LARGEST_FILE_BYTES = 512 << 20
"""Its tensors take 52 MB; ten times that is no checkpoint of this network."""
_LARGEST_PICKLE_BYTES = 4 << 20
_MOST_MEMBERS = 4096
_CHUNK_BYTES = 4 << 20

_PREFIXES = re.compile(r"^(?:module\.|_orig_mod\.)+")
_IN_PAIR = re.compile(
    r"^(?P<level>inc|down\.\d+|up\.\d+)\.(?:.+\.)?double_conv\.(?P<rest>(?:conv|norm)[12]\.(?:weight|bias))$"
)
_IN_OUTPUT = re.compile(r"^outc\.(?:[^.]+\.)?(?P<rest>weight|bias)$")


@dataclass(frozen=True)
class Checkpoint:
    """What was taken from a checkpoint file."""

    tensors: Mapping[str, Tensor]
    """float32, under the names of `BlushNetwork`."""
    no_mask: bool | None
    """A setting of the published training, kept for the record."""
    file_name: str
    sha256: str
    """Of the file as it is, gzipped or not."""

    def weights(self, name: str) -> bytes:
        """Return the content of a weights file of that name; the tensors stay float32."""
        record = {
            "imported_from": self.file_name,
            "source_sha256": self.sha256,
            "no_mask": self.no_mask,
        }
        return weights_bytes(self.tensors, name=name, version="1", training=record, dtype=torch.float32)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint in the published format, gzipped or not.

    Raises
    ------
    BlushError
        When the file cannot be read, or is anything else than such a checkpoint.
    """
    content, sha256 = _content(path)
    _require_plain_archive(content, path)
    values = _unpickled(content, path)
    state = _entry(values, "model_state_dict", path)
    if not isinstance(state, dict):
        raise _odd(path, f"its model_state_dict is a {type(state).__name__}, not a dict")
    voxel_size, block_size = (_number(values, key, path) for key in ("voxel_size", "block_size"))
    require_grid(voxel_size, block_size, str(path))
    no_mask = None if values.get("no_mask") is None else bool(_number(values, "no_mask", path))
    return Checkpoint(
        tensors=_network_tensors(state, path),
        no_mask=no_mask,
        file_name=path.name,
        sha256=sha256,
    )


def _content(path: Path) -> tuple[bytes, str]:
    """Return the file's content, unpacked, and the SHA-256 of the file as it is."""
    try:
        with path.open("rb") as file:
            raw = _read_bounded(file, path)
            packed = raw[:2] == b"\x1f\x8b"
            content = (
                _read_bounded(cast(BinaryIO, gzip.GzipFile(fileobj=io.BytesIO(raw))), path) if packed else raw
            )
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BlushError(
            f"{path} is a damaged or truncated gzip file ({error}).", "Copy or download it again."
        ) from error
    except FileNotFoundError as error:
        raise BlushError(f"{path} does not exist.", "Check the name.") from error
    except OSError as error:
        raise BlushError(f"{path} cannot be read: {error.strerror or error}.") from error
    return content, hashlib.sha256(raw).hexdigest()


def _read_bounded(stream: BinaryIO, path: Path) -> bytes:
    parts, size = [], 0
    while part := stream.read(_CHUNK_BYTES):
        size += len(part)
        if size > LARGEST_FILE_BYTES:
            raise _odd(path, f"it holds more than {LARGEST_FILE_BYTES >> 20} MiB")
        parts.append(part)
    return b"".join(parts)


def _require_plain_archive(content: bytes, path: Path) -> None:
    if not content.startswith(b"PK\x03\x04"):
        raise _odd(path, "it is no zip archive (torch's formats before 1.6 are not read)")
    try:
        members = zipfile.ZipFile(io.BytesIO(content)).infolist()
    except (zipfile.BadZipFile, ValueError, OverflowError, EOFError) as error:
        raise BlushError(f"{path} is damaged or truncated: {error}.", "Copy or download it again.") from error
    names = [member.filename for member in members]
    if len(names) > _MOST_MEMBERS or len(set(names)) < len(names):
        raise _odd(path, "its archive has too many members, or some twice")
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            raise _odd(path, f"the member {member.filename} is compressed, which torch never does")
    if sum(member.file_size for member in members) > len(content):
        raise _odd(path, "the members of its archive overlap")
    if any(name.endswith("constants.pkl") or "/code/" in name for name in names):
        raise _odd(path, "it is a TorchScript program")
    pickles = [member.file_size for member in members if member.filename.endswith("/data.pkl")]
    if len(pickles) != 1 or pickles[0] > _LARGEST_PICKLE_BYTES:
        raise _odd(path, f"it has not one data.pkl of up to {_LARGEST_PICKLE_BYTES >> 20} MiB")


def _unpickled(content: bytes, path: Path) -> dict[str, Any]:
    try:
        values = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        name = re.search(r"(?:GLOBAL|Unsupported \w+|class) ([\w.]+)", str(error))
        what = f" ({name[1]})" if name else ""
        raise _odd(path, f"it holds something else than tensors and plain values{what}") from error
    except Exception as error:  # any, for a file made to break its reader
        why = str(error).partition("\n")[0] or type(error).__name__
        raise BlushError(f"{path} is damaged: {why}.", "Copy or download it again.") from error
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise _odd(path, "it holds no dict of named entries")
    return values


def _entry(values: Mapping[str, Any], key: str, path: Path) -> Any:
    if key not in values:
        raise _odd(path, f"it lacks {key}")
    return values[key]


def _number(values: Mapping[str, Any], key: str, path: Path) -> float:
    value = _entry(values, key, path)
    if isinstance(value, Tensor) and value.numel() == 1 and not value.is_complex():
        value = value.item()
    if not isinstance(value, (bool, int, float)) or not abs(value) <= 1e6:
        raise _odd(path, f"its {key} is no plausible number")
    return float(value)


def _network_tensors(state: Mapping[Any, Any], path: Path) -> dict[str, Tensor]:
    """Return the tensors under the network's names, float32, after everything about them has been checked."""
    found: dict[str, Tensor] = {}
    for key, value in state.items():
        name = _network_name(key)
        if name in found:
            raise _odd(path, f"it has {name} twice")
        if not isinstance(value, Tensor) or value.layout != torch.strided or value.device.type != "cpu":
            raise _odd(path, f"{name} is no ordinary tensor")
        if not value.is_floating_point():
            raise _odd(path, f"{name} holds {value.dtype} instead of floating point numbers")
        found[name] = value.detach()
    expected = {name: tuple(tensor.shape) for name, tensor in BlushNetwork().state_dict().items()}
    require_shapes({name: tuple(tensor.shape) for name, tensor in found.items()}, expected, str(path))
    tensors = {}
    for name, value in found.items():
        tensors[name] = value.to(torch.float32, copy=True).contiguous()
        if not bool(torch.isfinite(tensors[name]).all()):
            raise _odd(path, f"{name} holds values that are not numbers")
    return tensors


def _network_name(key: object) -> str:
    """Return a state-dict name without what wrappers add to it: ``down.0.<...>.double_conv`` and the like."""
    name = _PREFIXES.sub("", str(key))
    if match := _IN_PAIR.match(name):
        middle = ".conv" if match["level"].startswith("up") else ""
        return f"{match['level']}{middle}.double_conv.{match['rest']}"
    if match := _IN_OUTPUT.match(name):
        return f"outc.{match['rest']}"
    return name


def _odd(path: Path, why: str) -> BlushError:
    return BlushError(
        f"{path} is no checkpoint of the published network: {why}.",
        "Give the file that was published (blush_v1.0.ckpt.gz), or what RELION-5 unpacks of it.",
    )
