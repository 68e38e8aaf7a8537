from __future__ import annotations

import pytest

from tests.fakes.speech import FakeBackend
from tts_engine.errors import SpeechRequestError
from tts_engine.voices import OPENAI_VOICES, check_model, check_speed, choose_language, choose_voice

VOICES = FakeBackend().description


@pytest.mark.parametrize("name", ["", *OPENAI_VOICES, "Alloy"])
def test_openai_s_names_and_none_are_the_default_voice(name: str) -> None:
    assert choose_voice(name, VOICES, "az-low") == "az-low"
    assert choose_voice(name, VOICES, "") == "az"


def test_the_backend_s_own_names_are_taken() -> None:
    assert choose_voice("az-low", VOICES, "az") == "az-low"


def test_another_name_is_refused_with_the_list() -> None:
    with pytest.raises(SpeechRequestError, match="az, az-low") as caught:
        choose_voice("zeynal", VOICES, "")
    assert caught.value.field == "voice"


@pytest.mark.parametrize(
    ("tag", "language"), [("", "az"), ("Auto", "az"), ("az-AZ", "az"), ("TR", "tr"), ("tr_TR", "tr")]
)
def test_a_language_is_found_by_its_tag(tag: str, language: str) -> None:
    assert choose_language(tag, VOICES) == language


def test_a_language_that_is_not_spoken_is_refused_with_the_list() -> None:
    with pytest.raises(SpeechRequestError, match="az, tr"):
        choose_language("fr", VOICES)


def test_a_speed_out_of_range_is_refused_with_the_range() -> None:
    check_speed(2.0, VOICES)
    with pytest.raises(SpeechRequestError, match=r"between 0\.5 and 2"):
        check_speed(0.4, VOICES)


@pytest.mark.parametrize("name", [None, "", "fake-tones", "tts-1", "tts-1-hd", "gpt-4o-mini-tts"])
def test_our_model_and_openai_s_names_are_taken(name: str | None) -> None:
    check_model(name, VOICES)


def test_another_model_is_refused_with_ours() -> None:
    with pytest.raises(SpeechRequestError, match="ask for fake-tones") as caught:
        check_model("qwen3-tts", VOICES)
    assert caught.value.field == "model"
