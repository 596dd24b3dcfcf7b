"""Checkpoints in the published format, made of a randomly initialised network."""

from __future__ import annotations

import gzip
import io
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch

from blushcore.denoiser import BlushNetwork

DEFINITION = "import os\nos.environ['BLUSH_TEST_EXECUTED'] = 'yes'\nclass Blush:\n    pass\n"
"""In place of the network's source code; leaves a mark if anybody should execute it."""


def published(**changes: Any) -> dict[str, Any]:
    """The dict that such a file holds; a value of ``...`` leaves the entry out."""
    if "model_state_dict" not in changes:
        torch.manual_seed(8)
        changes["model_state_dict"] = BlushNetwork().state_dict()
    values: dict[str, Any] = {
        "model_definition": DEFINITION,
        "voxel_size": 1.5,
        "block_size": 64,
        "no_mask": False,
    }
    values.update(changes)
    return {key: value for key, value in values.items() if value is not ...}


def content(values: Any, **how: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(values, stream, **how)
    return stream.getvalue()


def write(path: Path, values: Any, **how: Any) -> Path:
    data = content(values, **how)
    path.write_bytes(gzip.compress(data, 1) if path.suffix == ".gz" else data)
    return path


def renamed(state: dict[str, torch.Tensor], rename) -> OrderedDict[str, torch.Tensor]:
    return OrderedDict((rename(name), tensor) for name, tensor in state.items())
