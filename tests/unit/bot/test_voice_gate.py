"""`VoiceGate`: which windows are worth the speech model."""

from __future__ import annotations

import math

import pytest

from bot.voice_gate import VoiceGate

HISS = (-45.0, -45.4, -44.7, -45.1)


def fed(gate: VoiceGate, *levels_db: float, probability: float = 0.0, speaking: bool = False) -> list[bool]:
    heard: list[bool] = []
    for level_db in levels_db:
        heard.append(gate.hears(level_db))
        if heard[-1]:
            gate.scored(probability, speaking=speaking)
    return heard


@pytest.mark.parametrize("level_db", [-math.inf, -90.0, -66.0])
def test_a_silent_line_needs_no_model(level_db: float) -> None:
    assert not any(fed(VoiceGate(), *[level_db] * 100))


def test_a_line_that_hisses_evenly_needs_the_model_only_until_its_noise_is_known() -> None:
    gate = VoiceGate()
    fed(gate, *HISS * 8)

    assert not any(fed(gate, *HISS * 25))


def test_the_first_window_over_the_noise_is_heard() -> None:
    gate = VoiceGate()
    fed(gate, *HISS * 16)

    assert fed(gate, -45.0, -41.0) == [False, True]


def test_once_open_it_stays_open_for_a_while_after_the_last_loud_window() -> None:
    gate = VoiceGate()
    fed(gate, *[-70.0] * 64)

    assert fed(gate, -30.0, *[-70.0] * 20) == [True] * 11 + [False] * 10


def test_what_the_model_takes_for_a_voice_is_heard_out_however_quiet() -> None:
    gate = VoiceGate()
    fed(gate, *[-70.0] * 64)
    fed(gate, -30.0)

    assert all(fed(gate, *[-70.0] * 40, probability=0.3))


def test_a_caller_who_speaks_is_heard_to_the_end() -> None:
    gate = VoiceGate()
    fed(gate, *[-70.0] * 64)
    fed(gate, -30.0)

    assert all(fed(gate, *[-70.0] * 40, speaking=True))


def test_speech_that_goes_on_does_not_become_the_noise() -> None:
    gate = VoiceGate()
    words = (-20.0, -18.0, -25.0, -60.0) * 50  # a stop, or a breath, in each

    fed(gate, *words, probability=0.9, speaking=True)
    fed(gate, *[-70.0] * 10)

    assert not gate.is_open
    assert fed(gate, -40.0) == [True]
