from __future__ import annotations

import pytest

from tts_engine.error_codes import (
    HTTP_STATUS,
    MAX_MESSAGE_CHARS,
    MAX_PARAM_CHARS,
    body_of,
    error_of,
    error_of_response,
    message_of,
)
from tts_engine.errors import (
    SpeechCapacityError,
    SpeechEngineError,
    SpeechError,
    SpeechRequestError,
    SpeechUnavailableError,
)
from tts_engine.protocol import ErrorMessage

ERRORS = [
    (SpeechRequestError("no such voice", field="voice"), 422),
    (SpeechCapacityError("full", retry_after_s=2.5), 503),
    (SpeechUnavailableError("restarting"), 503),
    (SpeechEngineError("broke"), 500),
]


def traits(error: SpeechError) -> tuple[object, ...]:
    return type(error), str(error), getattr(error, "field", None), getattr(error, "retry_after_s", None)


@pytest.mark.parametrize(("error", "status"), ERRORS, ids=lambda value: type(value).__name__)
def test_an_error_survives_the_websocket(error: SpeechError, status: int) -> None:
    assert traits(error_of(message_of(error))) == traits(error)


@pytest.mark.parametrize(("error", "status"), ERRORS, ids=lambda value: type(value).__name__)
def test_an_error_survives_http(error: SpeechError, status: int) -> None:
    body = body_of(error)

    assert HTTP_STATUS[body.error.code] == status
    assert traits(error_of_response(status, body.model_dump_json().encode())) == traits(error)


def test_of_what_a_client_sent_little_comes_back() -> None:
    told = message_of(SpeechRequestError("f" * 1_000_000, field="f" * 1_000_000))

    assert (len(told.message), len(told.param or "")) == (MAX_MESSAGE_CHARS, MAX_PARAM_CHARS)
    assert len(body_of(SpeechEngineError("e" * 1_000_000)).error.message) == MAX_MESSAGE_CHARS


def test_an_answer_of_something_else_on_that_port_is_unavailable() -> None:
    assert isinstance(error_of_response(502, b"<html>Bad Gateway</html>"), SpeechUnavailableError)


def test_a_message_out_of_turn_is_the_client_s_fault() -> None:
    assert isinstance(error_of(ErrorMessage(message="wait", code="invalid_state")), SpeechRequestError)


def test_capacity_without_a_hint_says_a_second() -> None:
    error = error_of(ErrorMessage(message="full", code="at_capacity"))

    assert isinstance(error, SpeechCapacityError)
    assert error.retry_after_s == 1.0
