from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from bot.errors import RecognitionError
from bot.recognition.client import OpenAiRecogniser, open_client, prompt_of
from bot.recognition.settings import RecogniserSettings
from bot.recognition.wav import wav_of

SETTINGS = RecogniserSettings(url="http://stt.test/v1/", api_key=SecretStr("secret"), timeout_s=1.5)
ONE_SECOND = b"\x01\x00" * 16_000


async def _read(answer: Callable[[httpx.Request], httpx.Response], hints: tuple[str, ...] = ()) -> str:
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        return await OpenAiRecogniser(client, SETTINGS).transcribe(ONE_SECOND, hints=hints)


async def test_only_the_text_is_read_of_an_answer():
    body = {"text": " Salam. ", "language": "az", "segments": [{"id": 0, "avg_logprob": -0.5, "tokens": []}]}
    assert await _read(lambda _: httpx.Response(200, json=body)) == "Salam."


async def test_the_request_is_openais():
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"text": ""})

    await _read(answer, hints=("qəbula yazılmaq istəyirəm?",))
    request = seen[0]
    assert str(request.url) == "http://stt.test/v1/audio/transcriptions"
    assert request.headers["authorization"] == "Bearer secret"
    assert wav_of(ONE_SECOND) in request.content
    for name, value in (("language", "az"), ("temperature", "0"), ("response_format", "json")):
        assert f'name="{name}"\r\n\r\n{value}\r\n'.encode() in request.content
    assert 'name="prompt"\r\n\r\nqəbula yazılmaq istəyirəm.\r\n'.encode() in request.content


async def test_without_hints_there_is_no_prompt():
    def answer(request: httpx.Request) -> httpx.Response:
        assert b'name="prompt"' not in request.content
        return httpx.Response(200, json={"text": ""})

    await _read(answer)


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (httpx.Response(503, text="busy"), "answered 503: busy"),
        (httpx.Response(200, text="<html>"), "not a transcription"),
        (httpx.Response(200, json={"words": []}), "not a transcription"),
    ],
)
async def test_a_bad_answer_is_a_recognition_error(response: httpx.Response, said: str):
    with pytest.raises(RecognitionError, match=said):
        await _read(lambda _: response)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (httpx.ReadTimeout(""), "did not answer in 1.5 s"),
        (httpx.ConnectError("refused"), "cannot be reached: refused"),
    ],
)
async def test_an_absent_service_is_a_recognition_error(error: httpx.HTTPError, said: str):
    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    with pytest.raises(RecognitionError, match=said) as caught:
        await _read(fail)
    assert caught.value.retryable


async def test_the_pool_is_bounded_and_asks_no_proxy():
    async with open_client(RecogniserSettings(connections=3)) as client:
        assert client.trust_env is False


def test_a_prompt_takes_phrases_of_every_intent():
    hints = tuple(f"{intent} {number}" for intent in ("book", "hours", "price") for number in range(9))
    prompt = prompt_of(hints, limit_chars=30)
    assert prompt == "book 0. hours 0. price 0."


def test_no_room_or_no_hints_is_no_prompt():
    assert prompt_of(("uzun bir cümlə",), limit_chars=3) == ""
    assert prompt_of((), limit_chars=100) == ""
    assert prompt_of((" ",), limit_chars=100) == ""


@given(st.lists(st.text(alphabet="abcə", min_size=1, max_size=20), max_size=30), st.integers(0, 200))
def test_a_prompt_is_whole_sentences_in_order_within_its_limit(hints: list[str], limit: int):
    prompt = prompt_of(tuple(hints), limit_chars=limit)
    assert len(prompt) <= limit
    sentences = [sentence.rstrip(".") for sentence in prompt.split(" ")] if prompt else []
    rest = iter(hints)
    assert all(sentence in rest for sentence in sentences)
