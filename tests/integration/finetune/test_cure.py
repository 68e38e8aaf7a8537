"""The old way and ours on sentences of espeak-ng: the sign of the cure, small enough for a test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gpu.finetune_cure import Budget, compare, make_ready, sentences


@pytest.mark.timeout(300)
def test_ours_stops_where_the_speech_ends_and_the_old_way_goes_on_in_silence(tmp_path: Path):
    folder = make_ready(tmp_path / "cure", sentences(8), window_s=5.0)
    budget = Budget(steps=150, learning_rate=4e-3, window_s=5.0, limit_s=6.0, clips=8, temperature=0.0)
    outcomes = compare(folder, ("ours", "old way"), budget)
    assert {(one.way, one.split) for one in outcomes} == {
        (way, split) for way in ("ours", "old way") for split in ("train", "validation")
    }
    for one in outcomes:
        if one.way == "ours":
            assert one.stop_rate == 1.0
            assert one.frames_per_expected < 1.6
            assert one.silent_share < 0.3
        else:
            assert one.stop_rate == 0.0
            assert one.frames_per_expected > 1.8
            assert one.silent_share > 0.6
