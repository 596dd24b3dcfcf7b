"""The network in training on the processor: forward and back, block beside block, as `fused` does evaluation.

PyTorch's own way back spends more of a step in copies between layouts, interpolations and norms that wait for
memory than in convolutions. Here each block runs through its convolutions (oneDNN's) with one compiled pass
between two of them, and blocks run side by side, each on its share of the threads.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from blushcore.denoiser.fused import FusedNetwork, array, convolve, rows, side_by_side
from blushcore.denoiser.fused_kernels import apply_silu, instance_norm, max_pool, silu_and_project, upsample
from blushcore.denoiser.gradient_kernels import (
    max_pool_gradient,
    norm_and_silu_gradient,
    projection_gradient,
    upsample_gradient,
)
from blushcore.denoiser.network import BlushNetwork, Denoised, denoise_standardised

Array = NDArray[Any]


class _Kept(NamedTuple):
    """What the way back needs of a layer."""

    x: Tensor
    y: Tensor
    factors: Array


class _Layer:
    """A convolution, the affine instance norm and SiLU. The convolution's bias goes out in the norm."""

    def __init__(self, convolution: nn.Conv3d, norm: nn.InstanceNorm3d, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self.parameters = (convolution.weight, norm.weight, norm.bias)
        self.epsilon = float(norm.eps)

    def prepare(self) -> None:
        """Take up the present weights."""
        weight, scale, shift = (parameter.detach() for parameter in self.parameters)
        self._weight = weight.to(self.dtype).contiguous(memory_format=torch.channels_last_3d)
        self._scale, self._shift = (t.float().contiguous().numpy() for t in (scale, shift))

    @property
    def channels(self) -> int:
        return self.parameters[0].shape[0]

    def normalised(self, x: Tensor) -> _Kept:
        y = convolve(x.permute(3, 0, 1, 2)[None], self._weight)[0].permute(1, 2, 3, 0).contiguous()
        factors = np.empty((4, y.shape[-1]), np.float32)
        instance_norm(rows(y), self._scale, self._shift, self.epsilon, factors)
        return _Kept(x, y, factors)

    def __call__(self, x: Tensor, out: Tensor) -> _Kept:
        """Fill the first channels of `out`, ``(z, y, x, …)``."""
        kept = self.normalised(x)
        apply_silu(rows(kept.y), kept.factors, rows(out), 0)
        return kept

    def back(self, kept: _Kept, slope: Tensor, sums: _Sums, *, to_input: bool = True) -> Tensor | None:
        """From the gradient of the result, ``(z, y, x, c)`` or the first of more channels, to that of `x`."""
        above = torch.empty_like(kept.y)
        of_norm = np.empty((2, self.channels), np.float32)
        norm_and_silu_gradient(rows(kept.y), kept.factors, rows(slope), rows(above), of_norm)
        of_x, of_weight, _ = torch.ops.aten.convolution_backward(
            above.permute(3, 0, 1, 2)[None],
            kept.x.permute(3, 0, 1, 2)[None],
            self._weight,
            None,
            [1, 1, 1],
            [1, 1, 1],
            [1, 1, 1],
            False,
            [0, 0, 0],
            1,
            [to_input, True, False],
        )
        for parameter, gradient in zip(self.parameters, (of_weight, *torch.from_numpy(of_norm)), strict=True):
            sums.add(parameter, gradient)
        return of_x[0].permute(1, 2, 3, 0).contiguous() if to_input else None


class _Sums:
    """Gradients summed up over the blocks of one share."""

    def __init__(self) -> None:
        self.by_parameter: dict[Tensor, Tensor] = {}

    def add(self, parameter: Tensor, gradient: Tensor) -> None:
        known = self.by_parameter.get(parameter)
        if known is None:
            # Its own memory: what the kernels filled may be theirs.
            self.by_parameter[parameter] = torch.empty_like(parameter).copy_(gradient)
        else:
            known.add_(gradient)


class _Pair:
    def __init__(self, module: nn.Module, dtype: torch.dtype) -> None:
        pair: Any = module.double_conv
        self.first = _Layer(pair.conv1, pair.norm1, dtype)
        self.second = _Layer(pair.conv2, pair.norm2, dtype)

    @property
    def dtype(self) -> torch.dtype:
        return self.first.dtype

    @property
    def channels(self) -> int:
        return self.second.channels

    def inner(self, x: Tensor) -> tuple[_Kept, Tensor]:
        between = torch.empty((*x.shape[:3], self.first.channels), dtype=self.dtype)
        return self.first(x, between), between

    def __call__(self, x: Tensor, out: Tensor) -> tuple[_Kept, _Kept]:
        first, between = self.inner(x)
        return first, self.second(between, out)

    def back(
        self, kept: tuple[_Kept, _Kept], slope: Tensor, sums: _Sums, *, to_input: bool = True
    ) -> Tensor | None:
        between = self.second.back(kept[1], slope, sums)
        assert between is not None
        return self.first.back(kept[0], between, sums, to_input=to_input)


class _Tape(NamedTuple):
    """What the way back needs of a block."""

    down: list[tuple[_Kept, _Kept]]
    up: list[tuple[_Kept, _Kept]]
    joined: list[Tensor]
    """Each level's skip beside what came up from below, from the first level down."""
    pooled: list[Tensor]
    lowest: list[Tensor]
    """What was upsampled, from the deepest level up."""
    kept_channels: Tensor | None


class TrainedNetwork:
    """A `BlushNetwork` in training on the processor: its results and gradients, to rounding.

    Parameters
    ----------
    network
        Its parameters as they are at each call are used, and receive the gradients; dropout as its mode says.
    dtype
        float32 or bfloat16: of the convolutions and of what is kept between them. The deepest level is float32.
    """

    def __init__(self, network: BlushNetwork, dtype: torch.dtype) -> None:
        self._network = network
        self._dtype = dtype
        # oneDNN's bfloat16 weight gradient at 2³ voxels reads memory that nobody wrote (torch 2.13).
        self._down = [
            _Pair(network.inc, dtype),
            *(_Pair(level, dtype) for level in network.down[:-1]),
            _Pair(network.down[-1], torch.float32),
        ]
        self._up = [_Pair(level.conv, dtype) for level in network.up]  # type: ignore[arg-type]
        bias = network.outc.bias
        assert bias is not None
        self._head = (network.outc.weight, bias)

    def __call__(self, blocks: Tensor, local_std: Tensor) -> Denoised:
        """As `BlushNetwork.forward`, but without a gradient of the input.

        Float32 ``(b, z, y, x)``, sides multiples of 32.
        """
        channels = self._network.dropout(torch.ones(len(blocks), self._down[-1].channels, 1, 1, 1))
        kept_channels = channels.flatten(1) if self._network.training else None
        if not torch.is_grad_enabled():  # nothing is kept for a way back: recycles
            return FusedNetwork(self._network, self._dtype)(blocks, local_std, kept_channels)
        layers = [layer for pair in (*self._down, *self._up) for layer in (pair.first, pair.second)]
        parameters = [*(parameter for layer in layers for parameter in layer.parameters), *self._head]
        for layer in layers:
            layer.prepare()
        return denoise_standardised(
            blocks,
            lambda standardised: _Unet.apply(  # type: ignore[no-untyped-call]
                self,
                torch.stack([standardised, local_std], dim=-1).to(self._dtype),
                kept_channels,
                *parameters,
            ),
        )

    def forward(self, x: Tensor, kept_channels: Tensor | None) -> tuple[Tensor, list[_Tape]]:
        """From ``(b, z, y, x, 2)`` to float32 ``(b, 2, z, y, x)``."""
        out = torch.empty((len(x), 2, *x.shape[1:4]))
        tapes: list[Any] = [None] * len(x)

        @torch.no_grad()  # which is a thread's own
        def run(share: range) -> None:
            for index in share:
                channels = None if kept_channels is None else kept_channels[index]
                tapes[index] = self._forward(x[index], channels, out[index])

        side_by_side(run, len(x))
        return out, tapes

    def back(self, tapes: list[_Tape], slope: Tensor) -> dict[Tensor, Tensor]:
        """From the gradient of what `forward` returned to those of the parameters."""

        @torch.no_grad()
        def run(share: range) -> _Sums:
            sums = _Sums()
            for index in share:
                self._back(tapes[index], slope[index], sums)
            return sums

        total, *others = side_by_side(run, len(tapes))
        for other in others:
            for parameter, gradient in other.by_parameter.items():
                total.add(parameter, gradient)
        return total.by_parameter

    def _forward(self, x: Tensor, kept_channels: Tensor | None, out: Tensor) -> _Tape:
        tape = _Tape([], [], [], [], [], kept_channels)
        below = [*(level.channels for level in self._up[-2::-1]), self._down[-1].channels]
        for level, next_level, raised in zip(self._down, self._down[1:], below, strict=False):
            both = torch.empty((*x.shape[:3], level.channels + raised), dtype=level.dtype)
            tape.down.append(level(x, both))
            x = torch.empty((*(n // 2 for n in x.shape[:3]), level.channels), dtype=next_level.dtype)
            max_pool(array(both), array(x))
            tape.joined.append(both)
            tape.pooled.append(x)
        lowest = torch.empty((*x.shape[:3], self._down[-1].channels), dtype=self._down[-1].dtype)
        tape.down.append(self._down[-1](x, lowest))
        if kept_channels is not None:
            lowest *= kept_channels
        for level, both in zip(self._up, reversed(tape.joined), strict=True):
            tape.lowest.append(lowest)
            upsample(array(lowest), array(both), both.shape[-1] - lowest.shape[-1])
            first, between = level.inner(both)
            if level is self._up[-1]:
                last = level.second.normalised(between)
                weight, bias = self._head_arrays()
                silu_and_project(rows(last.y), last.factors, weight, bias, out.view(2, -1).numpy())
            else:
                lowest = torch.empty((*both.shape[:3], level.channels), dtype=level.dtype)
                last = level.second(between, lowest)
            tape.up.append((first, last))
        return tape

    def _back(self, tape: _Tape, slope: Tensor, sums: _Sums) -> None:
        last = tape.up[-1][1]
        weight, _ = self._head_arrays()
        below = torch.empty_like(last.y)
        of_head = np.empty((2, weight.shape[1] + 1), np.float32)
        flat = slope.float().contiguous().view(2, -1).numpy()
        projection_gradient(rows(last.y), last.factors, weight, flat, rows(below), of_head)
        sums.add(self._head[0], torch.from_numpy(of_head[:, :-1].copy()).view_as(self._head[0]))
        sums.add(self._head[1], torch.from_numpy(of_head[:, -1].copy()))
        joined: list[Tensor] = []
        for level, kept, lowest in zip(self._up[::-1], tape.up[::-1], tape.lowest[::-1], strict=True):
            both = level.back(kept, below, sums)
            assert both is not None
            joined.append(both)
            raised = torch.zeros(lowest.shape)
            upsample_gradient(array(both), both.shape[-1] - lowest.shape[-1], raised.numpy())
            below = raised.to(lowest.dtype)
        if tape.kept_channels is not None:
            below *= tape.kept_channels
        for level, kept in zip(self._down[:0:-1], tape.down[:0:-1], strict=True):
            of_pooled = level.back(kept, below, sums)
            assert of_pooled is not None
            # The way back through the joined channels holds the skip's part already.
            below = joined.pop()
            number = len(joined)
            max_pool_gradient(
                array(tape.joined[number]), array(tape.pooled[number]), array(of_pooled), array(below)
            )
        self._down[0].back(tape.down[0], below, sums, to_input=False)

    def _head_arrays(self) -> tuple[Array, Array]:
        weight, bias = (parameter.detach().float() for parameter in self._head)
        return weight.flatten(1).contiguous().numpy(), bias.contiguous().numpy()


class _Unet(torch.autograd.Function):
    """`TrainedNetwork` for autograd: only the parameters have gradients."""

    @staticmethod
    def forward(
        ctx: Any, trained: TrainedNetwork, x: Tensor, kept_channels: Tensor | None, *parameters: Tensor
    ) -> Tensor:
        out, tapes = trained.forward(x, kept_channels)
        ctx.trained, ctx.tapes, ctx.parameters = trained, tapes, parameters
        return out

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Any:
        gradients = ctx.trained.back(ctx.tapes, slope)
        del ctx.tapes
        return None, None, None, *(gradients[parameter] for parameter in ctx.parameters)
