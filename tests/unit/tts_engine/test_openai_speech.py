from __future__ import annotations

import json

import pytest

from tts_engine.errors import SpeechRequestError
from tts_engine.openai_speech import CreateSpeech
from tts_engine.protocol import ConversationContext, SpeechRequest, parse_body


def parsed(**fields) -> CreateSpeech:
    return parse_body(CreateSpeech, json.dumps({"input": "Salam", **fields}).encode())


def test_what_openai_s_client_sends_is_taken() -> None:
    asked = parsed(model="gpt-4o-mini-tts", voice="coral", instructions="Mehriban", response_format="mp3", speed=1.0)

    assert asked.request() == SpeechRequest(text="Salam", model="gpt-4o-mini-tts", voice="coral")


def test_mp3_is_the_default_as_openai_documents() -> None:
    assert parsed().response_format == "mp3"


@pytest.mark.parametrize("voice", [{"voice": "az"}, {"speaker": "az"}, {"voice": {"id": "az"}}])
def test_a_voice_is_named_in_three_ways(voice: dict) -> None:
    assert parsed(**voice).request().voice == "az"


def test_every_setting_reaches_the_request() -> None:
    asked = parsed(language="az", seed=7, max_new_tokens=100, speed=1.5, conversation={"id": "c"})

    assert asked.request() == SpeechRequest(
        text="Salam", language="az", seed=7, max_new_tokens=100, speed=1.5, conversation=ConversationContext(id="c")
    )


@pytest.mark.parametrize(
    ("fields", "streamed"),
    [
        ({}, True),
        ({"response_format": "wav"}, False),
        ({"response_format": "wav", "stream": True}, True),
        ({"response_format": "wav", "stream_format": "sse"}, True),
        ({"stream": False}, False),
    ],
)
def test_audio_is_streamed_unless_its_length_must_be_known(fields: dict, streamed: bool) -> None:
    assert parsed(**fields).streamed is streamed


def test_text_that_cannot_be_spoken_is_blamed_on_the_field_that_the_client_knows() -> None:
    with pytest.raises(SpeechRequestError, match="nothing to say") as caught:
        parsed(input="  ").request()
    assert caught.value.field == "input"


def test_what_is_said_is_not_shown_when_it_is_printed() -> None:
    assert "Leyla" not in repr(parsed(input="Mənim adım Leyla"))
