"""The codec's convolutions for exactly one frame a row on a GPU: the weights of `decoder`, laid out for products.

Activations are [row, time, channels] throughout. A transposed convolution with a kernel of twice its stride is then
one product of each input and the one before it, whose output is already in the order of time. Each stage has two ways,
which give the same: products by cuBLAS of gathered inputs, good where channels are many and times few, and Triton
kernels that gather as they go, good where what would be gathered is more than memory moves in no time.
"""

# pyright: basic, reportMissingImports=false, reportArgumentType=false, reportIndexIssue=false
# Triton has no types, and comes only with CUDA builds of PyTorch.

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as fn
import triton
from torch import Tensor

from tts_engine.model.mimi.conv import CausalConv, StreamingConv, UpsampleConv
from tts_engine.model.mimi.decoder import MimiDecoder, MimiState, ResidualBlock
from tts_engine.model.mimi.seanet_kernels import (
    block_kernel,
    group_kernel,
    last_kernel,
    taps_kernel,
    up_kernel,
)


class UnsupportedCodecError(ValueError):
    """The kernels for one frame are not for a codec of this form; the plain decoder remains."""


@dataclass(frozen=True, slots=True)
class Tile:
    """What a program makes: rows by columns, of the products so many terms at a time."""

    rows: int
    columns: int
    terms: int
    warps: int
    stages: int
    registers: int | None = None


UP_TILE = Tile(128, 128, 64, warps=8, stages=3, registers=128)  # two programs a multiprocessor
BLOCK_TILE = Tile(64, 128, 64, warps=4, stages=2)


@dataclass(frozen=True, slots=True)
class Groups:
    """What a program of `group_kernel` takes: so many groups of so many successive times."""

    rows: int
    times: int
    warps: int
    stages: int
    registers: int | None = None


GROUPS = Groups(64, 8, warps=4, stages=2)
GROUP_CHANNELS = 64
"""From 128 on groups save no instructions: `compile_mimi.py`."""


@dataclass(frozen=True, slots=True)
class Ways:
    """By stage: whether Triton's kernels make the transposed convolution, and the residual block."""

    ups: tuple[bool, ...]
    blocks: tuple[bool, ...]

    @classmethod
    def usual(cls, stages: int, dtype: torch.dtype) -> Ways:
        """Kernels where there are tensor cores for them, from the second stage on; see docs/benchmarks.md."""
        if dtype == torch.float32:
            return cls((False,) * stages, (False,) * stages)
        return cls(tuple(n >= 2 for n in range(stages)), tuple(n >= 1 for n in range(stages)))


@dataclass(frozen=True, slots=True)
class Carried:
    """What went before: a copy [B, width] to read, and the state whose slots [B] take what the next frame needs."""

    past: Tensor
    state: MimiState
    slots: Tensor

    def arguments(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.past, self.state.past, self.slots


class Seanet:
    """To be made once the weights are loaded, and again when they change; raises UnsupportedCodecError."""

    def __init__(self, decoder: MimiDecoder, ways: Ways | None = None) -> None:
        ways = ways or Ways.usual(len(decoder.ups), decoder.first.weight.dtype)
        self._first, self._last = _Taps(decoder.first), _Taps(decoder.last)
        self.stages: list[Stage] = []
        steps = 2
        for index, (up, blocks) in enumerate(zip(decoder.ups, decoder.blocks, strict=True)):
            assert isinstance(up, UpsampleConv)
            assert isinstance(blocks, torch.nn.ModuleList)
            if len(blocks) != 1:
                raise UnsupportedCodecError(f"{len(blocks)} residual blocks a stage; there are kernels for one")
            block = blocks[0]
            assert isinstance(block, ResidualBlock)
            last = self._last if index == len(decoder.ups) - 1 else None
            by_kernel = ways.ups[index], ways.blocks[index]
            self.stages.append(Stage(up, block, steps, last=last, by_kernel=by_kernel))
            steps *= up.stride
        if steps < decoder.last.context:
            raise UnsupportedCodecError(f"{steps} samples a frame are fewer than the last convolution carries")

    def __call__(self, x: Tensor, carried: Carried) -> Tensor:
        """Samples [B, T] float32 of the transformer's [B, 2, hidden]."""
        x = self.first(x, carried)
        for stage in self.stages:
            x = stage(x, carried)
        return self.last(x, carried)

    def first(self, x: Tensor, carried: Carried) -> Tensor:
        return fn.elu(self._first(x, carried), inplace=True)

    def last(self, x: Tensor, carried: Carried) -> Tensor:
        """Samples of what the last stage returned, [B, T, channels] or the shares [taps, B, T]."""
        last = self._last
        if not self.stages[-1].shares:
            return last(x, carried)[..., 0].float()
        _, batch, steps = x.shape
        out = torch.empty(batch, steps, dtype=torch.float32, device=x.device)
        block = min(1024, triton.next_power_of_2(steps))
        last_kernel[(batch, triton.cdiv(steps, block))](
            x, carried.past, last.rows, last.conv.bias, out, batch * steps, carried.past.shape[1],
            carried.state.place(last.conv), T=steps, C=last.conv.channels, TAPS=last.taps, BLOCK=block, num_warps=4,
        )  # fmt: skip
        return out


_PROGRAMS = 264
"""Two a multiprocessor: fewer are made of smaller tiles."""


class Stage:
    """ELU'd [B, T * stride, channels / 2] of ELU'd [B, T, channels]; with `shares` what `group_kernel` says of LAST."""

    def __init__(
        self, up: UpsampleConv, block: ResidualBlock, steps: int, *, last: _Taps | None, by_kernel: tuple[bool, bool]
    ) -> None:
        inner, channels = block.wide.weight.shape[0], block.wide.channels
        self.up, self.channels = up, channels
        self.up_by_kernel = by_kernel[0] and _tileable(up.channels) and _tileable(channels)
        self.block_by_kernel = by_kernel[1] and _tileable(channels) and _tileable(inner)
        if steps * up.stride < block.wide.context:
            raise UnsupportedCodecError(f"{steps * up.stride} steps are fewer than a residual block carries")
        weight = up.weight.view(2 * up.channels, channels, up.stride).transpose(1, 2).flatten(1)
        self._up = torch.cat((weight[up.channels :], weight[: up.channels]))  # first what acts on the input before
        self._up_bias = up.bias.repeat(up.stride)
        self._wide, self._narrow = _Taps(block.wide), _Taps(block.narrow)
        fits = (block.wide.context, self._wide.taps) == (2, 3) and divisor(steps * up.stride, 2) == 2
        self.in_groups = self.block_by_kernel and fits and channels <= GROUP_CHANNELS
        # the kernel makes the last convolution's products while it has its inputs
        fits = last is not None and (last.conv.context, last.taps) == (2, 3)
        self._last = last if fits and self.in_groups else None
        self._gains = None if self._last is None else fn.pad(self._last.conv.weight[0], (0, 13))

    @property
    def shares(self) -> bool:
        return self._last is not None

    def __call__(self, x: Tensor, carried: Carried) -> Tensor:
        return self.residual(self.upsampled(x, carried), carried)

    def upsampled(self, x: Tensor, carried: Carried) -> Tensor:
        batch, steps, channels = x.shape
        columns = self.up.stride * self.channels
        if self.up_by_kernel:
            rows, tile = batch * steps, UP_TILE
            out = torch.empty(rows, columns, dtype=x.dtype, device=x.device)
            bm, bn = min(tile.rows, _rows(rows)), divisor(columns, tile.columns)
            up_kernel[(triton.cdiv(rows, bm) * (columns // bn),)](
                x, *carried.arguments(), self._up, self._up_bias, out, rows, carried.past.shape[1],
                carried.state.place(self.up), T=steps, C=channels, N=columns, BM=bm, BN=bn,
                BK=min(tile.terms, channels), num_warps=tile.warps, num_stages=tile.stages, maxnreg=tile.registers,
            )  # fmt: skip
        else:
            pairs = gathered(x, self.up, carried, taps=2)
            out = torch.addmm(self._up_bias, pairs, self._up)
        return out.view(batch, steps * self.up.stride, self.channels)

    def residual(self, x: Tensor, carried: Carried) -> Tensor:
        """ELU of x + block(x); x may be overwritten."""
        if not self.block_by_kernel:
            inner = fn.elu(self._wide(x, carried, elu=True), inplace=True)
            return fn.elu(x.add_(self._narrow.product(inner)), inplace=True)
        if self.in_groups:
            return self._residual_in_groups(x, carried)
        batch, steps, channels = x.shape
        rows, tile, wide, narrow, out = batch * steps, BLOCK_TILE, self._wide, self._narrow, torch.empty_like(x)
        bm = min(tile.rows, _rows(rows))
        block_kernel[(triton.cdiv(rows, bm),)](
            x, *carried.arguments(), wide.columns, wide.conv.bias, narrow.columns, narrow.conv.bias, out, rows,
            carried.past.shape[1], carried.state.place(wide.conv), T=steps, C=channels, INNER=wide.columns.shape[1],
            TAPS=wide.taps, DILATION=wide.conv.dilation, BM=bm, BN=min(tile.columns, channels),
            BK=min(tile.terms, channels), num_warps=tile.warps, num_stages=tile.stages, maxnreg=tile.registers,
        )  # fmt: skip
        return out

    def _residual_in_groups(self, x: Tensor, carried: Carried) -> Tensor:
        batch, steps, channels = x.shape
        wide, narrow, last = self._wide, self._narrow, self._last
        if last is None:
            out = torch.empty_like(x)
        else:
            out = torch.empty(last.taps, batch, steps, dtype=torch.float32, device=x.device)
        tile, times = GROUPS, divisor(steps, GROUPS.times)
        while times > 2 and batch * steps < 16 * times * _PROGRAMS:
            times //= 2
        groups = batch * steps // times
        bm = min(tile.rows, _rows(groups // _PROGRAMS))
        group_kernel[(triton.cdiv(groups, bm),)](
            x, *carried.arguments(), wide.columns, wide.conv.bias, narrow.columns, narrow.conv.bias,
            wide.columns if last is None else self._gains, out, groups, carried.past.shape[1],
            carried.state.place(wide.conv), 0 if last is None else carried.state.place(last.conv), T=steps, C=channels,
            INNER=wide.columns.shape[1], LAST=last is not None, GROUP=times, BM=bm, STAGES=tile.stages,
            num_warps=tile.warps, maxnreg=tile.registers,
        )  # fmt: skip
        return out


class _Taps:
    """A convolution's weight as a product's: `rows` [out, taps * channels], `columns` its transpose."""

    def __init__(self, conv: CausalConv) -> None:
        self.conv, self.taps = conv, conv.weight.shape[-1]
        self.rows = conv.weight.transpose(1, 2).flatten(1).contiguous()
        self.columns = self.rows.t().contiguous()

    def __call__(self, x: Tensor, carried: Carried, *, elu: bool = False) -> Tensor:
        return self.product(gathered(x, self.conv, carried, taps=self.taps, elu=elu).view(*x.shape[:2], -1))

    def product(self, x: Tensor) -> Tensor:
        """[..., out] of what is gathered [..., taps * channels]."""
        return fn.linear(x, self.rows, self.conv.bias)


def gathered(x: Tensor, conv: StreamingConv, carried: Carried, *, taps: int, elu: bool = False) -> Tensor:
    """[B * T, taps * channels] of x [B, T, channels], and what the next frame needs into its place."""
    batch, steps, channels = x.shape
    out = torch.empty(batch * steps, taps * channels, dtype=x.dtype, device=x.device)
    taps_kernel[(batch * steps,)](
        x, *carried.arguments(), out, carried.past.shape[1], carried.state.place(conv), T=steps, C=channels, TAPS=taps,
        DILATION=conv.context // (taps - 1), ELU=elu, BLOCK=triton.next_power_of_2(channels),
        num_warps=1 if channels <= 256 else 4,
    )  # fmt: skip
    return out


def divisor(number: int, most: int) -> int:
    """The largest power of two that divides the number and is at most `most`, which is one."""
    return min(number & -number, most)


def _tileable(channels: int) -> bool:
    """Whether Triton has a range of so many, and tensor cores products."""
    return channels >= 16 and not channels & (channels - 1)


def _rows(rows: int) -> int:
    """The least tile for so few rows."""
    return max(16, triton.next_power_of_2(max(rows, 1)))
