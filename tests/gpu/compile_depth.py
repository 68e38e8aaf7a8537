"""Compiles the depth decoder's kernels for Hopper without a GPU, and says what became of them.

    PYTHONPATH=.:$(tests/triton_env.sh) python tests/gpu/compile_depth.py [beginning of a name ...]

Per kernel, at CSM-1B's sizes, with the tiles of production and those that `bench_depth.py --scan` tries: registers,
spills (must be 0), programs that a multiprocessor holds and KB of weights under way in them, programs in all, and how
often instructions occur in the machine code: 16-byte loads (LDG; before + after the wait for the kernel ahead), tensor
cores (HGMMA, HMMA), barriers (BAR), shuffles (SHFL).
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from tests.gpu.depth_tiles import TRIED, described
from tts_engine.model.alone_depth import Tile
from tts_engine.model.alone_kernels import attend_out_kernel, product_kernel
from tts_engine.model.depth_kernels import ATTEND_WARPS, DRAW_WARPS, attend_kernel, draw_kernel
from tts_engine.model.fused import _add_norm_kernel, _gate_kernel

HOPPER = GPUTarget("cuda", 90, 32)
TOOL = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
SEEN = ("HGMMA", "HMMA", "BAR.SYNC", "SHFL", "LDL", "STL")
BF16, F32 = "*bf16", "*fp32"
REGISTERS, SHARED, THREADS, PROGRAMS = 65536, 227 << 10, 2048, 32  # that a multiprocessor has
HEADS = {"HEADS": 8, "GROUPS": 2, "D": 128, "SPAN": 32, "SEEN": 32, "WIDE": False, "NEAR": True}


def report(
    name: str, kernel: Any, types: Mapping[str, str], constants: Mapping[str, Any], *,
    asked: int = 0, programs: int = 0, even: Sequence[str] = (), **options: Any,
) -> bool:  # fmt: skip
    """Compile, print a line; False if registers were spilled. A program has `asked` bytes of weights under way.

    `even` numbers are multiples of 16, as pointers are.
    """
    signature = {each: "constexpr" if each in constants else types[each] for each in kernel.arg_names}
    whole = {n for n, (name, kind) in enumerate(signature.items()) if kind.startswith("*") or name in even}
    aligned = {(n,): [["tt.divisibility", 16]] for n in whole}
    source = ASTSource(kernel, signature, constexprs=dict(constants), attrs=aligned)
    compiled = triton.compile(source, target=HOPPER, options=options)
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(compiled.asm["cubin"])
        file.flush()
        code = subprocess.run([TOOL, "-sass", file.name], capture_output=True, text=True, check=True).stdout
        usage = subprocess.run([TOOL, "-res-usage", file.name], capture_output=True, text=True, check=True)
    found = (re.search(rf"{key}:(\d+)", usage.stdout + usage.stderr) for key in ("REG", "STACK", "LOCAL"))
    registers, stack, local = (int(each[1]) for each in found if each)
    warps, shared = options["num_warps"], compiled.metadata.shared
    each = -(-registers * 32 // 256) * 256 * warps
    held = min(REGISTERS // each, SHARED // (shared + 1024), THREADS // (32 * warps), PROGRAMS)
    before, _, after = code.rpartition("ACQBULK")
    counts = f"{before.count('LDG.E')}+{after.count('LDG.E')} LDG" + "".join(
        f", {count} {word}" for word in SEEN if (count := code.count(word))
    )
    under_way = f"{held * asked >> 10}" if asked else "–"
    cells = f"{registers} | {stack + local} | {held} | {under_way} | {programs or '–'} | {counts}"
    print(f"| {name} | {cells} |", flush=True)
    return stack + local == 0


def product(name: str, k: int, n: int, tile: Tile, *flags: str) -> bool:
    types = {**dict.fromkeys(("x", "gain", "out", "weight"), BF16), "eps": "fp32"}
    constants: dict[str, Any] = {"K": k, "N": n, "BN": tile.rows, "BK": tile.columns, "NEAR": True}
    constants |= {flag: flag in flags for flag in ("NORM", "GATED", "ADD", "PASSING")}
    asked = 2 * tile.rows * tile.columns * (2 if "GATED" in flags else 1)
    options = {"num_warps": tile.warps, "launch_pdl": True}
    return report(name, product_kernel, types, constants, asked=asked, programs=n // tile.rows, **options)


def attention_and_out(name: str, tile: Tile) -> bool:
    pointers = ("qkv", "cache_k", "cache_v", "cos", "sin", "weight", "out")
    types = {**dict.fromkeys(pointers, BF16), "position": "i32", "scale": "fp32"}
    constants = {**HEADS, "BN": tile.rows}
    options = {"num_warps": tile.warps, "launch_pdl": True}
    asked = 2 * tile.rows * 1024
    return report(name, attend_out_kernel, types, constants, asked=asked, programs=1024 // tile.rows, **options)


def shared_kernels(chosen: tuple[str, ...]) -> bool:
    """Those of `fused`, which run at every batch, and the draw that both have."""
    norm = {**dict.fromkeys(("x", "delta", "weight", "out"), BF16), "part_stride": "i32", "eps": "fp32"}
    gate = {"gate_up": BF16, "out": BF16}
    attend = dict.fromkeys(("qkv", "cache_k", "cache_v", "cos", "sin", "out"), BF16)
    attend |= {"position": "i32", "row_stride": "i32", "scale": "fp32"}
    drawn = {**dict.fromkeys(("logits", "table", "out"), BF16), **dict.fromkeys(("keys", "top_k", "codes"), "*i64")}
    drawn |= {"temperature": F32, **dict.fromkeys(("logit_stride", "key_stride", "code_stride", "offset"), "i32")}
    draw = {"V": 2051, "WIDTH": 4096, "N": 1024, "BLOCK": 1024, "SHIFT": 16, "EMBED": True, "NEAR": True}
    rows = {"N": 1024, "BLOCK": 1024, "NEAR": True}
    jobs: dict[str, tuple[Any, dict[str, str], dict[str, Any], int]] = {
        "norm": (_add_norm_kernel, norm, {**rows, "PARTS": 1}, 4),
        "norm of four parts": (_add_norm_kernel, norm, {**rows, "PARTS": 4}, 4),
        "gate": (_gate_kernel, gate, {"N": 8192, "BLOCK": 1024, "NEAR": True}, 4),
        "attention": (attend_kernel, attend, HEADS, ATTEND_WARPS),
        "attention, 1 warp": (attend_kernel, attend, HEADS, 1),
        "attention, 4 warps": (attend_kernel, attend, HEADS, 4),
        "draw": (draw_kernel, drawn, draw, DRAW_WARPS),
        "draw, 4 warps": (draw_kernel, drawn, draw, 4),
    }
    good = True
    for name, (kernel, types, constants, warps) in jobs.items():
        if name.startswith(chosen):
            good &= report(name, kernel, types, constants, num_warps=warps, launch_pdl=True)
    return good


def main() -> None:
    chosen = tuple(sys.argv[1:]) or ("",)
    print("| kernel, tile | registers | spilled bytes | programs held | KB under way | programs | instructions |")
    print("|---|--:|--:|--:|--:|--:|---|")
    sizes = {
        "qkv": (1024, 1536, "NORM"), "gate_up": (1024, 8192, "NORM", "GATED"), "down": (8192, 1024, "ADD"),
        "head": (1024, 2112, "NORM"),
    }  # fmt: skip
    good = True
    for kind, tiles in TRIED.items():
        for tile in tiles:
            name = f"{kind}, {described(tile)}"
            if not name.startswith(chosen):
                continue
            if kind == "out":
                good &= attention_and_out(name, tile)
            else:
                k, n, *flags = sizes[kind]
                good &= product(name, k, n, tile, *flags)
    good &= shared_kernels(chosen)
    sys.exit(not good)


if __name__ == "__main__":
    main()
