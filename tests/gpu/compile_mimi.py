"""Compiles the codec's kernels for Hopper without a GPU, and says what became of them; columns as `compile_depth`'s.

    PYTHONPATH=.:$(tests/triton_env.sh) python tests/gpu/compile_mimi.py [beginning of a name ...]

At Mimi's sizes and 1,024 streams, in float16. Tiles that are only tried may spill.
"""

from __future__ import annotations

import sys
from typing import Any

from tests.gpu.compile_depth import report
from tests.gpu.mimi_tiles import TRIED_BLOCKS, TRIED_GROUPS, TRIED_RINGS, TRIED_UPS
from tts_engine.model.mimi.fused import RingTile, _ring_dot_kernel, _ring_kernel
from tts_engine.model.mimi.seanet import Groups, Tile, divisor
from tts_engine.model.mimi.seanet_kernels import (
    block_kernel,
    codes_kernel,
    group_kernel,
    last_kernel,
    taps_kernel,
    up_kernel,
)

F16, F32, I64 = "*fp16", "*fp32", "*i64"
STREAMS, WIDTH = 1024, "width"
STAGES = {  # steps in, channels in, stride
    0: (2, 1024, 8), 1: (16, 512, 6), 2: (96, 256, 5), 3: (480, 128, 4),
}  # fmt: skip
COMMON = {"past": F16, "held": F16, "slots": I64, "width": "i32", "place": "i32", "rows": "i32", "out": F16}
EVEN = ("groups", "width", "place", "last_place", "rows")


def up(stage: int, tile: Tile) -> bool:
    steps, channels, stride = STAGES[stage]
    columns = stride * channels // 2
    bn = divisor(columns, tile.columns)
    types = COMMON | {"x": F16, "weight": F16, "bias": F16}
    sizes = {"T": steps, "C": channels, "N": columns, "BM": tile.rows, "BN": bn, "BK": tile.terms}
    programs = -(-STREAMS * steps // tile.rows) * columns // bn
    return launched(f"up {stage}, {described(tile)}", up_kernel, types, sizes, tile, programs)


def block(stage: int, tile: Tile) -> bool:
    steps, channels, stride = STAGES[stage]
    steps, channels = steps * stride, channels // 2
    types = COMMON | dict.fromkeys(("x", "wide", "wide_bias", "narrow", "narrow_bias"), F16)
    sizes = {
        "T": steps, "C": channels, "INNER": channels // 2, "TAPS": 3, "DILATION": 1, "BM": tile.rows,
        "BN": min(tile.columns, channels), "BK": min(tile.terms, channels),
    }  # fmt: skip
    programs = -(-STREAMS * steps // tile.rows)
    return launched(f"block {stage}, {described(tile)}", block_kernel, types, sizes, tile, programs)


def group(stage: int, tile: Groups) -> bool:
    steps, channels, stride = STAGES[stage]
    steps, channels, last = steps * stride, channels // 2, stage == max(STAGES)
    names = ("x", "wide", "wide_bias", "narrow", "narrow_bias", "last")
    types = COMMON | dict.fromkeys(names, F16) | {"last_place": "i32", "groups": "i32", "out": F32 if last else F16}
    sizes = {"T": steps, "C": channels, "INNER": channels // 2, "LAST": last, "GROUP": tile.times, "BM": tile.rows}
    programs = -(-STREAMS * steps // tile.rows // tile.times)
    name = f"group {stage}, {tile.rows} of {tile.times}, {tile.warps} warps, {tile.stages} stages, {tile.registers}"
    used = Tile(tile.rows, 0, 0, tile.warps, tile.stages, tile.registers)
    return launched(name, group_kernel, types, sizes | {"STAGES": tile.stages}, used, programs)


def ring(tile: RingTile | None) -> bool:
    types = {**dict.fromkeys(("qkv", "keys", "values", "cos", "sin", "out"), F16), "slots": I64, "starts": I64}
    types |= {"scale": "fp32", "window": "i32"}
    sizes = {"HEADS": 8, "COLUMNS": 256, "D": 64, "BLOCK": 64 if tile is None else tile.columns}
    name = f"ring, {tile}"
    if tile is None:
        return launched(name, _ring_kernel, types, sizes, Tile(0, 0, 0, warps=4, stages=3), 8 * STREAMS)
    used = Tile(0, 0, 0, tile.warps, tile.stages)
    return launched(name, _ring_dot_kernel, types, sizes | {"STAGES": tile.stages}, used, 8 * STREAMS)


def launched(
    name: str, kernel: Any, types: dict[str, str], constants: dict[str, Any], tile: Tile, programs: int
) -> bool:
    options = {"num_warps": tile.warps, "num_stages": tile.stages, "maxnreg": tile.registers}
    return not name.startswith(CHOSEN) or report(
        name, kernel, types, constants, programs=programs, even=EVEN, **options
    )


def described(tile: Tile) -> str:
    size = f"{tile.rows} x {tile.columns} x {tile.terms}"
    return f"{size}, {tile.warps} warps, {tile.stages} stages, {tile.registers or 255} registers"


def small() -> bool:
    four = Tile(1, 0, 0, warps=4, stages=1)
    codes = COMMON | {"codes": I64, "tables": F16, "taps": F16}
    sizes = {"BOOKS": 32, "SIZE": 2048, "C": 512, "BLOCK": 512}
    good = launched("codes", codes_kernel, codes, sizes, four, STREAMS)
    for stage, steps, channels, taps, elu in ((0, 2, 512, 7, False), (0, 2, 1024, 2, False), (0, 16, 512, 3, True)):
        sizes = {"T": steps, "C": channels, "TAPS": taps, "DILATION": 1, "ELU": elu, "BLOCK": channels}
        name = f"{taps} taps of stage {stage}"
        good &= launched(name, taps_kernel, COMMON | {"x": F16}, sizes, four, STREAMS * steps)
    last = COMMON | {"shares": F32, "last": F16, "bias": F16, "out": F32}
    sizes = {"T": 1920, "C": 64, "TAPS": 3, "BLOCK": 1024}
    return good & launched("last", last_kernel, last, sizes, four, 2 * STREAMS)


def main() -> None:
    print("| kernel, tile | registers | spilled bytes | programs held | KB under way | programs | instructions |")
    print("|---|--:|--:|--:|--:|--:|---|")
    good = small()
    for stage in STAGES:
        for tile in TRIED_UPS:
            good &= up(stage, tile)
        for tile in TRIED_BLOCKS:
            good &= block(stage, tile)
    for tile in TRIED_RINGS:
        good &= ring(tile)
    for tile in TRIED_GROUPS:
        good &= group(max(STAGES), tile)
    print("no spills" if good else "some spill registers")


CHOSEN = tuple(sys.argv[1:]) or ("",)

if __name__ == "__main__":
    main()
