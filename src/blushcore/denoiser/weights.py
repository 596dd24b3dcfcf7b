"""Network weights as safetensors files: found by name or path, checked, with the record of where they come from."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from blushcore.denoiser.network import BLOCK_SIZE, VOXEL_SIZE_ANGSTROM, BlushNetwork
from blushcore.protocol import BlushError
from blushcore.shipped import shipped_files

DEFAULT_WEIGHTS = "interim-1"
ENVIRONMENT_VARIABLE = "BLUSH_WEIGHTS"
_FORMAT = "blush-weights/1"


@dataclass(frozen=True)
class WeightsInfo:
    """What is known of a set of weights without loading it."""

    name: str
    path: Path
    version: str
    voxel_size: float
    """Å, of the grid the network works on."""
    block_size: int
    sha256: str
    """Of the tensors in order of their names, as stored."""
    training: Mapping[str, Any]
    """The training record: what the model card says, in short."""


def find_weights(name_or_path: str | Path | None = None) -> Path:
    """Return the file that `name_or_path` means.

    None is the file or name in ``BLUSH_WEIGHTS`` if that is set, otherwise the default weights. A name is that of a
    file in the package's ``resources/weights`` or in the user's weights folder (`user_weights_folder`).

    Raises
    ------
    BlushError
        When there is no such file; names the ones there are.
    """
    wanted = name_or_path or os.environ.get(ENVIRONMENT_VARIABLE) or DEFAULT_WEIGHTS
    path = Path(wanted).expanduser()
    if path.is_file():
        return path
    known = {file.stem: file for file in _installed_files()}
    if str(wanted) in known:
        return known[str(wanted)]
    raise BlushError(
        f"There are no network weights {str(wanted)!r}.",
        f"Known by name: {', '.join(known) or 'none'}; or give the path of a .safetensors file.",
    )


def list_weights() -> list[WeightsInfo]:
    """Return what is known of all weights that can be used by name."""
    return [read_weights_info(path) for path in _installed_files()]


def user_weights_folder() -> Path:
    """Return the folder for a user's own weights: ``$XDG_DATA_HOME/napari-blush/weights`` or its usual place."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "napari-blush" / "weights"


def read_weights_info(path: Path) -> WeightsInfo:
    """Read the record in a weights file.

    Raises
    ------
    BlushError
        When the file is not one of ours.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise BlushError(
            f"{path} cannot be read as network weights ({error}).",
            "Weights are .safetensors files; a published checkpoint is turned into one by 'blush weights import'.",
        ) from error
    if metadata.get("format") != _FORMAT:
        raise BlushError(f"{path} holds no weights of this program.", "See 'blush weights list'.")
    return WeightsInfo(
        name=metadata["name"],
        path=path,
        version=metadata["version"],
        voxel_size=float(metadata["voxel_size"]),
        block_size=int(metadata["block_size"]),
        sha256=metadata["sha256"],
        training=json.loads(metadata["training"]),
    )


def load_network(path: Path) -> tuple[BlushNetwork, WeightsInfo]:
    """Load a network for evaluation: float32, on the CPU, channels last.

    Raises
    ------
    BlushError
        When the tensors do not match their hash or the network.
    """
    info = read_weights_info(path)
    if (info.voxel_size, info.block_size) != (VOXEL_SIZE_ANGSTROM, BLOCK_SIZE):
        raise BlushError(
            f"{path} is for blocks of {info.block_size}³ voxels of {info.voxel_size:g} Å; "
            f"this program has {BLOCK_SIZE}³ of {VOXEL_SIZE_ANGSTROM:g} Å."
        )
    with safe_open(str(path), framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
    if _hash(tensors) != info.sha256:
        raise BlushError(
            f"{path} is damaged: its tensors do not match their hash.", "Install or import it again."
        )
    network = BlushNetwork()
    try:
        network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except RuntimeError as error:
        raise BlushError(f"{path} does not hold the weights of this network ({error}).") from error
    return network.to(memory_format=torch.channels_last_3d).eval().requires_grad_(False), info


def weights_bytes(
    tensors: Mapping[str, Tensor],
    *,
    name: str,
    version: str,
    training: Mapping[str, Any],
    dtype: torch.dtype = torch.float16,
) -> bytes:
    """Return the content of a weights file.

    Parameters
    ----------
    dtype
        In which the tensors are stored; half precision changes the output by less than the network's own bfloat16
        arithmetic does.
    """
    # A clone: `contiguous` leaves a 1³ convolution in channels-last strides, which cannot be viewed as bytes.
    stored = {
        key: tensors[key].detach().cpu().to(dtype).clone(memory_format=torch.contiguous_format)
        for key in sorted(tensors)
    }
    metadata = {
        "format": _FORMAT,
        "name": name,
        "version": version,
        "voxel_size": str(VOXEL_SIZE_ANGSTROM),
        "block_size": str(BLOCK_SIZE),
        "sha256": _hash(stored),
        "training": json.dumps(dict(training)),
    }
    return save(stored, metadata)


def _installed_files() -> list[Path]:
    own = sorted(user_weights_folder().glob("*.safetensors"))
    return [*shipped_files("weights/*.safetensors"), *own]


def _hash(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
