from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.data.audio import RATE_HZ
from finetune.data.loudness import levelled, loudness_lufs
from finetune.data.settings import TrimSettings
from finetune.data.speech import energy_spans
from finetune.data.trim import snr_db, trimmed
from tests.unit.finetune.data.sounds import noise, recording, speech

TRIM = TrimSettings()


@given(lead=st.floats(0, 2), tail=st.floats(0, 2), seed=st.integers(0, 5))
def test_whatever_silence_a_recording_has_the_clip_has_the_same(lead: float, tail: float, seed: int):
    samples = recording(1.5, lead=lead, tail=tail, seed=seed)
    spans = energy_spans(samples)
    out = trimmed(samples, spans, TRIM)
    said = spans[-1][1] - spans[0][0]
    assert len(out) - said == pytest.approx(0.23 * RATE_HZ, abs=1)
    assert said == pytest.approx(1.5 * RATE_HZ, abs=0.06 * RATE_HZ)


def test_a_long_pause_is_cut_to_measure_and_a_short_one_stays():
    gap = noise(2.0, -60)
    samples = np.concatenate((recording(1, seed=1), gap, recording(1, seed=2)))
    spans = energy_spans(samples)
    assert len(spans) == 2
    out = trimmed(samples, spans, TRIM)
    assert len(out) / RATE_HZ == pytest.approx(0.08 + 1 + 0.6 + 1 + 0.15, abs=0.08)
    short = np.concatenate((speech(1, seed=1), noise(0.4, -60), speech(1, seed=2), noise(0.5, -60)))
    assert len(trimmed(short, energy_spans(short), TRIM)) / RATE_HZ == pytest.approx(0.08 + 2.4 + 0.15, abs=0.08)


def test_speech_over_noise_is_measured_where_there_is_some_noise():
    samples = recording(2, snr_db=30)
    assert snr_db(samples, energy_spans(samples)) == pytest.approx(30, abs=2)
    assert snr_db(speech(2), [(0, 2 * RATE_HZ)]) is None


@pytest.mark.parametrize("snr", [8.0, 10.0, 12.0, 14.0, 18.0, 30.0])
def test_noise_is_told_from_speech_however_near_it_is(snr: float):
    samples = recording(2.5, lead=0.8, tail=0.9, snr_db=snr)
    spans = energy_spans(samples)
    assert spans[0][0] == pytest.approx(0.8 * RATE_HZ, abs=0.05 * RATE_HZ)
    assert spans[-1][1] == pytest.approx(3.3 * RATE_HZ, abs=0.05 * RATE_HZ)
    measured = snr_db(samples, spans)
    assert measured is not None
    assert measured == pytest.approx(snr, abs=2.0)


def test_noise_alone_is_no_speech_nor_is_nothing():
    assert energy_spans(noise(2, -30)) == []
    assert energy_spans(np.zeros(100, np.float32)) == []


def test_loudness_is_that_of_the_recommendation_for_its_own_test_tone():
    # BS.1770: a 997 Hz sine at full scale in one channel is -3.01 LUFS
    tone = np.sin(2 * np.pi * 997 * np.arange(3 * RATE_HZ) / RATE_HZ).astype(np.float32)
    assert loudness_lufs(tone) == pytest.approx(-3.01, abs=0.05)
    assert loudness_lufs(tone * 0.1) == pytest.approx(-23.01, abs=0.05)
    # what is silent is left out of the mean
    assert loudness_lufs(np.concatenate((tone, np.zeros_like(tone)))) == pytest.approx(-3.01, abs=0.5)
    assert loudness_lufs(tone[:2400]) == pytest.approx(-3.01, abs=1.0)


def test_a_clip_is_brought_to_the_loudness_but_never_over_the_peak():
    assert loudness_lufs(levelled(speech(2), lufs=-23, peak_dbfs=-1)) == pytest.approx(-23, abs=0.1)
    loud = levelled(speech(2), lufs=-10, peak_dbfs=-6)
    assert np.abs(loud).max() == pytest.approx(10 ** (-6 / 20), rel=1e-3)
