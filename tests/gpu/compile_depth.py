"""Compiles the depth decoder's kernels for Hopper without a GPU, and says what became of them.

    PYTHONPATH=.:$(tests/triton_env.sh) python tests/gpu/compile_depth.py [name ...]

Per kernel, at CSM-1B's sizes, with the tiles of production and those that `bench_depth.py --scan` tries: registers,
local memory (spills; must be 0), shared memory, how many programs a multiprocessor holds and so how many bytes of
weights are under way in it, and how often instructions occur in the machine code: 16-byte loads (LDG.128; before the
wait for the kernel ahead, ACQBULK, and after it), tensor cores (HGMMA, HMMA), barriers (BAR), shuffles (SHFL).
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from tts_engine.model.alone_depth import MEASURED, Tile
from tts_engine.model.alone_kernels import attend_out_kernel, product_kernel
from tts_engine.model.depth_kernels import attend_kernel, draw_kernel
from tts_engine.model.fused import _add_norm_kernel, _gate_kernel

HOPPER = GPUTarget("cuda", 90, 32)
TOOL = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
SEEN = ("LDG.E.128", "LDGSTS", "HGMMA", "HMMA", "UBLKPF", "ACQBULK", "ATOM", "LDL", "STL")
BF16, F32 = "*bf16", "*fp32"


def report(name: str, kernel: Any, types: Mapping[str, str], constants: Mapping[str, Any], **options: Any) -> bool:
    """Compile, print a line; False if registers were spilled."""
    signature = {each: "constexpr" if each in constants else types[each] for each in kernel.arg_names}
    aligned = {(n,): [["tt.divisibility", 16]] for n, kind in enumerate(signature.values()) if kind.startswith("*")}
    source = ASTSource(kernel, signature, constexprs=dict(constants), attrs=aligned)
    compiled = triton.compile(source, target=HOPPER, options=options)
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(compiled.asm["cubin"])
        file.flush()
        code = subprocess.run([TOOL, "-sass", file.name], capture_output=True, text=True, check=True).stdout
        usage = subprocess.run([TOOL, "-res-usage", file.name], capture_output=True, text=True, check=True)
    registers, stack, local = (
        re.search(rf"{key}:(\d+)", usage.stdout + usage.stderr) for key in ("REG", "STACK", "LOCAL")
    )
    assert registers is not None
    assert stack is not None
    assert local is not None
    counts = ", ".join(f"{count} {word}" for word in SEEN if (count := code.count(word)))
    spilled = int(stack[1]) + int(local[1])
    print(f"| {name} | {registers[1]} | {spilled} | {compiled.metadata.shared} | {counts} |", flush=True)
    return spilled == 0


def product(name: str, k: int, n: int, tile: Tile, rows: int, *, weight: str = BF16, **flags: bool) -> bool:
    types = {
        **dict.fromkeys(("x", "gain", "out"), BF16), "weight": weight, "scale": F32, "parts": F32, "arrivals": "*i32",
        "eps": "fp32",
    }  # fmt: skip
    constants = {
        "K": k, "N": n, "ROWS": rows, "BN": tile.rows, "BK": tile.columns, "SPLIT": tile.parts, "NORM": False,
        "GATED": False, "ADD": False, "SCALED": weight != BF16, "DOT": rows > 1, "NEAR": True, "AHEAD": True,
        "THREADS": 32 * tile.warps, "WIDE": False, "AT_ONCE": columns_at_once(k, rows), **flags,
    }  # fmt: skip
    options = {"num_warps": tile.warps, "num_stages": tile.stages, "launch_pdl": True}
    return report(name, product_kernel, types, constants, **options)


def attention_and_out(name: str) -> bool:
    pointers = ("qkv", "cache_k", "cache_v", "cos", "sin", "weight", "out")
    types = {**dict.fromkeys(pointers, BF16), "position": "i32", "scale": "fp32"}
    constants = {
        "HEADS": 8, "GROUPS": 2, "D": 128, "SPAN": 32, "SEEN": 32, "BN": ALONE.out.rows, "NEAR": True, "AHEAD": True,
        "THREADS": 32 * ALONE.out.warps, "WIDE": False,
    }  # fmt: skip
    return report(name, attend_out_kernel, types, constants, num_warps=ALONE.out.warps, launch_pdl=True)


def shared_kernels(chosen: list[str]) -> bool:
    """Those of `fused`, which run at every batch."""
    norm = {**dict.fromkeys(("x", "delta", "weight", "out"), BF16), "part_stride": "i32", "scales": F32, "eps": "fp32"}
    gate = {"gate_up": BF16, "out": BF16, "scales": F32}
    attend = dict.fromkeys(("qkv", "cache_k", "cache_v", "cos", "sin", "out"), BF16)
    attend |= {"position": "i32", "row_stride": "i32", "scale": "fp32"}
    drawn = {**dict.fromkeys(("logits", "table", "out"), BF16), **dict.fromkeys(("keys", "top_k", "codes"), "*i64")}
    drawn |= {"temperature": F32, **dict.fromkeys(("logit_stride", "key_stride", "code_stride", "offset"), "i32")}
    heads = {"HEADS": 8, "GROUPS": 2, "D": 128, "SPAN": 32, "SEEN": 32, "WIDE": False}
    draw = {"V": 2051, "WIDTH": 4096, "N": 1024, "BLOCK": 1024, "EMBED": True}
    jobs: dict[str, tuple[Any, dict[str, str], dict[str, Any], int]] = {
        "norm": (_add_norm_kernel, norm, {"N": 1024, "BLOCK": 1024, "PARTS": 1, "FLOAT8": False}, 4),
        "norm of two parts": (_add_norm_kernel, norm, {"N": 1024, "BLOCK": 1024, "PARTS": 2, "FLOAT8": False}, 4),
        "norm, float8": (
            _add_norm_kernel, {**norm, "out": "*fp8e4nv"}, {"N": 1024, "BLOCK": 1024, "PARTS": 1, "FLOAT8": True}, 4,
        ),
        "gate": (_gate_kernel, gate, {"N": 8192, "BLOCK": 1024, "FLOAT8": False}, 4),
        "gate, float8": (
            _gate_kernel, {**gate, "out": "*fp8e4nv"}, {"N": 8192, "BLOCK": 8192, "FLOAT8": True}, 8,
        ),
        "attention": (attend_kernel, attend, heads, 2),
        "draw": (draw_kernel, drawn, draw, 8),
    }  # fmt: skip
    good = True
    for name, (kernel, types, constants, warps) in jobs.items():
        if not chosen or name in chosen:
            good &= report(name, kernel, types, constants, num_warps=warps)
    return good


def whole_frame(name: str, rows: int) -> bool:
    tiles = ALONE if rows == 1 else TOGETHER
    types = dict.fromkeys(frame_kernel.arg_names, BF16)
    types |= {"parts": F32, "s_gate_up": F32, "s_down": F32, "temperature": F32, "arrivals": "*i32", "counter": "*i32"}
    types |= dict.fromkeys(("keys", "top_k", "codes"), "*i64") | dict.fromkeys(("eps", "scale"), "fp32")
    types |= dict.fromkeys(("key_stride", "rows", "cache_rows"), "i32")
    constants = {
        "LAYERS": 4, "CODEBOOKS": 32, "H": 1024, "INNER": 8192, "HEADS": 8, "GROUPS": 2, "D": 128, "SPAN": 32,
        "V": 2051, "WIDTH": 4096, "LOGITS": 2112, "ROWS": rows, "BK": tiles.narrowest, "BN_QKV": tiles.qkv.rows,
        "SPLIT_QKV": tiles.qkv.parts, "BN_OUT": tiles.out.rows, "SPLIT_OUT": tiles.out.parts,
        "BN_GATE": tiles.gate_up.rows, "BN_DOWN": tiles.down.rows, "SPLIT_DOWN": tiles.down.parts,
        "BN_HEAD": tiles.head.rows, "SCALED": False, "AHEAD": True, "THREADS": 256, "WIDE": False,
        "AT_ONCE": columns_at_once(1024, 4 * rows),
    }  # fmt: skip
    return report(name, frame_kernel, types, constants, num_warps=8, num_stages=3, launch_cooperative_grid=True)


def main() -> None:
    jobs = {}
    for rows, tiles in ((1, ALONE), (16, TOGETHER), (32, TOGETHER), (64, TOGETHER)):
        for kind, weight in (("", BF16), (", float8", "*fp8e4nv")):
            jobs[f"gate and up, {rows}{kind}"] = (1024, 8192, tiles.gate_up, rows, weight, ("NORM", "GATED"))
            jobs[f"down, {rows}{kind}"] = (8192, 1024, tiles.down, rows, weight, ("ADD",))
        jobs[f"qkv, {rows}"] = (1024, 1536, tiles.qkv, rows, BF16, ("NORM",))
        jobs[f"head, {rows}"] = (1024, 2112, tiles.head, rows, BF16, ("NORM",))
        if rows > 1:
            jobs[f"out, {rows}"] = (1024, 1024, tiles.out, rows, BF16, ("ADD",))
    chosen = sys.argv[1:]
    print("| kernel, rows | registers | spilled bytes | shared bytes | instructions |\n|---|--:|--:|--:|---|")
    good = True
    for name, (k, n, tile, rows, weight, flags) in jobs.items():
        if not chosen or name in chosen:
            good &= product(name, k, n, tile, rows, weight=weight, **dict.fromkeys(flags, True))
    if not chosen or "attention and out, 1" in chosen:
        good &= attention_and_out("attention and out, 1")
    good &= shared_kernels(chosen)
    for rows in (1, 16):
        if not chosen or f"whole frame, {rows}" in chosen:
            good &= whole_frame(f"whole frame, {rows}", rows)
    sys.exit(not good)


if __name__ == "__main__":
    main()
