"""The encoder: a whole utterance of 24 kHz sound to frames of codes, its convolutions over ten seconds at a time.

They look back by less than two frames, so a piece that begins two frames early gives what the whole would; at once, the
two minutes that a caller's turn may have took 3.5 GB.
"""

from __future__ import annotations

import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from tts_engine.model.config import MimiConfig
from tts_engine.model.layers import attention, weight
from tts_engine.model.mimi.decoder import ResidualBlock
from tts_engine.model.mimi.quantizer import SplitQuantizer
from tts_engine.model.mimi.transformer import MimiTransformer
from tts_engine.model.prompt import Codes
from tts_engine.model.rope import rotate, rotations
from tts_engine.model.voice import Encode, Samples

PIECE_FRAMES = 125


class StridedConv(nn.Module):
    """Causal convolution with a kernel of twice its stride (or any kernel at stride 1)."""

    def __init__(self, channels: int, out: int, kernel: int, *, stride: int = 1, bias: bool = True) -> None:
        super().__init__()
        self.weight = weight(out, channels, kernel)
        self.bias = weight(out) if bias else None
        self.stride = stride

    def forward(self, x: Tensor, *, mode: str = "constant") -> Tensor:
        x = fn.pad(x, (self.weight.shape[-1] - self.stride, 0), mode=mode)
        return fn.conv1d(x, self.weight, self.bias, stride=self.stride)


class MimiEncoder(nn.Module):
    def __init__(self, config: MimiConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.num_filters
        self.first = StridedConv(1, channels, config.kernel_size)
        self.blocks, self.downs = nn.ModuleList(), nn.ModuleList()
        for ratio in reversed(config.upsampling_ratios):
            growth = (config.dilation_growth**n for n in range(config.num_residual_layers))
            self.blocks.append(nn.ModuleList(ResidualBlock(config, channels, dilation) for dilation in growth))
            self.downs.append(StridedConv(channels, 2 * channels, 2 * ratio, stride=ratio))
            channels *= 2
        self.last = StridedConv(channels, config.hidden_size, config.last_kernel_size)
        self.transformer = MimiTransformer(config)
        self.downsample = StridedConv(config.hidden_size, config.hidden_size, 4, stride=2, bias=False)
        self.quantizer = SplitQuantizer(config)
        self._behind = -(-_reach(config) // config.frame_samples) * config.frame_samples

    def forward(self, samples: Tensor) -> Tensor:
        """Codes [B, ceil(N / 1920), codebooks] int64 of samples [B, N] in -1..1.

        The end is filled with zeros to a whole frame, so an utterance gives the same codes alone and in a batch.
        """
        x = fn.pad(samples, (0, -samples.shape[1] % self.config.frame_samples))[:, None].to(self.first.weight.dtype)
        pieces = range(0, x.shape[-1], PIECE_FRAMES * self.config.frame_samples)
        x = torch.cat([self._convolved(x, begin) for begin in pieces], dim=-1)
        x = self._attend(x.transpose(1, 2)).transpose(1, 2)
        x = self.downsample(x, mode="replicate").transpose(1, 2)
        return self.quantizer.encode(x.flatten(0, 1)).view(x.shape[0], x.shape[1], -1)

    def _convolved(self, samples: Tensor, begin: int) -> Tensor:
        """Return what the convolutions make [B, hidden, 2 a frame] of a piece of samples [B, 1, N]."""
        behind = min(begin, self._behind)
        x = self.first(samples[..., begin - behind : begin + PIECE_FRAMES * self.config.frame_samples])
        for blocks, down in zip(self.blocks, self.downs, strict=True):
            assert isinstance(blocks, nn.ModuleList)
            for block in blocks:
                assert isinstance(block, ResidualBlock)
                x = x + _whole(block, x)
            x = down(fn.elu(x))
        return self.last(fn.elu(x))[..., 2 * behind // self.config.frame_samples :]

    def _attend(self, x: Tensor) -> Tensor:
        positions = torch.arange(x.shape[1], device=x.device)
        behind = positions[:, None] - positions
        mask = ((behind >= 0) & (behind < self.config.window))[None]
        cos, sin = (angle.to(x.dtype) for angle in rotations(positions, self.transformer.frequencies))

        def attend(_: int, qkv: Tensor) -> Tensor:
            query, key, value = qkv.transpose(1, 3).unbind(2)
            return attention(rotate(query, cos, sin), rotate(key, cos, sin), value, mask)

        return self.transformer(x, attend)


def encoding(encoder: MimiEncoder, num_codebooks: int) -> Encode:
    """Return what turns sound into the codes that a model of so many codebooks has, by this encoder."""

    def encode(samples: Samples) -> Codes:
        with torch.inference_mode():
            codes = encoder(torch.from_numpy(samples)[None].to(encoder.first.weight.device))[0]
        return codes[:, :num_codebooks].to(torch.int16).cpu().numpy()

    return encode


def _reach(config: MimiConfig) -> int:
    """Return how many samples the convolutions look back."""
    reach, step = config.kernel_size - 1, 1
    for ratio in reversed(config.upsampling_ratios):
        for layer in range(config.num_residual_layers):
            reach += (config.residual_kernel_size - 1) * config.dilation_growth**layer * step
        reach += ratio * step
        step *= ratio
    return reach + (config.last_kernel_size - 1) * step


def _whole(block: ResidualBlock, x: Tensor) -> Tensor:
    wide, narrow = block.wide, block.narrow
    zeros = x.new_zeros(x.shape[0], wide.channels, wide.context)
    hidden = wide(zeros, fn.elu(x))
    return narrow(hidden[..., :0], fn.elu(hidden))
