from __future__ import annotations

import numpy as np
import pytest

from finetune.data.audio import RATE_HZ
from finetune.evaluation.measures import Silence, fit_duration, longest_run, silence
from tests.unit.finetune.data.sounds import noise, speech


def test_silence_is_measured_before_between_and_after():
    quiet = [np.zeros(round(s * RATE_HZ), np.float32) for s in (0.3, 0.8, 1.5)]
    tone = noise(1.0, -20)
    found = silence(np.concatenate((quiet[0], tone, quiet[1], tone, quiet[2])))
    assert (found.lead_s, found.inner_s, found.tail_s) == pytest.approx((0.3, 0.8, 1.5), abs=0.021)
    assert found.total_s == pytest.approx(2.6, abs=0.03)


def test_nothing_and_zeros_are_silent():
    assert silence(np.zeros(0, np.float32)) == Silence(0, 0, 0, 0)
    assert silence(np.zeros(RATE_HZ, np.float32)) == Silence(1, 1, 0, 1)
    assert silence(speech(1)).lead_s == 0


@pytest.mark.parametrize(("first", "run"), [([1, 2, 3], 1), ([4, 4, 4, 4], 4), ([1, 5, 5, 5, 2, 2], 3), ([], 0)])
def test_a_voice_that_is_stuck_repeats_a_code(first: list[int], run: int):
    codes = np.zeros((len(first), 8), np.int16)
    codes[:, 0] = first
    assert longest_run(codes) == run


def test_how_long_a_text_takes_is_learnt_from_clips():
    line = fit_duration([10, 20, 40], [1.3, 2.3, 4.3])
    assert line.expected_s(30) == pytest.approx(3.3)
    assert fit_duration([10, 10], [1.0, 2.0]).expected_s(20) == pytest.approx(3.0)
    # longer texts that take less time say nothing about texts
    assert fit_duration([10, 20, 30], [3.0, 2.0, 1.0]).expected_s(10) == pytest.approx(1.0)
