from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.fakes.tiny_depth import a_frame, make_depth, need_interpreter, row

need_interpreter()

from tts_engine.model.depth_options import DepthOptions  # noqa: E402 - behind the skip
from tts_engine.model.fp8 import scaled  # noqa: E402 - behind the skip
from tts_engine.model.fused import FusedDepth  # noqa: E402 - behind the skip
from tts_engine.model.small_depth import SmallDepth, Tile, Tiles, UnsupportedShapeError  # noqa: E402 - as above

WHOLE = Tile(64, 32)
ONE = Tiles(WHOLE, WHOLE, WHOLE, WHOLE, WHOLE)
CUT = Tiles(Tile(64, 16), Tile(32, 32, parts=4), Tile(16, 16), Tile(16, 16, parts=2), Tile(64, 32))
"""Few programs, as the interpreter is slow; products cut every way there is."""

pytestmark = pytest.mark.filterwarnings("ignore")  # Triton's interpreter on NumPy


def small(fused: FusedDepth, options: DepthOptions, *, together: Tiles = CUT) -> SmallDepth:
    return SmallDepth(fused, options, alone=ONE, together=together)


@pytest.mark.parametrize("rows", [1, 17])
def test_the_codes_are_those_of_the_plain_decoder(tmp_path: Path, rows: int):
    depth = make_depth(tmp_path)
    frame = a_frame(rows)
    fused = FusedDepth(depth, max_batch=rows)
    assert torch.equal(small(fused, DepthOptions(small_batch=32))(*frame), depth(*frame))


def test_a_row_alone_by_its_own_kernels_and_the_tiles_of_production_has_the_plain_decoders_codes(tmp_path: Path):
    depth = make_depth(tmp_path)
    frame = a_frame(1)
    fused = FusedDepth(depth, max_batch=1)
    assert torch.equal(SmallDepth(fused, DepthOptions(alone=True))(*frame), depth(*frame))


def test_in_bfloat16_a_row_has_the_same_codes_alone_and_among_others(tmp_path: Path):
    """The promise that padding to 16 rows keeps: no sum depends on who else is there."""
    depth = make_depth(tmp_path, torch.bfloat16)
    frame = a_frame(3, torch.bfloat16)
    run = small(FusedDepth(depth, max_batch=3), DepthOptions(small_batch=16))
    among = run(*frame)
    assert torch.equal(torch.cat([run(*row(frame, index)) for index in (0, 2)]), among[[0, 2]])


def test_float8_gives_the_codes_of_weights_that_were_rounded(tmp_path: Path):
    depth = make_depth(tmp_path)
    frame = a_frame(16, seed=4)  # a code in ten is another with these
    found = small(FusedDepth(depth, max_batch=16), DepthOptions(float8=True))(*frame)
    before = depth(*frame)
    for layer in depth.layers:
        layer.gate_up.data = scaled(layer.gate_up).wide(torch.float32)
        layer.down.data = scaled(layer.down).wide(torch.float32)
    assert torch.equal(found, depth(*frame))
    assert not torch.equal(found, before)


def test_a_frame_leaves_nothing_for_the_next(tmp_path: Path):
    depth = make_depth(tmp_path)
    run = small(FusedDepth(depth, max_batch=3), DepthOptions(small_batch=16))
    run(*a_frame(3, seed=1))
    frame = a_frame(2, seed=2)
    assert torch.equal(run(*frame), depth(*frame))


def test_sizes_that_cannot_be_cut_are_refused():
    assert Tile(64, 128, parts=8).fitted(1536, 1024, least=16) == Tile(64, 128, parts=8)
    assert Tile(64, 128, parts=8).fitted(48, 96, least=16) == Tile(16, 16, parts=2)
    with pytest.raises(UnsupportedShapeError, match="no tile of 16 by 16"):
        Tile(16, 128).fitted(40, 64, least=16)


def test_weights_are_asked_for_in_whole_sixteenths_only(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tts_engine.model.small_depth.INTERPRETED", False)
    assert Tile(64, 128, parts=8).can_ask(torch.empty(1024, 8192, dtype=torch.bfloat16))
    assert not Tile(16, 32).can_ask(torch.empty(256, 32, dtype=torch.bfloat16)), "8 bytes a thread"
    assert not Tile(64, 64, parts=4, warps=1).can_ask(torch.empty(64, 256)), "128 numbers a thread, 64 in a row"
