"""How far 8-bit weights move the depth decoder's codes: `PYTHONPATH=. python tests/bench/bench_depth_float8.py`.

CSM-1B's sizes, on the processor, the true codes fed back (teacher forcing), float32 arithmetic unless said otherwise.
No trained weights are to be had here, so two kinds stand in: Gaussian ones, and ones with what trained networks are
known for: heavy tails, channels of very different size, a few states far larger than the rest, codes of very unequal
frequency. Prints, against float32: KL divergence of the distributions at temperature 0.9 (mean, 99th percentile), how
often the best code is the same, and how often the drawn one is (top 50, the same noise).
"""

from __future__ import annotations

import argparse
import copy
import os
import time
from collections.abc import Callable

import torch
import torch.nn.functional as fn
from torch import Tensor

from tts_engine.model.config import CsmConfig
from tts_engine.model.depth_decoder import DepthDecoder
from tts_engine.model.fp8 import scaled
from tts_engine.model.frame import FrameDecoder
from tts_engine.model.layers import attention
from tts_engine.model.rope import rotate, rotations
from tts_engine.model.sampling import draw, frame_keys

Round = Callable[[Tensor], Tensor]


def in_float8(rows: Tensor) -> Tensor:
    """Each row in 8 bits and back."""
    flat = rows.flatten(0, -2)
    return scaled(flat).wide(rows.dtype).view(rows.shape)


def logits(depth: DepthDecoder, hidden: Tensor, codes: Tensor, mlp_input: Round) -> Tensor:
    """What `DepthDecoder.logits` computes, with the inputs of the MLP's products rounded; [B, codebooks - 1, size]."""
    offsets = torch.arange(depth.num_codebooks - 1) * depth.codebook_size
    x = torch.cat((fn.linear(hidden, depth.projector)[:, None], depth.projected[codes[:, :-1] + offsets]), dim=1)
    cos, sin = (part.to(x.dtype) for part in rotations(torch.arange(depth.num_codebooks), depth.frequencies))
    mask = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).tril()[None]
    for layer in depth.layers:
        qkv = fn.linear(layer.attention_norm(x), layer.qkv).view(*x.shape[:2], -1, layer.head_dim).transpose(1, 2)
        query, key, value = qkv.split((layer.heads, layer.kv_heads, layer.kv_heads), dim=1)
        x = x + fn.linear(attention(rotate(query, cos, sin), rotate(key, cos, sin), value, mask), layer.out)
        gate, up = fn.linear(mlp_input(layer.mlp_norm(x)), layer.gate_up).chunk(2, dim=-1)
        x = x + fn.linear(mlp_input(fn.silu(gate) * up), layer.down)
    return torch.einsum("bch,chv->bcv", depth.norm(x[:, 1:]), depth.heads).float()


def fill(depth: DepthDecoder, *, heavy: bool) -> None:
    for name, weight in depth.named_parameters():
        if weight.dim() == 1:
            weight.data.uniform_(0.5, 1.5)
            continue
        fan = weight.shape[-2] if name == "heads" else weight.shape[-1]
        values = torch.randn_like(weight)
        if heavy:
            values /= (
                (torch.randn_like(weight).square() + torch.randn_like(weight).square()).div(2).sqrt().clamp(min=0.2)
            )
            values *= torch.randn(weight.shape[-1]).mul(0.5).exp() * torch.randn(*weight.shape[:-1], 1).mul(0.5).exp()
            values /= values.std()
        weight.data.copy_(values * 1.5 / fan**0.5)
    depth.projected = torch.randn(depth.num_codebooks * depth.codebook_size, depth.config.hidden_size)
    if heavy:
        depth.projected[:, :4] *= 20


def inputs(depth: DepthDecoder, rows: int, *, heavy: bool) -> tuple[Tensor, Tensor]:
    hidden = torch.randn(rows, depth.projector.shape[1])
    if not heavy:
        return hidden, torch.randint(0, depth.codebook_size, (rows, depth.num_codebooks))
    hidden[:, :8] *= 20
    share = 1 / torch.arange(1, depth.codebook_size + 1)
    return hidden, torch.multinomial(share.expand(rows * depth.num_codebooks, -1), 1).view(rows, -1)


def compare(name: str, kind: str, found: Tensor, expected: Tensor, keys: Tensor) -> None:
    p, q = ((each / 0.9).log_softmax(-1) for each in (expected, found))
    divergence = (p.exp() * (p - q)).sum(-1)
    best = (found.argmax(-1) == expected.argmax(-1)).float().mean()
    rows = expected.shape[0] * expected.shape[1]
    heat, top = torch.full((rows,), 0.9), torch.full((rows,), 50)
    drawn = [draw(each.flatten(0, 1), keys[:, 1:].flatten(), heat, top, limit=64) for each in (found, expected)]
    same = (drawn[0] == drawn[1]).float().mean()
    print(f"| {kind} | {name} | {divergence.mean():.5f} | {divergence.flatten().quantile(0.99):.5f} | {best:.1%} | "
          f"{same:.1%} |", flush=True)  # fmt: skip


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=8)
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    with torch.device("meta"):
        frames = FrameDecoder(CsmConfig.from_hf({}))
    exact = frames.depth.to_empty(device="cpu")
    fresh = DepthDecoder(CsmConfig.from_hf({"text_vocab_size": 1}))
    exact.frequencies = fresh.frequencies
    del fresh
    began = time.perf_counter()
    print("| weights | 8 bits in | KL mean | KL 99 % | best code the same | drawn code the same |")
    print("|---|---|--:|--:|--:|--:|")
    for kind, heavy in (("Gaussian", False), ("heavy-tailed", True)):
        fill(exact, heavy=heavy)
        for parameter in exact.parameters():  # the checkpoint is in bfloat16: both sides begin with such numbers
            parameter.data.copy_(parameter.data.bfloat16())
        hidden, codes = inputs(exact, options.rows, heavy=heavy)
        keys = frame_keys(torch.arange(options.rows), torch.arange(options.rows), exact.num_codebooks)
        expected = logits(exact, hidden, codes, lambda x: x)
        narrow = copy.deepcopy(exact).bfloat16()
        compare(
            "nothing, bfloat16 arithmetic", kind, logits(narrow, hidden.bfloat16(), codes, lambda x: x), expected, keys
        )
        del narrow
        rounded = copy.deepcopy(exact)
        for layer in rounded.layers:
            layer.gate_up.data, layer.down.data = in_float8(layer.gate_up), in_float8(layer.down)
        compare("MLP weights", kind, logits(rounded, hidden, codes, lambda x: x), expected, keys)
        compare("MLP weights and inputs", kind, logits(rounded, hidden, codes, in_float8), expected, keys)
        for layer in rounded.layers:
            layer.qkv.data, layer.out.data = in_float8(layer.qkv), in_float8(layer.out)
        rounded.heads.data = in_float8(rounded.heads.transpose(1, 2)).transpose(1, 2).contiguous()
        compare("all weights", kind, logits(rounded, hidden, codes, lambda x: x), expected, keys)
        del rounded
    print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
