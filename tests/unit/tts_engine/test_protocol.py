from __future__ import annotations

import base64
import json

import pytest

from tts_engine.errors import SpeechRequestError
from tts_engine.protocol import (
    MAX_TEXT_CHARS,
    AudioDone,
    AudioStart,
    ContextUsed,
    ConversationContext,
    ConversationTurn,
    ErrorMessage,
    InputCancel,
    InputDone,
    InputText,
    SessionClose,
    SessionConfig,
    SessionDone,
    SpeechRequest,
    TurnAudio,
    parse_body,
    parse_client_message,
    parse_server_message,
)

CLIENT_MESSAGES = [
    SessionConfig(voice="az", speed=1.5, conversation=ConversationContext(id="call-1", turn_id="t1")),
    InputText(text="Salam, necəsiniz?"),
    InputDone(),
    InputCancel(),
    SessionClose(),
]
SERVER_MESSAGES = [
    AudioStart(utterance_index=0, sentence_text="Salam", sample_rate=24_000, turn_id="t1"),
    AudioDone(utterance_index=0, turn_id="t1", total_bytes=2, duration_s=0.1, context_used=ContextUsed(turns=2)),
    SessionDone(utterance_index=0, total_sentences=1),
    ErrorMessage(message="full", code="at_capacity", retry_after_s=1.5),
]


def refusal(body: str, model: type | None = None) -> SpeechRequestError:
    with pytest.raises(SpeechRequestError) as caught:
        parse_body(model, body.encode()) if model is not None else parse_client_message(body)
    return caught.value


@pytest.mark.parametrize("message", CLIENT_MESSAGES, ids=lambda m: m.type)
def test_a_client_message_survives_the_wire(message) -> None:
    assert parse_client_message(message.model_dump_json()) == message


@pytest.mark.parametrize("message", SERVER_MESSAGES, ids=lambda m: m.type)
def test_a_server_message_survives_the_wire(message) -> None:
    assert parse_server_message(message.model_dump_json()) == message


def test_an_unknown_field_is_refused_by_its_path() -> None:
    error = refusal('{"type": "session.config", "conversation": {"id": "a", "tempo": 1}}')

    assert error.field == "conversation.tempo"
    assert str(error) == "conversation.tempo: no such field; remove it"


def test_an_unknown_type_is_refused_with_the_known_ones() -> None:
    assert "input.cancel" in str(refusal('{"type": "input.audio"}'))


def test_what_is_not_json_is_refused() -> None:
    assert "Invalid JSON" in str(refusal("salam"))


def test_a_server_that_speaks_another_protocol_is_found_out() -> None:
    with pytest.raises(SpeechRequestError):
        parse_server_message('{"type": "hello"}')


def test_a_refusal_does_not_repeat_what_was_sent() -> None:
    assert "gizli" not in str(refusal('{"type": "input.text", "text": "gizli", "extra": "gizli"}'))


def test_speaker_is_another_name_for_voice() -> None:
    assert parse_client_message('{"type": "session.config", "speaker": "az+f3"}') == SessionConfig(voice="az+f3")


@pytest.mark.parametrize("name", ["", "a b", "../a", "ə", "x" * 129, "a\n"])
def test_a_name_unsafe_in_a_url_or_key_is_refused(name: str) -> None:
    assert refusal(json.dumps({"id": name}), ConversationContext).field == "id"


@pytest.mark.parametrize(
    ("text", "why"), [("", "at least 1"), (" \n", "nothing to say"), ("a\0b", "NUL"), ("a" * 4097, "4096")]
)
def test_text_that_cannot_be_spoken_is_refused(text: str, why: str) -> None:
    error = refusal(json.dumps({"text": text}), SpeechRequest)

    assert error.field == "text"
    assert why in str(error)


def test_turns_without_explicit_mode_are_refused() -> None:
    error = refusal('{"id": "c", "turns": [{"turn_id": "t1", "text": "Salam"}]}', ConversationContext)

    assert "explicit" in str(error)


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_turn_audio_takes_both_alphabets_of_base64(encode) -> None:
    pcm = bytes(range(256))
    body = json.dumps({"turn_id": "t", "text": "Bəli", "audio": {"data": encode(pcm).decode(), "sample_rate": 8000}})

    turn = parse_body(ConversationTurn, body.encode())

    assert turn.audio == TurnAudio(data=pcm, sample_rate=8000)
    assert turn.audio.duration_s == 128 / 8000


def test_half_a_sample_is_refused() -> None:
    error = refusal(json.dumps({"data": base64.b64encode(b"abc").decode()}), TurnAudio)

    assert error.field == "data"
    assert "even number of bytes" in str(error)


def test_settings_of_a_request_make_the_same_request_again() -> None:
    request = SpeechRequest(
        text="Salam", voice="az", language="az", speed=1.2, seed=7, conversation=ConversationContext(id="c")
    )

    assert SessionConfig.of(request).request("Salam") == request


def test_settings_refuse_text_that_cannot_be_spoken() -> None:
    with pytest.raises(SpeechRequestError, match="nothing to say"):
        SessionConfig().request("  ")


def test_what_was_said_is_not_shown_when_a_message_is_printed() -> None:
    said = "Mənim adım Leyla"
    turn = ConversationTurn(turn_id="t", text=said, audio=TurnAudio(data=b"ab"))
    start = AudioStart(utterance_index=0, sentence_text=said, sample_rate=24_000, turn_id="t")

    assert "Leyla" not in repr((SpeechRequest(text=said), InputText(text=said), turn, start))


def test_the_longest_text_is_taken() -> None:
    assert len(SpeechRequest(text="a" * MAX_TEXT_CHARS).text) == MAX_TEXT_CHARS
