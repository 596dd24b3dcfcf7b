"""The network on a device: batches of blocks in, batches of blocks out."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from blushcore.denoiser.fused import FusedNetwork
from blushcore.denoiser.network import BLOCK_SIZE, BlushNetwork, Denoised
from blushcore.denoiser.weights import WeightsInfo, find_weights, load_network
from blushcore.devices import Precision, describe_device, resolve_device, use_reduced_precision
from blushcore.protocol import BlushError

BYTES_PER_BLOCK = 400e6
"""Upper estimate of the activations of one 64³ block in float32."""
_LARGEST_BATCH = 32
_NO_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "cudnn_status_alloc_failed",
    "cudnn_status_not_initialized",
    "cublas_status_alloc_failed",
    "cublas_status_not_initialized",
)


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
        Of the convolutions: ``auto`` takes bfloat16 where the device is faster with it. The root mean square of
        its effect on a denoised map is a few parts in a thousand of the map's standard deviation (tested bound:
        2 %).
    """

    def __init__(
        self,
        network: BlushNetwork,
        info: WeightsInfo | None,
        device: torch.device,
        precision: Precision = "auto",
    ) -> None:
        self.dtype = torch.bfloat16 if use_reduced_precision(device, precision) else torch.float32
        self.device = device
        self.info = info
        self.batch_size = _batch_size(device)
        self._network = network.eval().requires_grad_(False).to(device)
        self._apply = FusedNetwork(network, self.dtype) if device.type == "cpu" else self._on_device

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
        denoised = self._apply(blocks.to(self.device), local_std.to(self.device))
        return Denoised(denoised.blocks.float(), denoised.mask_logits.float())

    def _on_device(self, blocks: Tensor, local_std: Tensor) -> Denoised:
        # Autocast over float32 weights: a bfloat16 copy of the network is no faster and 10 % less accurate.
        # Without TF32, which PyTorch lets CUDA's convolutions use unasked: float32 means float32 here.
        with (
            torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.dtype == torch.bfloat16),
            _without_tf32(self.device),
        ):
            return self._network(blocks, local_std)  # type: ignore[no-any-return]


def _without_tf32(device: torch.device) -> contextlib.AbstractContextManager[None]:
    if device.type != "cuda":
        return contextlib.nullcontext()
    cudnn = torch.backends.cudnn
    return cudnn.flags(
        enabled=cudnn.enabled,
        benchmark=cudnn.benchmark,
        deterministic=cudnn.deterministic,
        allow_tf32=False,
    )


class OutOfDeviceMemoryError(BlushError):
    """Not even a single block fits into the device's memory."""


def call_within_memory(denoiser: BlockDenoiser, blocks: Tensor, local_std: Tensor) -> Denoised:
    """Denoise a batch, in halves where the device has too little memory for it.

    The smaller batch is remembered in `denoiser.batch_size`. The work never moves to another device.

    Raises
    ------
    OutOfDeviceMemoryError
        When not even one block fits.
    """
    total = size = len(blocks)
    parts: list[Denoised] = []
    done = 0
    while done < total:
        part = slice(done, done + size)
        try:
            parts.append(denoiser(blocks[part], local_std[part]))
            done += size
            continue
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if size == 1:
                where = describe_device(denoiser.device).name
                raise OutOfDeviceMemoryError(
                    f"There is too little memory for a single {BLOCK_SIZE}³ block "
                    f"on {where} ({denoiser.device}).",
                    "Close other programs that use it, or choose another device.",
                ) from error
        # Not before the handler has let go of the error, whose traceback holds on to the failed call's tensors.
        if denoiser.device.type == "cuda":
            torch.cuda.empty_cache()
        size = denoiser.batch_size = max(1, min(size, total - done) // 2)
    if len(parts) == 1:
        return parts[0]
    return Denoised(torch.cat([part.blocks for part in parts]), torch.cat([part.mask_logits for part in parts]))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that memory ran out.

    CUDA's allocator has a class of its own for it; its libraries, MPS and the CPU's allocator say it in a
    RuntimeError. cuDNN and cuBLAS that cannot even get their workspace speak of a failed start.
    """
    text = str(error).lower()
    kinds = (OutOfDeviceMemoryError, torch.OutOfMemoryError, MemoryError)
    return isinstance(error, kinds) or any(sign in text for sign in _NO_MEMORY)


def _batch_size(device: torch.device) -> int:
    """Choose the batch: what fits into half of the free memory; on a CPU one block a thread gains the most."""
    free = describe_device(device).memory.available
    fitting = int(free / 2 / BYTES_PER_BLOCK)
    return max(1, min(fitting, torch.get_num_threads() if device.type == "cpu" else _LARGEST_BATCH))
