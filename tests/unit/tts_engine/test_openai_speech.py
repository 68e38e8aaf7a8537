from __future__ import annotations

import json

import pytest

from tts_engine.errors import SpeechRequestError
from tts_engine.openai_speech import CreateSpeech, as_openai_names_it
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
    settings = {"language": "az", "seed": 7, "temperature": 0.5, "top_k": 9, "max_new_tokens": 100, "speed": 1.5}
    asked = parsed(**settings, conversation={"id": "c"})

    assert asked.request() == SpeechRequest(text="Salam", **settings, conversation=ConversationContext(id="c"))


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


def test_events_that_are_not_to_be_streamed_are_refused() -> None:
    with pytest.raises(SpeechRequestError, match="leave stream out") as caught:
        parsed(stream=False, stream_format="sse")
    assert caught.value.field == "stream_format"


def test_a_voice_s_blame_is_put_on_the_field_that_the_client_knows() -> None:
    assert as_openai_names_it(SpeechRequestError("too long", field="text")).field == "input"
    assert as_openai_names_it(SpeechRequestError("none such", field="voice")).field == "voice"
    assert as_openai_names_it(SpeechRequestError("what?")).field is None


def test_text_that_cannot_be_spoken_is_blamed_on_the_field_that_the_client_knows() -> None:
    with pytest.raises(SpeechRequestError, match="nothing to say") as caught:
        parsed(input="  ").request()
    assert caught.value.field == "input"


def test_what_is_said_is_not_shown_when_it_is_printed() -> None:
    assert "Leyla" not in repr(parsed(input="Mənim adım Leyla"))
