"""The network on a device: batches of blocks in, batches of blocks out."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import torch
from torch import Tensor

from blushcore.denoiser.network import BLOCK_SIZE, BlushNetwork, Denoised
from blushcore.denoiser.weights import WeightsInfo, find_weights, load_network
from blushcore.devices import describe_device, fast_reduced_precision, resolve_device
from blushcore.protocol import BlushError

Precision: TypeAlias = Literal["auto", "float32", "bfloat16"]
_BYTES_PER_BLOCK = 400e6
"""Upper estimate of the activations of one 64³ block in float32."""
_CPU_BATCH = 4
_LARGEST_BATCH = 32


class BlockDenoiser(Protocol):
    """What applies to blocks; `Denoiser` is the real one, tests bring others."""

    device: torch.device
    batch_size: int

    def __call__(self, blocks: Tensor, local_std: Tensor) -> Denoised:
        """Denoise ``(b, 64, 64, 64)``."""
        ...


class Denoiser:
    """A network resident on one device, for as many maps as come.

    Parameters
    ----------
    network, info
        As `load_network` returns them.
    device
        Where it lives.
    precision
        Of the convolutions: ``auto`` takes bfloat16 where the device is faster with it. Its effect on a denoised map
        is a few parts in a thousand of the map's standard deviation (tested bound: 2 %).
    """

    def __init__(
        self,
        network: BlushNetwork,
        info: WeightsInfo | None,
        device: torch.device,
        precision: Precision = "auto",
    ) -> None:
        fast = fast_reduced_precision(device)
        reduced = precision == "bfloat16" or (precision == "auto" and fast is not None)
        self.dtype = torch.bfloat16 if reduced else torch.float32
        self.device = device
        self.info = info
        self.batch_size = _batch_size(device)
        self._network = network.eval().requires_grad_(False).to(device)

    @classmethod
    def load(
        cls,
        weights: str | Path | None = None,
        device: str | torch.device = "auto",
        precision: Precision = "auto",
    ) -> Denoiser:
        """Load weights by name or path onto a device by name.

        Raises
        ------
        BlushError
            When there are no such weights or no such device.
        """
        place = resolve_device(device) if isinstance(device, str) else device
        network, info = load_network(find_weights(weights))
        return cls(network, info, place, precision)

    @torch.inference_mode()
    def __call__(self, blocks: Tensor, local_std: Tensor) -> Denoised:
        """Denoise blocks on the device of the network; float32 ``(b, 64, 64, 64)`` in and out."""
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            denoised = self._network(blocks.to(self.device), local_std.to(self.device))
        return Denoised(denoised.blocks.float(), denoised.mask_logits.float())


def call_within_memory(denoiser: BlockDenoiser, blocks: Tensor, local_std: Tensor) -> Denoised:
    """Denoise a batch, in halves where the device has too little memory for it.

    The smaller batch is remembered in `denoiser.batch_size`. The work never moves to another device.

    Raises
    ------
    BlushError
        When not even one block fits.
    """
    size = len(blocks)
    try:
        return denoiser(blocks, local_std)
    except (torch.OutOfMemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        if size == 1:
            where = describe_device(denoiser.device).name
            raise BlushError(
                f"There is too little memory for a single {BLOCK_SIZE}³ block on {where} ({denoiser.device}).",
                "Close other programs that use it, or choose another device.",
            ) from error
    if denoiser.device.type == "cuda":
        torch.cuda.empty_cache()
    denoiser.batch_size = max(1, size // 2)
    halves = [
        call_within_memory(denoiser, *pair)
        for pair in zip(blocks.split(denoiser.batch_size), local_std.split(denoiser.batch_size), strict=True)
    ]
    return Denoised(
        torch.cat([half.blocks for half in halves]), torch.cat([half.mask_logits for half in halves])
    )


def _is_out_of_memory(error: BaseException) -> bool:
    """CUDA has a class of its own for it; MPS and the CPU's allocator say it in a RuntimeError."""
    text = str(error).lower()
    return (
        isinstance(error, torch.OutOfMemoryError) or "out of memory" in text or "can't allocate memory" in text
    )


def _batch_size(device: torch.device) -> int:
    """Blocks at a time: what fits into half of the free memory of a GPU; on a CPU more than four gain nothing."""
    free = describe_device(device).memory.available
    fitting = int(free / 2 / _BYTES_PER_BLOCK)
    return max(1, min(fitting, _CPU_BATCH if device.type == "cpu" else _LARGEST_BATCH))
