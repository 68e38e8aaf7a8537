from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.recognition.guards import Doubt, Judged, judge, unrepeated


def _judge(text: str, *, audio_s: float = 2.0, lp: float = -0.6, nsp: float = 0.1, ratio: float = 1.0) -> Judged:
    return judge(text, audio_s=audio_s, avg_logprob=lp, no_speech_prob=nsp, compression_ratio=ratio)


def test_speech_passes_unchanged():
    assert _judge("Operatorla danışmaq istəyirəm.") == Judged("Operatorla danışmaq istəyirəm.")


@pytest.mark.parametrize(("nsp", "lp"), [(0.7, -1.2), (0.9, -0.3)])
def test_what_the_model_calls_silence_is_silence(nsp: float, lp: float):
    assert _judge("Çox sağ olun.", nsp=nsp, lp=lp) == Judged("", Doubt.SILENCE)


def test_a_doubtful_but_well_read_utterance_passes():
    assert _judge("Qəbula yazılmaq istəyirəm", nsp=0.73, lp=-0.8).doubt is None


@pytest.mark.parametrize(
    "phrase",
    [
        "İzlədiyiniz üçün təşəkkürlər!",
        "Altyazı M.K.",
        "altyazi",
        "MÜZİK",
        "Abone olmayı unutmayın",
        "Thanks for watching",
    ],
)
def test_subtitle_phrases_are_thrown_away(phrase: str):
    expected = Judged(phrase) if phrase == "altyazi" else Judged("", Doubt.SUBTITLE)
    assert _judge(phrase) == expected


def test_a_word_that_merely_begins_like_a_subtitle_passes():
    assert _judge("Müziklə maraqlanıram").doubt is None


@pytest.mark.parametrize("text", ["", "...", "- ! -", "Yələlələlələlə", "Pətqqqqqqqq"])
def test_what_is_no_words_is_noise(text: str):
    assert _judge(text) == Judged("", Doubt.NOISE)


def test_a_hopeless_reading_is_noise():
    assert _judge("Çalıncaq.", lp=-1.6) == Judged("", Doubt.NOISE)


@pytest.mark.parametrize(
    ("text", "once"),
    [
        ("Sağ olun Sağ olun Sağ olun Sağ olun Sa", "Sağ olun"),
        ("Saat neçədə. Saat neçədə. Saat neçədə. Saat neçədə. Saat", "Saat neçədə"),
    ],
)
def test_a_loop_too_long_for_its_sound_is_said_once(text: str, once: str):
    assert _judge(text, audio_s=0.8) == Judged(once, Doubt.LOOP)


def test_a_text_too_long_for_its_sound_that_does_not_repeat_is_thrown_away():
    assert _judge("bu qədər sözü yarım saniyədə heç kim deyə bilməz axı", audio_s=0.5) == Judged("", Doubt.LOOP)


def test_a_repetitive_text_is_a_loop_however_long_the_sound():
    assert _judge("Ən Ən Ən Ən Ən", audio_s=5) == Judged("Ən", Doubt.LOOP)
    assert _judge("Ən Ən Ən Ən Ən", audio_s=5, nsp=0.63) == Judged("", Doubt.SILENCE)
    assert _judge("salam salam", audio_s=5, ratio=2.5) == Judged("salam", Doubt.LOOP)


def test_a_loop_of_a_subtitle_is_a_subtitle():
    assert _judge("MÜZİK MÜZİK MÜZİK MÜZİK MÜ", audio_s=0.8) == Judged("", Doubt.SUBTITLE)


def test_digits_may_repeat():
    said = "beş beş beş beş yeddi sıfır sıfır"
    assert _judge(said, audio_s=3) == Judged(said)


@given(st.text(alphabet="abcəş ", min_size=1, max_size=12).map(str.strip).filter(bool), st.integers(2, 6))
def test_any_phrase_said_over_and_over_is_found(phrase: str, times: int):
    once = unrepeated(" ".join([phrase] * times))
    assert once
    assert phrase.startswith(once)


def test_a_text_without_repetition_is_nothing():
    assert unrepeated("bir iki üç") == ""
    assert unrepeated("bir bir iki") == ""
