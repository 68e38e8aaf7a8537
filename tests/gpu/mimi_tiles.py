"""The tiles of the codec's kernels that `bench_mimi.py` times and `compile_mimi.py` compiles; the usual come first."""

from __future__ import annotations

from tts_engine.model.mimi.fused import RingTile
from tts_engine.model.mimi.seanet import BLOCK_TILE, GROUPS, UP_TILE, Groups, Tile

TRIED_UPS = [
    UP_TILE, Tile(128, 128, 64, warps=8, stages=3), Tile(128, 256, 64, warps=8, stages=3),
    Tile(64, 128, 64, warps=4, stages=3, registers=128),
]  # fmt: skip
TRIED_BLOCKS = [BLOCK_TILE, Tile(128, 128, 64, warps=8, stages=2), Tile(64, 128, 64, warps=4, stages=2)]
TRIED_GROUPS = [
    GROUPS, Groups(64, 8, warps=4, stages=2, registers=168), Groups(64, 16, warps=4, stages=3),
    Groups(128, 8, warps=8, stages=2),
]  # fmt: skip
TRIED_RINGS = [
    None, RingTile(64, stages=2, warps=4), RingTile(64, stages=3, warps=4), RingTile(64, stages=3, warps=2),
    RingTile(128, stages=2, warps=4), RingTile(256, stages=1, warps=4), RingTile(32, stages=4, warps=1),
]  # fmt: skip
