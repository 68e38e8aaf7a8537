from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tts_engine.backend.leading_silence import LeadingSilence

RATE_HZ = 1000  # one sample a millisecond


def pcm(*samples: int) -> bytes:
    return np.array(samples, "<i2").tobytes()


def heard(stage: LeadingSilence, *pieces: bytes) -> list[int]:
    return list(np.frombuffer(b"".join(stage.feed(piece) for piece in pieces), "<i2"))


def test_silence_beyond_what_is_kept_is_taken_away() -> None:
    stage = LeadingSilence(sample_rate_hz=RATE_HZ, keep_ms=3)

    assert heard(stage, pcm(*[1] * 10, 5000, 0, 0)) == [1, 1, 1, 5000, 0, 0]


def test_less_silence_than_is_kept_is_left_alone() -> None:
    stage = LeadingSilence(sample_rate_hz=RATE_HZ, keep_ms=3)

    assert heard(stage, pcm(1, 5000)) == [1, 5000]


def test_silence_after_the_first_sound_is_a_pause() -> None:
    stage = LeadingSilence(sample_rate_hz=RATE_HZ, keep_ms=0)

    assert heard(stage, pcm(0, 0), pcm(5000), pcm(0, 0), pcm(-5000)) == [5000, 0, 0, -5000]


def test_the_loudest_negative_sample_is_a_sound() -> None:
    assert heard(LeadingSilence(sample_rate_hz=RATE_HZ, keep_ms=0), pcm(0, -32768)) == [-32768]


def test_silence_alone_is_nothing() -> None:
    assert heard(LeadingSilence(sample_rate_hz=RATE_HZ, keep_ms=3), pcm(*[100] * 50)) == []


@given(
    silence=st.lists(st.integers(-200, 200), max_size=40),
    speech=st.lists(st.integers(-32768, 32767), max_size=20),
    cuts=st.lists(st.integers(0, 60), max_size=8),
    keep_ms=st.integers(0, 10),
)
def test_cut_anywhere_equals_whole(silence, speech, cuts, keep_ms) -> None:
    whole = pcm(*silence, *speech)
    bounds = sorted({0, len(whole), *(min(cut * 2, len(whole)) for cut in cuts)})
    pieces = [whole[a:b] for a, b in pairwise(bounds)]

    at_once = heard(LeadingSilence(sample_rate_hz=RATE_HZ, keep_ms=keep_ms), whole)

    assert heard(LeadingSilence(sample_rate_hz=RATE_HZ, keep_ms=keep_ms), *pieces) == at_once
