from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from finetune.evaluation.distortion import mel_cepstral_distortion
from finetune.evaluation.mel import mel_filters
from tests.unit.finetune.data.sounds import noise, speech


def test_the_same_sentence_has_no_distortion_whatever_its_level():
    sound = speech(1.0, seed=1)
    assert mel_cepstral_distortion(sound, sound) == pytest.approx(0.0, abs=1e-4)
    assert mel_cepstral_distortion(0.5 * sound, sound) == pytest.approx(0.0, abs=0.05)


def test_tempo_costs_less_than_another_sentence():
    sound = speech(1.0, seed=1)
    slow = np.concatenate([np.tile(block, 2) for block in sound.reshape(-1, 240)]).astype(np.float32)
    assert mel_cepstral_distortion(slow, sound) < 0.6 * mel_cepstral_distortion(speech(1.0, seed=9), sound)


def test_a_tilt_of_the_spectrum_is_measured_in_decibels():
    flat = noise(1.0, -20.0, seed=1)
    tilted = lfilter([1.0, 0.7], [1.0], flat).astype(np.float32)
    # |1 + 0.7 z| over the mel bands departs from its mean by some decibels, never by ten
    assert 1.0 < mel_cepstral_distortion(tilted, flat) < 10.0


def test_mel_filters_have_one_area_and_no_gap():
    filters = mel_filters(16_000, 400, 40)
    inner = filters.sum(axis=0)[2:-5]
    assert (inner > 0).all()
    assert filters.sum(axis=1)[10:] * 40 == pytest.approx(np.ones(30), rel=0.25)
