from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bot.smart_turn import SmartTurn
from tests.e2e.sound import read_wav

CLIPS = Path(__file__).parents[2] / "data" / "speech"


@pytest.fixture(scope="module")
def smart_turn() -> SmartTurn:
    return SmartTurn(threshold=0.5)


def spoken(clip: str, *, share: float = 1.0) -> bytes:
    """A clip of 8 kHz at the model's rate, up to 0.2 s after its last loud sample; or only its beginning."""
    samples, rate = read_wav(CLIPS / f"{clip}.wav")
    at = np.arange(len(samples) * 16_000 // rate) * rate / 16_000
    samples = np.interp(at, np.arange(len(samples)), samples)
    loud = np.flatnonzero(np.abs(samples) > 0.02)
    samples = samples[: int((loud[-1] + 3200) * share)]
    return (samples * 32767).astype("<i2").tobytes()


@pytest.mark.parametrize("clip", ["operator", "is-saatlari", "qebula-yazilmaq", "telefon"])
def test_a_whole_sentence_sounds_finished(smart_turn: SmartTurn, clip: str) -> None:
    assert smart_turn.finished(spoken(clip))


def test_a_sentence_cut_in_the_middle_of_a_word_does_not(smart_turn: SmartTurn) -> None:
    assert not smart_turn.finished(spoken("operator", share=0.6))


def test_more_than_the_model_hears_and_nothing_at_all_are_judged_too(smart_turn: SmartTurn) -> None:
    assert smart_turn.finished(bytes(32_000 * 20) + spoken("operator"))
    assert isinstance(smart_turn.finished(b""), bool)
