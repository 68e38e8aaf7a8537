from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.fakes.tiny_depth import a_frame, make_depth, need_interpreter

need_interpreter()

from tts_engine.model.alone_depth import TILES, AloneDepth, Tile, Tiles, UnsupportedShapeError  # noqa: E402
from tts_engine.model.fused import FusedDepth  # noqa: E402 - behind the skip

WHOLE = Tile(64, 1024)
IN_STEPS = Tile(16, 16)

pytestmark = pytest.mark.filterwarnings("ignore")  # Triton's interpreter on NumPy


@pytest.mark.parametrize("tile", [WHOLE, IN_STEPS])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_codes_are_those_of_the_plain_decoder(tmp_path: Path, tile: Tile, seed: int):
    depth = make_depth(tmp_path)
    frame = a_frame(1, seed=seed)
    run = AloneDepth(FusedDepth(depth, max_batch=1), tiles=Tiles(tile, tile, tile, tile, tile), passing=True)
    assert torch.equal(run(*frame), depth(*frame))


def test_the_tiles_of_production_have_the_plain_decoders_codes(tmp_path: Path):
    depth = make_depth(tmp_path)
    frame = a_frame(1, seed=2)
    assert torch.equal(AloneDepth(FusedDepth(depth, max_batch=1))(*frame), depth(*frame))


def test_in_bfloat16_most_codes_are_the_plain_decoders(tmp_path: Path):
    """Where it rounds less than the plain decoder, near ties may part."""
    depth = make_depth(tmp_path, torch.bfloat16)
    run = AloneDepth(FusedDepth(depth, max_batch=1), tiles=Tiles(WHOLE, WHOLE, WHOLE, WHOLE, WHOLE))
    frames = [a_frame(1, torch.bfloat16, seed=seed) for seed in range(6)]
    assert sum(torch.equal(run(*frame), depth(*frame)) for frame in frames) >= 4


def test_a_frame_leaves_nothing_for_the_next(tmp_path: Path):
    depth = make_depth(tmp_path)
    run = AloneDepth(FusedDepth(depth, max_batch=1), tiles=Tiles(WHOLE, WHOLE, WHOLE, WHOLE, WHOLE))
    run(*a_frame(1, seed=1))
    frame = a_frame(1, seed=2)
    assert torch.equal(run(*frame), depth(*frame))


def test_a_tile_is_cut_to_what_divides_the_weights():
    assert Tile(4, 1024).fitted(1536, 1024) == Tile(4, 1024)
    assert Tile(64, 128).fitted(48, 96) == Tile(16, 32)
    with pytest.raises(UnsupportedShapeError, match="no tile 16 wide"):
        Tile(16, 128).fitted(64, 40)


def test_heads_that_are_no_power_of_two_are_refused(tmp_path: Path):
    fused = FusedDepth(make_depth(tmp_path), max_batch=1)
    fused.depth.config = replace(fused.depth.config, num_heads=6)
    with pytest.raises(UnsupportedShapeError, match="6 heads"):
        TILES.fitted(fused)
