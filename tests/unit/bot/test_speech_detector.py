"""`SpeechDetector`: frames of any size in, probabilities of windows out; the model is asked where it is needed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.speech_detector import WINDOW_SAMPLES, SpeechDetector

SILENCE = bytes(2 * WINDOW_SAMPLES)


def loud(value: int = 8000) -> bytes:
    return np.full(WINDOW_SAMPLES, value, np.int16).tobytes()


class Listener:
    """A model that remembers what it was given and counts in its state."""

    def __init__(self) -> None:
        self.windows: list[float] = []
        self.contexts: list[float] = []
        self.states: list[float] = []

    async def score(self, window, state):
        self.contexts.append(float(window[0, 0]))
        self.windows.append(float(window[0, 64]))
        self.states.append(float(state[0, 0, 0]))
        return abs(float(window[0, 64])), state + 1


async def test_silence_is_not_scored_and_is_no_speech() -> None:
    model = Listener()
    detector = SpeechDetector(model)

    assert await detector.feed(SILENCE * 50, speaking=False) == [0.0] * 50
    assert model.windows == []


async def test_the_model_hears_the_half_second_before_the_first_loud_window_from_a_clear_state() -> None:
    model = Listener()
    detector = SpeechDetector(model)
    await detector.feed(SILENCE * 50, speaking=False)

    assert await detector.feed(loud(), speaking=False) == [pytest.approx(8000 / 32768)]
    assert model.windows == pytest.approx([0.0] * 16 + [8000 / 32768])
    assert model.states == list(range(17))


async def test_a_window_comes_with_the_end_of_the_one_before() -> None:
    model = Listener()
    detector = SpeechDetector(model)

    await detector.feed(loud(8000) + loud(4000), speaking=True)

    assert model.contexts == pytest.approx([0.0, 8000 / 32768])


async def test_clear_silence_clears_the_state_but_not_while_the_caller_speaks() -> None:
    quiet_but_open = loud(10)  # loud enough for the gate of a silent line, clearly no speech for the model
    model = Listener()
    detector = SpeechDetector(model)
    await detector.feed(loud(40) * 70, speaking=True)
    assert max(model.states) == 69

    await detector.feed(loud(60), speaking=False)
    await detector.feed(quiet_but_open, speaking=False)

    assert model.states[-1] == 0


@given(st.lists(st.integers(1, 3000), max_size=20))
async def test_streamed_equals_whole(cuts: list[int]) -> None:
    speech = (np.random.default_rng(1).normal(0, 3000, 20 * WINDOW_SAMPLES)).astype(np.int16).tobytes()
    whole, streamed = SpeechDetector(Listener()), SpeechDetector(Listener())
    expected = await whole.feed(speech, speaking=False)

    heard: list[float] = []
    start = 0
    for cut in (*cuts, len(speech)):
        heard += await streamed.feed(speech[start : start + cut], speaking=False)
        start += cut

    assert heard == expected
