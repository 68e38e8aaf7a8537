"""The old way and ours on sentences of espeak-ng: the sign of the cure, small enough for a test."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.gpu.finetune_cure import Budget, compare, make_ready, sentences


@pytest.mark.timeout(400)
def test_ours_stops_where_the_speech_ends_and_the_old_way_goes_on_in_silence(tmp_path: Path):
    make_ready(tmp_path, sentences(3))
    budget = Budget(steps=150, learning_rate=5e-3, window_s=5.0, limit_s=8.0, batch=3)
    ours, old = compare(tmp_path, ("ours", "old way"), budget, torch.device("cpu"))
    assert ours.stop_rate == 1.0
    assert ours.frames_per_expected == pytest.approx(1.0, abs=0.15)
    assert ours.silent_share < 0.1
    assert old.stop_rate == 0.0
    assert old.frames_per_expected > 2.0
    assert old.silent_share > 0.3
