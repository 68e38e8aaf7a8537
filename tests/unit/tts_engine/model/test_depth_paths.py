from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.fakes.tiny_depth import a_frame, make_depth, need_interpreter

need_interpreter()

from tts_engine.model import depth_paths  # noqa: E402 - behind the skip
from tts_engine.model.alone_depth import AloneDepth, UnsupportedShapeError  # noqa: E402 - behind the skip
from tts_engine.model.depth_paths import DepthPaths  # noqa: E402 - behind the skip
from tts_engine.model.fused import FusedDepth  # noqa: E402 - behind the skip

pytestmark = pytest.mark.filterwarnings("ignore")  # Triton's interpreter on NumPy


class Instead:
    """Stands in the place of `AloneDepth`: counts its calls and adds `more` to its codes."""

    def __init__(self, fused: FusedDepth, *, more: int = 0) -> None:
        self._path, self._more, self.calls = AloneDepth(fused), more, 0

    def __call__(self, *frame: object) -> torch.Tensor:
        self.calls += 1
        return self._path(*frame) + self._more  # pyright: ignore[reportArgumentType]


def test_one_row_runs_the_kernels_for_one_row_and_two_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    depth = make_depth(tmp_path)
    made: list[Instead] = []

    def counted(fused: FusedDepth) -> Instead:
        made.append(Instead(fused))
        return made[0]

    monkeypatch.setattr(depth_paths, "AloneDepth", counted)
    monkeypatch.setattr(depth_paths, "_TRIED", 1)
    paths = DepthPaths(depth, max_batch=2, alone=True)
    assert paths.summary == "fused kernels, others for one row"
    made[0].calls = 0
    for rows, calls in ((2, 0), (1, 1)):
        frame = a_frame(rows)
        assert torch.equal(paths(*frame), depth(*frame))
        assert made[0].calls == calls


def test_kernels_for_one_row_that_draw_other_codes_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    depth = make_depth(tmp_path)
    monkeypatch.setattr(depth_paths, "AloneDepth", lambda fused: Instead(fused, more=1))
    monkeypatch.setattr(depth_paths, "_TRIED", 1)
    paths = DepthPaths(depth, max_batch=1, alone=True)
    assert paths.summary == "fused kernels, for one row too: by those of its own 0% of codes agree"
    frame = a_frame(1)
    assert torch.equal(paths(*frame), depth(*frame))


def test_sizes_that_do_not_fit_the_kernels_for_one_row_leave_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(_: FusedDepth) -> AloneDepth:
        raise UnsupportedShapeError("weights of 7 by 9")

    monkeypatch.setattr(depth_paths, "AloneDepth", refuse)
    assert DepthPaths(make_depth(tmp_path), max_batch=1, alone=True).summary.endswith("weights of 7 by 9")


def test_nothing_is_tried_that_is_not_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(depth_paths, "AloneDepth")
    assert DepthPaths(make_depth(tmp_path), max_batch=1, alone=False).summary == "fused kernels"
