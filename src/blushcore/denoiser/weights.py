"""Network weights as safetensors files: found by name or path, checked, with the record of their origin."""

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

from blushcore.denoiser.finetuned import data_sets_of
from blushcore.denoiser.network import BLOCK_SIZE, VOXEL_SIZE_ANGSTROM, BlushNetwork
from blushcore.protocol import BlushError
from blushcore.shipped import shipped_files

DEFAULT_WEIGHTS = "v2"
ENVIRONMENT_VARIABLE = "BLUSH_WEIGHTS"
SUFFIX = ".safetensors"
_FORMAT = "blush-weights/1"


@dataclass(frozen=True)
class WeightsInfo:
    """What is known of a set of weights without loading it."""

    path: Path
    recorded_name: str
    """What the weights were called when they were made."""
    version: str
    voxel_size: float
    """Å, of the grid the network works on."""
    block_size: int
    sha256: str
    """Of the tensors in order of their names, as stored."""
    training: Mapping[str, Any]
    """The training record: what the model card says, in short. Of imported weights, where they come from."""

    @property
    def name(self) -> str:
        """What they go by: the name of their file, by which they are found."""
        return self.path.stem


def find_weights(name_or_path: str | Path | None = None) -> Path:
    """Return the file that `name_or_path` means.

    None is the file or name in ``BLUSH_WEIGHTS`` if that is set, otherwise the default weights. A name is that
    of a file in the package's ``resources/weights`` or in the user's weights folder (`user_weights_folder`); it
    goes before a file of that name in the working folder.

    Raises
    ------
    BlushError
        When there is no such file; names the ones there are.
    """
    wanted, said = name_or_path, ""
    if not wanted and (wanted := os.environ.get(ENVIRONMENT_VARIABLE)):
        said = f" (from {ENVIRONMENT_VARIABLE})"
    wanted = wanted or DEFAULT_WEIGHTS
    known = {path.stem: path for path in weights_files()}
    if str(wanted) in known:
        return known[str(wanted)]
    path = Path(wanted).expanduser()
    if path.is_file():
        return path
    raise BlushError(
        f"There are no network weights {str(wanted)!r}{said}.",
        f"Known by name: {', '.join(known) or 'none'}; or give the path of a {SUFFIX} file.",
    )


def weights_files() -> list[Path]:
    """Return the files of all weights that can be used by their name, which is that of the file."""
    shipped = shipped_files(f"weights/*{SUFFIX}")
    taken = {path.stem for path in shipped}
    own = sorted(user_weights_folder().glob(f"*{SUFFIX}"))
    return [*shipped, *(path for path in own if path.stem not in taken)]


def list_weights() -> tuple[list[WeightsInfo], list[BlushError]]:
    """Return what is known of all weights that can be used by name, and why others there cannot be read."""
    readable, errors = [], []
    for path in weights_files():
        try:
            readable.append(read_weights_info(path))
        except BlushError as error:
            errors.append(error)
    return readable, errors


def user_weights_folder() -> Path:
    """Return the folder for a user's own weights: ``$XDG_DATA_HOME/napari-blush/weights``.

    ``~/.local/share`` stands in for a variable that is not set.
    """
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
            f"Weights are {SUFFIX} files; 'blush weights import' makes one of a published checkpoint.",
        ) from error
    if metadata.get("format") != _FORMAT:
        raise BlushError(f"{path} holds no weights of this program.", "See 'blush weights list'.")
    try:
        return WeightsInfo(
            path=path,
            recorded_name=metadata["name"],
            version=metadata["version"],
            voxel_size=float(metadata["voxel_size"]),
            block_size=int(metadata["block_size"]),
            sha256=metadata["sha256"],
            training=_training_record(metadata["training"]),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise BlushError(
            f"{path} is damaged: its record of the weights cannot be read ({error}).", "Install it again."
        ) from error


def _training_record(text: str) -> dict[str, Any]:
    """Return the training record; a `ValueError` if what this program reads of it is not as it writes it."""
    record = dict(json.loads(text))
    for name in ("steps", "steps_before", "models", "seconds"):
        if type(record.get(name, 0)) not in (int, float):
            raise ValueError(f"{name} is {record[name]!r}")
    data_sets_of(record)
    return record


def load_network(path: Path) -> tuple[BlushNetwork, WeightsInfo]:
    """Load a network for evaluation: float32, on the CPU, channels last.

    Raises
    ------
    BlushError
        When the tensors do not match their hash or the network, or hold values that are not finite.
    """
    info = read_weights_info(path)
    require_grid(info.voxel_size, info.block_size, str(path))
    network = BlushNetwork()
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    with safe_open(str(path), framework="pt") as file:
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        require_shapes(shapes, expected, str(path))
        tensors = {name: file.get_tensor(name) for name in sorted(shapes)}
    if _hash(tensors) != info.sha256:
        raise BlushError(
            f"{path} is damaged: its tensors do not match their hash.", "Install or import it again."
        )
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise BlushError(f"{path} holds values that are not numbers (in {name}).", "Use other weights.")
    network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload, unused-ignore]
    return network.eval().requires_grad_(False), info


def require_grid(voxel_size: float, block_size: float, where: str) -> None:
    """Refuse weights for another grid than `BlushNetwork` works on.

    Raises
    ------
    BlushError
        With `where`, the weights' file, in the sentence.
    """
    if (voxel_size, block_size) != (VOXEL_SIZE_ANGSTROM, BLOCK_SIZE):
        raise BlushError(
            f"{where} is for blocks of {block_size:g}³ voxels of {voxel_size:g} Å; "
            f"this program has {BLOCK_SIZE}³ of {VOXEL_SIZE_ANGSTROM:g} Å."
        )


def require_shapes(
    shapes: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]], where: str
) -> None:
    """Refuse tensors that are not exactly those of the network.

    Raises
    ------
    BlushError
        Naming the first that is missing, not the network's, or of another shape.
    """
    what = f"{where} does not hold the weights of this network:"
    for name in (name for name in expected if name not in shapes):
        raise BlushError(f"{what} it lacks {name}.")
    for name in (name for name in shapes if name not in expected):
        raise BlushError(f"{what} it has {name}, which the network has not.")
    for name, shape in expected.items():
        if shapes[name] != shape:
            raise BlushError(f"{what} {name} is {_times(shapes[name])}, the network's {_times(shape)}.")


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
    tensors
        A `BlushNetwork`'s ``state_dict()``.
    name
        Recorded in the file; once it is written, the file's own name counts.
    version, training
        See `WeightsInfo`; `training` holds JSON values.
    dtype
        In which the tensors are stored; half precision changes the output by less than the network's own
        bfloat16 arithmetic does.
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


def _times(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) or "a single number"


def _hash(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
