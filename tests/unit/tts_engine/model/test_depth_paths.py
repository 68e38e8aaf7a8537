from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.fakes.tiny_depth import a_frame, make_depth, need_interpreter

need_interpreter()

from tts_engine.model import depth_paths  # noqa: E402 - behind the skip
from tts_engine.model.depth_options import DepthOptions  # noqa: E402 - behind the skip
from tts_engine.model.depth_paths import DepthPaths  # noqa: E402 - behind the skip
from tts_engine.model.fused import FusedDepth  # noqa: E402 - behind the skip
from tts_engine.model.small_depth import SmallDepth  # noqa: E402 - behind the skip

pytestmark = pytest.mark.filterwarnings("ignore")  # Triton's interpreter on NumPy


class Counting:
    """Stands before a path and counts its calls."""

    def __init__(self, path: FusedDepth | SmallDepth) -> None:
        self.path, self.calls = path, 0

    def __call__(self, *frame: object) -> torch.Tensor:
        self.calls += 1
        return self.path(*frame)  # pyright: ignore[reportArgumentType]


def test_a_batch_of_few_rows_runs_the_small_kernels_and_a_larger_one_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    depth = make_depth(tmp_path)
    made: list[Counting] = []

    def counted(*arguments: object) -> Counting:
        made.append(Counting(SmallDepth(*arguments)))  # pyright: ignore[reportArgumentType]
        return made[0]

    monkeypatch.setattr(depth_paths, "SmallDepth", counted)
    paths = DepthPaths(depth, max_batch=3, options=DepthOptions(small_batch=2))
    assert paths.summary == "fused kernels; small-batch kernels up to 2"
    made[0].calls = 0
    for rows, calls in ((3, 0), (2, 1)):
        frame = a_frame(rows)
        assert torch.equal(paths(*frame), depth(*frame))
        assert made[0].calls == calls


def test_small_kernels_that_draw_other_codes_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    depth = make_depth(tmp_path)

    class Wrong(SmallDepth):
        def __call__(self, *frame: object) -> torch.Tensor:
            return super().__call__(*frame) + 1  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(depth_paths, "SmallDepth", Wrong)
    paths = DepthPaths(depth, max_batch=1, options=DepthOptions(small_batch=1))
    assert paths.summary == "fused kernels; no small-batch kernels: 0% of first codes agree"
    frame = a_frame(1)
    assert torch.equal(paths(*frame), depth(*frame))


def test_nothing_is_tried_that_is_not_asked_for(tmp_path: Path):
    paths = DepthPaths(make_depth(tmp_path), max_batch=1, options=DepthOptions(float8=True))
    assert paths.summary == "fused kernels, MLP in float8"
