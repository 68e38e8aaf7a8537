from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.fakes.tiny_depth import a_frame, make_depth, need_interpreter

need_interpreter()

from tests.unit.tts_engine.model.test_small_depth import CUT, ONE  # noqa: E402 - behind the skip
from tts_engine.model.fused import FusedDepth  # noqa: E402 - behind the skip
from tts_engine.model.persistent_depth import PersistentDepth  # noqa: E402 - behind the skip

pytestmark = pytest.mark.filterwarnings("ignore")  # Triton's interpreter on NumPy


@pytest.mark.parametrize("rows", [1, 3])
def test_one_kernel_for_the_whole_frame_gives_the_plain_decoders_codes(tmp_path: Path, rows: int):
    """With one program: the interpreter runs programs one after another, so they could not meet."""
    depth = make_depth(tmp_path)
    frame = a_frame(rows)
    expected = depth(*frame)
    run = PersistentDepth(FusedDepth(depth, max_batch=rows), alone=ONE, together=CUT)
    assert torch.equal(run(*frame), expected)
    assert torch.equal(depth(*frame), expected), "the decoder's weights became views of the stacks"
