from __future__ import annotations

import numpy as np
import pytest

from bot.loadtest.sound import RATE_HZ, Stretch, level, levels, stretches


def tone(seconds: float, amplitude: float = 8000) -> np.ndarray:
    at = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (amplitude * np.sin(2 * np.pi * 500 * at)).astype(np.int16)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE_HZ), np.int16)


def test_a_stretch_begins_and_ends_where_the_sound_does_to_10_ms() -> None:
    found = stretches(levels(np.concatenate([silence(0.33), tone(0.5), silence(0.4)])))

    assert found == (Stretch(pytest.approx(0.33), pytest.approx(0.83)),)
    assert found[0].length_s == pytest.approx(0.5)


def test_short_pauses_are_joined_and_long_ones_are_not() -> None:
    sound = np.concatenate([tone(0.2), silence(0.15), tone(0.2), silence(0.3), tone(0.2)])

    assert [round(one.length_s, 2) for one in stretches(levels(sound))] == [0.55, 0.2]


def test_a_click_is_no_speech() -> None:
    assert stretches(levels(np.concatenate([silence(0.1), tone(0.02), silence(0.1)]))) == ()


def test_levels_are_dbfs_of_whole_windows() -> None:
    full = np.full(160, 32767, np.int16)

    assert levels(np.concatenate([full, np.zeros(200, np.int16)])) == pytest.approx([0.0, -96.0], abs=0.01)
    assert levels(np.zeros(0, np.int16)).size == 0
    assert level(full) == pytest.approx(0.0, abs=0.01)
    assert level(np.zeros(0, np.int16)) == -96.0
