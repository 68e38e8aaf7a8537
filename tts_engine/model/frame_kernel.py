"""The whole depth decoder in one Triton kernel: as many programs as the GPU holds at once, meeting after each stage.

An experiment (`bench_depth.py` prints whether it pays). Nothing is launched between stages; a meeting costs two trips
to the second-level cache, and before it each program asks for the weights of its next tile, so that memory does not
rest meanwhile. Launched as a cooperative grid: the driver refuses it when not all programs fit at once, in which case
a meeting would never end. Codebook 0's position and the state's are two passes here, where the other paths have one.
"""

# pyright: basic, reportMissingImports=false, reportArgumentType=false, reportIndexIssue=false
# Triton has no types, and comes only with CUDA builds of PyTorch.

from __future__ import annotations

import triton
import triton.language as tl

from tts_engine.model.depth_kernels import attend, draw
from tts_engine.model.product_kernels import ask_for, attend_out, product


@triton.jit
def _meet(counter, target):
    """Wait until all programs are here; what they wrote before is seen after. The counter only grows."""
    tl.debug_barrier()
    tl.atomic_add(counter, 1, sem="acq_rel", scope="gpu")
    here = tl.load(counter, volatile=True)
    while here < target:
        here = tl.load(counter, volatile=True)
    tl.atomic_add(counter, 0, sem="acquire", scope="gpu")
    tl.debug_barrier()


@triton.jit
def _ahead(weight, program, K: tl.constexpr, N: tl.constexpr, BN: tl.constexpr, SPLIT: tl.constexpr,
           GATED: tl.constexpr, THREADS: tl.constexpr, AHEAD: tl.constexpr):  # fmt: skip
    """Ask for the weights of a program's first tile of the stage to come."""
    if AHEAD:
        tiles: tl.constexpr = N // BN
        if program < tiles * SPLIT:
            column = program // tiles * (K // SPLIT)
            ask_for(weight, program % tiles * BN, column, K, BN, K // SPLIT, THREADS)
            if GATED:
                ask_for(weight, N + program % tiles * BN, column, K, BN, K // SPLIT, THREADS)


@triton.jit
def _stage(
    x, gain, weight, scale, out, parts, arrivals, eps,
    K: tl.constexpr, N: tl.constexpr, ROWS: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, SPLIT: tl.constexpr,
    AT_ONCE: tl.constexpr, NORM: tl.constexpr, GATED: tl.constexpr, ADD: tl.constexpr, SCALED: tl.constexpr,
    WIDE: tl.constexpr,
):  # fmt: skip
    """A product, its tiles dealt out to the programs."""
    tiles: tl.constexpr = N // BN
    for item in range(tl.program_id(0), tiles * SPLIT, tl.num_programs(0)):
        product(
            item % tiles, item // tiles, x, gain, weight, scale, out, parts, arrivals, eps,
            K, N, ROWS, BN, BK, SPLIT, AT_ONCE, NORM, GATED, ADD, SCALED, ROWS > 1, ".cg", WIDE,
        )  # fmt: skip


@triton.jit
def frame_kernel(
    x, qkv, mixed, gated, logits, parts, arrivals, counter, gains, last_gain, w_qkv, w_out, w_gate_up, w_down, heads,
    s_gate_up, s_down, cache, cos, sin, keys, key_stride, temperature, top_k, codes, table, eps, scale, rows,
    cache_rows,
    LAYERS: tl.constexpr, CODEBOOKS: tl.constexpr, H: tl.constexpr, INNER: tl.constexpr, HEADS: tl.constexpr,
    GROUPS: tl.constexpr, D: tl.constexpr, SPAN: tl.constexpr, V: tl.constexpr, WIDTH: tl.constexpr,
    LOGITS: tl.constexpr, ROWS: tl.constexpr, BK: tl.constexpr, AT_ONCE: tl.constexpr, BN_QKV: tl.constexpr,
    SPLIT_QKV: tl.constexpr,
    BN_OUT: tl.constexpr, SPLIT_OUT: tl.constexpr, BN_GATE: tl.constexpr, BN_DOWN: tl.constexpr,
    SPLIT_DOWN: tl.constexpr, BN_HEAD: tl.constexpr, SCALED: tl.constexpr, AHEAD: tl.constexpr,
    THREADS: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """Codes 1 to CODEBOOKS - 1 of `rows` rows.

    x [2, ROWS, H]: inputs of positions 0 and 1, the second also the later positions'. gains [LAYERS, 2, H]; weights
    stacked by layer; heads [CODEBOOKS - 1, LOGITS, H]; cache [LAYERS, 2, cache_rows, GROUPS, SPAN, D]; counter 0.
    """
    program, programs = tl.program_id(0), tl.num_programs(0)
    width: tl.constexpr = (HEADS + 2 * GROUPS) * D
    target = 0
    for position in range(CODEBOOKS):
        at = x + tl.minimum(position, 1) * ROWS * H
        for layer in range(LAYERS):
            key = cache + layer * 2 * cache_rows * GROUPS * SPAN * D
            value = key + cache_rows * GROUPS * SPAN * D
            out, gate_up = w_out + layer * H * HEADS * D, w_gate_up + layer * 2 * INNER * H
            down = w_down + layer * H * INNER
            _stage(
                at, gains + layer * 2 * H, w_qkv + layer * width * H, s_down, qkv, parts, arrivals, eps,
                H, width, ROWS, BN_QKV, BK, SPLIT_QKV, AT_ONCE, True, False, False, False, WIDE,
            )  # fmt: skip
            _ahead(out, program, HEADS * D, H, BN_OUT, SPLIT_OUT, False, THREADS, AHEAD)
            target += programs
            _meet(counter, target)
            if ROWS == 1:
                for tile in range(program, H // BN_OUT, programs):
                    attend_out(
                        tile, qkv, key, value, cos, sin, out, at, position, scale,
                        HEADS, GROUPS, D, SPAN, SPAN, BN_OUT, ".cg", WIDE,
                    )  # fmt: skip
            else:
                per: tl.constexpr = HEADS // GROUPS
                h = tl.arange(0, 16)
                for item in range(program, rows * GROUPS, programs):
                    row, group = item // GROUPS, item % GROUPS
                    seen = attend(
                        row, group, True, qkv, key, value, cos, sin, position, width, scale,
                        HEADS, GROUPS, D, SPAN, SPAN, ".cg", WIDE,
                    )  # fmt: skip
                    place = row * HEADS * D + (group * per + h)[:, None] * D + tl.arange(0, D)[None, :]
                    tl.store(mixed + place, seen.to(x.dtype.element_ty), mask=(h < per)[:, None])
                target += programs
                _meet(counter, target)
                _stage(
                    mixed, gains, out, s_down, at, parts, arrivals, eps,
                    HEADS * D, H, ROWS, BN_OUT, BK, SPLIT_OUT, AT_ONCE, False, False, True, False, WIDE,
                )  # fmt: skip
            _ahead(gate_up, program, H, INNER, BN_GATE, 1, True, THREADS, AHEAD)
            target += programs
            _meet(counter, target)
            _stage(
                at, gains + (layer * 2 + 1) * H, gate_up, s_gate_up + layer * 2 * INNER, gated, parts, arrivals, eps,
                H, INNER, ROWS, BN_GATE, BK, 1, AT_ONCE, True, True, False, SCALED, WIDE,
            )  # fmt: skip
            _ahead(down, program, INNER, H, BN_DOWN, SPLIT_DOWN, False, THREADS, AHEAD)
            target += programs
            _meet(counter, target)
            _stage(
                gated, gains, down, s_down + layer * H, at, parts, arrivals, eps,
                INNER, H, ROWS, BN_DOWN, BK, SPLIT_DOWN, AT_ONCE, False, False, True, SCALED, WIDE,
            )  # fmt: skip
            if layer + 1 < LAYERS:
                _ahead(w_qkv + (layer + 1) * width * H, program, H, width, BN_QKV, SPLIT_QKV, False, THREADS, AHEAD)
            target += programs
            _meet(counter, target)
        if position > 0:
            _stage(
                at, last_gain, heads + (position - 1) * LOGITS * H, s_down, logits, parts, arrivals, eps,
                H, LOGITS, ROWS, BN_HEAD, BK, 1, AT_ONCE, True, False, False, False, WIDE,
            )  # fmt: skip
            _ahead(w_qkv, program, H, width, BN_QKV, SPLIT_QKV, False, THREADS, AHEAD)
            target += programs
            _meet(counter, target)
            for row in range(program, rows, programs):
                draw(
                    row, logits, LOGITS, keys + position, key_stride, temperature, top_k,
                    codes + position, CODEBOOKS, table, position * V, at, V, WIDTH, H, H, True, ".cg",
                )  # fmt: skip
            target += programs
            _meet(counter, target)
