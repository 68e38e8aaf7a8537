from __future__ import annotations

import asyncio
import json

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from tts_engine.errors import SpeechCapacityError, SpeechEngineError, SpeechRequestError, SpeechUnavailableError
from tts_engine.http_body import MAX_BODY_BYTES, error_response, read_body


def request_of(*pieces: bytes) -> Request:
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive():
        return messages.pop(0)

    return Request({"type": "http"}, receive)


async def test_a_body_is_read_whole() -> None:
    assert await read_body(request_of(b"ab", b"cd"), timeout_s=5) == b"abcd"


async def test_the_longest_body_is_taken_and_one_byte_more_is_not() -> None:
    assert len(await read_body(request_of(bytes(MAX_BODY_BYTES)), timeout_s=5)) == MAX_BODY_BYTES
    with pytest.raises(SpeechRequestError, match="4194304 bytes"):
        await read_body(request_of(bytes(MAX_BODY_BYTES), b"x"), timeout_s=5)


async def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async def receive():
        await asyncio.Event().wait()

    with pytest.raises(HTTPException) as caught:
        await read_body(Request({"type": "http"}, receive), timeout_s=0.01)
    assert (caught.value.status_code, caught.value.headers) == (408, {"connection": "close"})


async def test_a_client_that_leaves_in_the_middle_is_told_from_one_that_is_done() -> None:
    async def receive():
        return {"type": "http.disconnect"}

    with pytest.raises(ClientDisconnect):
        await read_body(Request({"type": "http"}, receive), timeout_s=5)


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        (SpeechRequestError("wrong", field="voice"), 422, None),
        (SpeechCapacityError("full", retry_after_s=2.1), 503, "3"),
        (SpeechUnavailableError("restarting"), 503, "1"),
        (SpeechEngineError("broke"), 500, None),
    ],
)
def test_an_error_is_written_as_openai_does(error, status: int, retry_after: str | None) -> None:
    response = error_response(error)

    assert (response.status_code, response.headers.get("retry-after")) == (status, retry_after)
    assert json.loads(response.body)["error"]["message"] == str(error)
