"""The network on the processor: PyTorch's convolutions, and one compiled pass for all between two of them.

Run operation by operation, the network spends more than half of its time on the processor in copies between
layouts, norms, poolings and interpolations that wait for memory. Here blocks run through side by side, each on
its share of the threads.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own convention

from blushcore.denoiser.fused_kernels import apply_silu, instance_norm, max_pool, silu_and_project, upsample
from blushcore.denoiser.network import BlushNetwork, Denoised, denoise_standardised

Array = NDArray[Any]
T = TypeVar("T")


class _Layer:
    """A convolution and the affine instance norm after it, which takes the convolution's bias out again."""

    def __init__(self, convolution: nn.Conv3d, norm: nn.InstanceNorm3d, dtype: torch.dtype) -> None:
        self.weight = convolution.weight.detach().to(dtype).contiguous(memory_format=torch.channels_last_3d)
        self._scale, self._shift = (t.detach().float().contiguous().numpy() for t in (norm.weight, norm.bias))
        self._epsilon = float(norm.eps)

    def __call__(self, x: Tensor) -> tuple[Tensor, Array]:
        """Convolve ``(z, y, x, c)``; returns what is to be normalised, and with which factors."""
        y = convolve(x.permute(3, 0, 1, 2)[None], self.weight)[0].permute(1, 2, 3, 0).contiguous()
        factors = np.empty((2, y.shape[-1]), np.float32)
        instance_norm(rows(y), self._scale, self._shift, self._epsilon, factors)
        return y, factors


class _Pair:
    def __init__(self, module: nn.Module, dtype: torch.dtype) -> None:
        pair: Any = module.double_conv
        self.first = _Layer(pair.conv1, pair.norm1, dtype)
        self.second = _Layer(pair.conv2, pair.norm2, dtype)

    @property
    def channels(self) -> int:
        return self.second.weight.shape[0]

    def before_silu(self, x: Tensor) -> tuple[Tensor, Array]:
        y, factors = self.first(x)
        apply_silu(rows(y), factors, rows(y), 0)
        return self.second(y)

    def __call__(self, x: Tensor, out: Tensor) -> None:
        """Fill the first channels of `out`."""
        y, factors = self.before_silu(x)
        apply_silu(rows(y), factors, rows(out), 0)


class FusedNetwork:
    """A `BlushNetwork` for evaluation on the processor, with the same results to rounding.

    Parameters
    ----------
    network
        Its weights are copied.
    dtype
        float32 or bfloat16: of the convolutions and of what is kept between them.
    """

    def __init__(self, network: BlushNetwork, dtype: torch.dtype) -> None:
        self._dtype = dtype
        self._down = [_Pair(network.inc, dtype), *(_Pair(level, dtype) for level in network.down)]
        self._up = [_Pair(level.conv, dtype) for level in network.up]  # type: ignore[arg-type]
        weight, bias = network.outc.weight, network.outc.bias
        assert bias is not None
        self._head = weight.detach().float().flatten(1).contiguous().numpy()
        self._head_bias = bias.detach().float().contiguous().numpy()

    def __call__(self, blocks: Tensor, local_std: Tensor, kept_channels: Tensor | None = None) -> Denoised:
        """As `BlushNetwork.forward`; float32 ``(b, z, y, x)``, sides multiples of 32.

        Parameters
        ----------
        blocks, local_std
            See `BlushNetwork.forward`.
        kept_channels
            Factors of the deepest level's channels ``(b, channels)``: the dropout of a network in training.

        Raises
        ------
        ValueError
            For other sides.
        """
        multiple = 2 ** (len(self._down) - 1)
        if any(n % multiple for n in blocks.shape[1:]):
            raise ValueError(f"blocks of {tuple(blocks.shape[1:])}: sides have to be multiples of {multiple}")
        return denoise_standardised(
            blocks,
            lambda standardised: self._unet(torch.stack([standardised, local_std], dim=-1), kept_channels),
        )

    def _unet(self, x: Tensor, kept_channels: Tensor | None) -> Tensor:
        """From ``(b, z, y, x, 2)`` to float32 ``(b, 2, z, y, x)``."""
        x = x.to(self._dtype)
        out = torch.empty((len(x), 2, *x.shape[1:4]))
        side_by_side(lambda share: self._share(x, out, kept_channels, share), len(x))
        return out

    @torch.inference_mode()  # which is a thread's own
    def _share(self, x: Tensor, out: Tensor, kept_channels: Tensor | None, share: range) -> None:
        for index in share:
            self._block(x[index], out[index], None if kept_channels is None else kept_channels[index])

    def _block(self, x: Tensor, out: Tensor, kept_channels: Tensor | None) -> None:
        """Run ``(z, y, x, 2)`` through; fills `out`, float32 ``(2, z, y, x)``."""
        joined: list[Tensor] = []
        # What comes up from below each level: of the next level up on its way, or of the lowest.
        below = [*(level.channels for level in self._up[-2::-1]), self._down[-1].channels]
        for level, raised in zip(self._down, below, strict=False):
            # The skip and what will come up from below, side by side: nothing is ever concatenated.
            both = self._empty(x, level.channels + raised)
            level(x, both)
            joined.append(both)
            x = self._empty(x[::2, ::2, ::2], level.channels)
            max_pool(array(both), array(x))
        lowest = self._empty(x, self._down[-1].channels)
        self._down[-1](x, lowest)
        if kept_channels is not None:
            lowest *= kept_channels
        for level in self._up:
            both = joined.pop()
            upsample(array(lowest), array(both), both.shape[-1] - lowest.shape[-1])
            if joined:
                lowest = self._empty(both, level.channels)
                level(both, lowest)
            else:
                y, factors = level.before_silu(both)
                silu_and_project(rows(y), factors, self._head, self._head_bias, out.view(2, -1).numpy())

    def _empty(self, like: Tensor, channels: int) -> Tensor:
        return torch.empty((*like.shape[:3], channels), dtype=self._dtype)


def side_by_side(work: Callable[[range], T], blocks: int) -> list[T]:
    """Share blocks out among threads, each with its part of torch's; return what `work` makes of the shares."""
    threads = torch.get_num_threads()
    count = max(1, min(threads, blocks))
    shares = [range(first, blocks, count) for first in range(count)]
    if count == 1:
        return [work(shares[0])]
    # Each share's thread is told how many torch may use in there. Torch also notes that for threads yet to
    # come, which is put right afterwards.
    each = threads // count
    try:
        with ThreadPoolExecutor(count, initializer=lambda: torch.set_num_threads(each)) as pool:
            return list(pool.map(work, shares))
    finally:
        torch.set_num_threads(threads)


def compile_kernels() -> None:
    """Have the kernels ready: seconds the first time on a machine, then read from a cache."""
    for dtype in (torch.float32, torch.bfloat16):
        x, out = (torch.zeros((2, 2, 2, 2), dtype=dtype) for _ in range(2))
        factors, ones = np.zeros((2, 2), np.float32), np.ones(2, np.float32)
        instance_norm(rows(x), ones, ones, 1.0, factors)
        apply_silu(rows(x), factors, rows(out), 0)
        max_pool(array(x), array(torch.zeros((1, 1, 1, 2), dtype=dtype)))
        upsample(array(torch.zeros((1, 1, 1, 2), dtype=dtype)), array(out), 0)
        silu_and_project(rows(x), factors, factors, ones, np.empty((2, 8), np.float32))


def convolve(x: Tensor, weight: Tensor) -> Tensor:
    """Convolve ``(1, c, z, y, x)`` with a 3³ `weight`, zeros around."""
    # F.conv3d asks oneDNN only for large batches, and is up to ten times slower with single small blocks.
    if torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call,unused-ignore]
        return torch.mkldnn_convolution(x, weight, None, (1, 1, 1), (1, 1, 1), (1, 1, 1), 1)
    return F.conv3d(x, weight, padding=1)


def array(x: Tensor) -> Array:
    """Return a tensor's memory as the kernels take it."""
    return (x.view(torch.uint16) if x.dtype == torch.bfloat16 else x).numpy()


def rows(x: Tensor) -> Array:
    """Return ``(…, c)`` as ``(voxels, c)``, as the kernels take it."""
    return array(x).reshape(-1, x.shape[-1])
