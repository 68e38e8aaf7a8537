from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from finetune.data import dnsmos as module
from finetune.data.audio import RATE_HZ, Samples
from finetune.data.dnsmos import dnsmos, require_dnsmos
from finetune.errors import ConfigError
from tests.unit.finetune.data.sounds import noise


def voiced(seconds: float) -> Samples:
    """Syllables of a buzzing throat: speech for an ear that is not particular."""
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    pitch = 120 + 30 * np.sin(2 * np.pi * 0.7 * times)
    buzz = (np.cumsum(pitch) / RATE_HZ % 1.0 < 0.08).astype(np.float64)
    throat = lfilter([1.0], np.convolve([1, -1.8, 0.9], [1, -1.2, 0.85]), buzz - buzz.mean())
    return (0.3 * throat / np.abs(throat).max() * (np.sin(2 * np.pi * 3 * times) > -0.5)).astype(np.float32)


def test_noise_behind_speech_is_heard_and_scores_are_from_one_to_five():
    path = require_dnsmos("filters")
    clean = voiced(4.6)
    scores = dnsmos(clean, path), dnsmos(clean + noise(4.6, -30.0), path)
    assert scores[0].background > scores[1].background + 0.3
    for score in scores:
        assert all(0.5 < value < 5.0 for value in (score.signal, score.background, score.overall))


def test_short_sound_is_heard_as_often_as_it_takes():
    path = require_dnsmos("filters")
    sound = voiced(2.3)
    assert dnsmos(sound, path).overall == pytest.approx(dnsmos(np.tile(sound, 2), path).overall, abs=0.1)


def test_weights_that_are_not_there_are_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "dnsmos_path", lambda: None)
    with pytest.raises(ConfigError, match="zeng\\[quality\\]"):
        require_dnsmos("filters.dnsmos_min")
