"""The denoising network of Blush (Kimanius et al. 2024, Extended Data Fig. 1): a 3D U-Net on 64³ blocks."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own convention

VOXEL_SIZE_ANGSTROM = 1.5
"""Voxel size that the network works at."""
BLOCK_SIZE = 64
"""Edge of the blocks that the network works on, in voxels."""

_ENCODER_WIDTHS = (16, 32, 64, 128, 256, 256)
_DECODER_WIDTHS = (128, 64, 32, 16, 16)
_INPUT_CHANNELS = 2
_OUTPUT_CHANNELS = 2
_SMALLEST_STD = 1e-12


class Denoised(NamedTuple):
    """What the network makes of a batch of blocks."""

    blocks: Tensor
    """The blocks without what the network takes for noise, ``(b, z, y, x)``, in the units of the input."""
    mask_logits: Tensor
    """Logit of each voxel belonging to the particle, ``(b, z, y, x)``."""


def denoise_standardised(blocks: Tensor, unet: Callable[[Tensor], Tensor]) -> Denoised:
    """Standardise each block, take away what `unet` takes for noise, and undo the standardisation.

    Parameters
    ----------
    blocks
        ``(b, z, y, x)``.
    unet
        From standardised blocks to ``(b, 2, z, y, x)``: the residual and the mask's logits.
    """
    mean = blocks.mean(dim=(1, 2, 3), keepdim=True)
    std = blocks.std(dim=(1, 2, 3), keepdim=True).clamp_min(_SMALLEST_STD)
    standardised = (blocks - mean) / std
    out = unet(standardised).to(blocks.dtype)
    return Denoised((standardised - out[:, 0]) * std + mean, out[:, 1])


class _ConvolutionPair(nn.Module):
    """Convolution, instance norm and SiLU, twice. The names are those of the published checkpoint."""

    def __init__(self, channels_in: int, channels_middle: int, channels_out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(channels_in, channels_middle, 3, padding=1)
        self.norm1 = nn.InstanceNorm3d(channels_middle, affine=True)
        self.conv2 = nn.Conv3d(channels_middle, channels_out, 3, padding=1)
        self.norm2 = nn.InstanceNorm3d(channels_out, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        x = F.silu(self.norm1(self.conv1(x)), inplace=True)
        return F.silu(self.norm2(self.conv2(x)), inplace=True)


class _DoubleConvolution(nn.Module):
    def __init__(self, channels_in: int, channels_out: int, channels_middle: int | None = None) -> None:
        super().__init__()
        self.double_conv = _ConvolutionPair(channels_in, channels_middle or channels_out, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.double_conv(x)  # type: ignore[no-any-return]


class _Down(_DoubleConvolution):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.max_pool3d(x, 2))


class _Up(nn.Module):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = _DoubleConvolution(channels_in, channels_out, channels_in // 2)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = F.interpolate(x, size=skip.shape[2:], mode="trilinear", align_corners=True)
        return self.conv(torch.cat([skip, x], dim=1))  # type: ignore[no-any-return]


class BlushNetwork(nn.Module):
    """The denoiser: what it subtracts from a block is what it takes for noise.

    A U-Net with 12,974,578 parameters (Kimanius et al. 2024, Methods, "Network architecture"). Names
    of the parameters are those of the published checkpoint.

    Parameters
    ----------
    dropout
        Fraction of the channels of the deepest level that training drops (where the paper puts its 50 % is
        unpublished; this place leaves the full-resolution path alone). Does nothing in evaluation.
    """

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        widths = _ENCODER_WIDTHS
        self.inc = _DoubleConvolution(_INPUT_CHANNELS, widths[0])
        self.down = nn.ModuleList(_Down(a, b) for a, b in pairwise(widths))
        up, channels = [], widths[-1]
        for skip, out in zip(reversed(widths[:-1]), _DECODER_WIDTHS, strict=True):
            up.append(_Up(skip + channels, out))
            channels = out
        self.up = nn.ModuleList(up)
        self.outc = nn.Conv3d(channels, _OUTPUT_CHANNELS, 1)
        self.dropout = nn.Dropout3d(dropout)

    def forward(self, blocks: Tensor, local_std: Tensor) -> Denoised:
        """Denoise a batch of blocks.

        Parameters
        ----------
        blocks
            ``(b, z, y, x)``, any scale and offset: each block is standardised in here.
        local_std
            ``(b, z, y, x)``: `local_standard_deviation` of the raw volume, cut out at the same places.
        """
        return denoise_standardised(
            blocks, lambda standardised: self._unet(torch.stack([standardised, local_std], dim=1))
        )

    def _unet(self, x: Tensor) -> Tensor:
        if x.device.type != "mps":  # NDHWC: what oneDNN's and cuDNN's fast convolutions want
            x = x.contiguous(memory_format=torch.channels_last_3d)
        x = self.inc(x)
        skips = []
        for level in self.down[:-1]:
            skips.append(x)
            x = level(x)
        skips.append(x)
        # In the weights' precision, never autocast's: it costs nothing at 2³ voxels, and there oneDNN's
        # bfloat16 weight gradient reads memory that nobody wrote (torch 2.13: now and then a gradient that is
        # no number).
        with torch.autocast(x.device.type, enabled=False):
            x = self.down[-1](x.to(self.outc.weight.dtype))
        x = self.dropout(x)
        for level in self.up:
            x = level(x, skips.pop())
        return self.outc(x)  # type: ignore[no-any-return]
