"""Tiles that `bench_depth.py --scan` tries for one row, and `compile_depth.py` compiles; the first is in use."""

from __future__ import annotations

from tts_engine.model.alone_depth import TILES, Tile

TRIED = {
    "down": (
        TILES.down, Tile(1, 8192), Tile(4, 8192, warps=16), Tile(4, 4096, warps=8), Tile(2, 4096), Tile(4, 1024),
    ),
    "gate_up": (
        TILES.gate_up, Tile(2, 1024), Tile(8, 1024, warps=8), Tile(2, 1024, warps=2), Tile(1, 1024, warps=1),
    ),
    "out": (TILES.out, Tile(8, 1024), Tile(4, 1024), Tile(4, 1024, warps=8)),
    "qkv": (TILES.qkv, Tile(2, 1024), Tile(8, 1024, warps=8), Tile(1, 1024, warps=1)),
    "head": (TILES.head, Tile(8, 1024), Tile(2, 1024), Tile(1, 1024, warps=1)),
}  # fmt: skip
"""In the order of what they may change; a later product is tried with the best of those before."""


def described(tile: Tile) -> str:
    return f"{tile.rows} by {tile.columns}, {tile.warps} warp{'s' if tile.warps > 1 else ''}"
