"""Causal convolutions as functions of (what went before, what comes now).

Every convolution of Mimi's decoder has stride 1 or is a transposed one with a kernel of twice its stride. The second
is a convolution over two inputs whose outputs are laid out in time: out[t] = A x[t] + B x[t - 1]. So what each
carries from call to call is a few of its past inputs, zeros at first, which is also what padding on the left gives
the one-shot decoder. No overlap to add, no bias to subtract, and any cut of the input gives the same samples.
"""

from __future__ import annotations

import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from tts_engine.model.layers import weight


class CausalConv(nn.Module):
    """Stride 1; `context` past inputs are carried."""

    def __init__(self, channels: int, out: int, kernel: int, *, dilation: int = 1) -> None:
        super().__init__()
        self.weight, self.bias = weight(out, channels, kernel), weight(out)
        self.dilation = dilation
        self.channels, self.context = channels, (kernel - 1) * dilation

    def forward(self, past: Tensor, x: Tensor) -> Tensor:
        """[B, out, T] of x [B, channels, T] and past [B, channels, context]."""
        return fn.conv1d(torch.cat((past, x), dim=-1), self.weight, self.bias, dilation=self.dilation)


class UpsampleConv(nn.Module):
    """Transposed, kernel 2 * stride: `stride` outputs an input. One past input is carried."""

    context = 1

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.weight, self.bias = weight(2 * channels, out * stride), weight(out)
        self.channels, self.stride = channels, stride

    @staticmethod
    def taps(transposed: Tensor) -> Tensor:
        """Make the weight from ConvTranspose1d's [channels, out, 2 * stride]: what acts now, then what acts later."""
        return torch.cat(transposed.chunk(2, dim=-1)).flatten(1)

    def forward(self, past: Tensor, x: Tensor) -> Tensor:
        """[B, out, T * stride] of x [B, channels, T] and past [B, channels, 1]."""
        both = torch.cat((past, x), dim=-1).transpose(1, 2)
        pairs = torch.cat((both[:, 1:], both[:, :-1]), dim=-1)
        out = (pairs @ self.weight).view(x.shape[0], x.shape[2], -1, self.stride)
        return out.transpose(1, 2).reshape(x.shape[0], -1, x.shape[2] * self.stride) + self.bias[:, None]


class UpsampleChannels(nn.Module):
    """The same for each channel by itself, without bias: Mimi's step from 12.5 to 25 positions a second."""

    context = 1

    def __init__(self, channels: int, stride: int, groups: int) -> None:
        super().__init__()
        assert channels == groups, "each channel is its own group"
        self.weight = weight(channels, 1, 2 * stride)
        self.channels, self.stride = channels, stride

    def forward(self, past: Tensor, x: Tensor) -> Tensor:
        """[B, channels, T * stride] of x [B, channels, T] and past [B, channels, 1]."""
        before = torch.cat((past, x[..., :-1]), dim=-1)
        now_taps, before_taps = self.weight[:, 0].split(self.stride, dim=-1)
        out = x[..., None] * now_taps[:, None] + before[..., None] * before_taps[:, None]
        return out.flatten(2)


StreamingConv = CausalConv | UpsampleConv | UpsampleChannels
