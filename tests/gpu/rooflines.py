"""What a device can do at most, and so the least that each part of a frame can take on it.

A floor is the longer of two times: bytes that cannot but pass through memory, at the rate of a large copy, and
arithmetic, at the rate of a large product in bfloat16. What lies in a cache, or is read twice, is not in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from tts_engine.model.config import CsmConfig, TransformerConfig
from tts_engine.model.mimi.decoder import MimiDecoder, MimiState

WORD = 2  # bytes of a number in 16 bits


@dataclass(frozen=True, slots=True)
class Ceilings:
    """Bytes a second, read and written; operations a second."""

    bandwidth: float
    flops: float

    def ms(self, *, moved: float, work: float) -> float:
        return max(moved / self.bandwidth, work / self.flops) * 1000


def measured() -> Ceilings:
    """Measure a copy of 4 GiB and a product of 8,192 by 8,192, each the median of 15."""
    buffers = torch.empty(2, 1 << 30, dtype=torch.float32, device="cuda")
    bandwidth = buffers.nbytes / _median_s(lambda: buffers[1].copy_(buffers[0]))
    a = torch.randn(8192, 8192, dtype=torch.bfloat16, device="cuda")
    return Ceilings(bandwidth, 2 * 8192**3 / _median_s(lambda: a @ a))


def _median_s(work: Callable[[], object]) -> float:
    found: list[float] = []
    for _ in range(18):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        work()
        end.record()
        end.synchronize()
        found.append(start.elapsed_time(end) / 1000)
    return sorted(found[3:])[7]


def layer_weights(config: TransformerConfig) -> int:
    attention = (2 * config.num_heads + 2 * config.num_kv_heads) * config.head_dim * config.hidden_size
    return config.num_layers * (attention + 3 * config.intermediate_size * config.hidden_size)


def depth_ms(config: CsmConfig, rows: int, ceilings: Ceilings) -> float:
    """Every pass streams all weights; positions 0 and 1 are one pass."""
    books, layers = config.num_codebooks, layer_weights(config.depth)
    head = config.depth.hidden_size * config.codebook_size
    moved = WORD * (books - 1) * (layers + head)
    return ceilings.ms(moved=moved, work=2 * rows * (books * layers + (books - 1) * head))


def backbone_ms(config: CsmConfig, rows: int, positions: float, ceilings: Ceilings) -> float:
    """One position a row after `positions` others, whose keys and values are read."""
    backbone, layers = config.backbone, layer_weights(config.backbone)
    cache = 2 * backbone.num_layers * backbone.num_kv_heads * backbone.head_dim * positions
    work = 2 * layers + 4 * backbone.num_layers * backbone.num_heads * backbone.head_dim * positions
    return ceilings.ms(moved=WORD * (layers + rows * cache), work=rows * work)


def mimi_ms(config: CsmConfig, rows: int, ceilings: Ceilings) -> float:
    """One frame a row whose window is full: weights, the carried state there and back, the ring of keys and values."""
    mimi = config.mimi
    with torch.device("cpu"):
        decoder = MimiDecoder(mimi).eval()
    state = MimiState(decoder, slots=1, like=decoder.first.weight, max_frames=1)
    one, codes = torch.ones(1, dtype=torch.bool), torch.zeros(1, 1, config.num_codebooks, dtype=torch.int64)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        decoder(codes, state, slots=torch.zeros(1, dtype=torch.int64), active=one, fresh=~one)
    ring = 2 * mimi.num_layers * mimi.num_heads * mimi.head_dim * mimi.window
    tables = config.num_codebooks * mimi.codebook_size * mimi.codebook_dim  # of which a frame reads rows
    weights = sum(weight.numel() for weight in decoder.parameters()) - tables
    read = config.num_codebooks * mimi.codebook_dim
    moved = WORD * (weights + rows * (2 * state.past.shape[1] + ring + read)) + 4 * rows * mimi.frame_samples
    return ceilings.ms(moved=moved, work=rows * counter.get_total_flops())
