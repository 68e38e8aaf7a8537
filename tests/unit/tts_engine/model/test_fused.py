from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.fakes.tiny_depth import a_frame, make_depth, need_interpreter

need_interpreter()

from tts_engine.model import fused  # noqa: E402 - behind the skip
from tts_engine.model.fused import FusedDepth, down_parts  # noqa: E402 - behind the skip

pytestmark = pytest.mark.filterwarnings("ignore")  # Triton's interpreter on NumPy


def test_the_codes_are_those_of_the_plain_decoder(tmp_path: Path):
    depth = make_depth(tmp_path)
    frame = a_frame(3)
    assert torch.equal(FusedDepth(depth, max_batch=3)(*frame), depth(*frame))


@pytest.mark.parametrize("parts", [1, 2])
def test_a_down_projection_in_other_parts_draws_the_same_codes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: int
):
    depth = make_depth(tmp_path)
    frame = a_frame(2)
    monkeypatch.setattr(fused, "down_parts", lambda rows, width: parts)
    assert torch.equal(FusedDepth(depth, max_batch=2)(*frame), depth(*frame))


def test_the_down_projection_is_cut_by_the_number_of_rows_into_parts_that_divide_it():
    assert [down_parts(rows, 8192) for rows in (1, 512, 513, 1024, 1025)] == [4, 4, 2, 2, 1]
    assert down_parts(1, 50) == 1
