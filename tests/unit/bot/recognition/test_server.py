from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from bot.recognition.jobs import RecognitionLine
from bot.recognition.metrics import RecogniserMetrics
from bot.recognition.server import TranscriptionServer
from bot.recognition.settings import RecogniserServerSettings
from bot.recognition.wav import wav_of
from bot.recognition.whisper import Heard
from tests.fakes.recognition import FakeWhisper, heard

SECOND = wav_of(bytes(32_000))
URL = "/v1/audio/transcriptions"


class _Server:
    def __init__(self, result: Heard | Exception, *, limit: int = 2) -> None:
        self.model = FakeWhisper(result)
        settings = RecogniserServerSettings(queue_limit=limit, upload_limit_bytes=200_000)
        self.line = RecognitionLine(self.model, workers=1, limit=limit)
        metrics = RecogniserMetrics(line_length=lambda: self.line.length)
        self.app = TranscriptionServer(self.model, self.line, metrics, settings).app()
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://stt.test")

    async def post(self, **fields: str) -> httpx.Response:
        return await self.client.post(URL, files={"file": ("a.wav", SECOND)}, data={"model": "whisper-base", **fields})


@pytest.fixture
async def server() -> AsyncIterator[_Server]:
    made = _Server(heard("Operatorla danışmaq istəyirəm."))
    async with made.client:
        yield made
    made.model.gate.set()
    made.line.close()


async def test_the_default_answer_is_openais_json(server: _Server):
    answer = await server.post()
    assert answer.json() == {"text": "Operatorla danışmaq istəyirəm."}
    assert "queue;dur=" in answer.headers["server-timing"]
    assert "decode;dur=20.0" in answer.headers["server-timing"]


async def test_text_and_verbose_answers(server: _Server):
    assert (await server.post(response_format="text")).text == "Operatorla danışmaq istəyirəm."
    verbose = (await server.post(response_format="verbose_json", language="az")).json()
    assert (verbose["task"], verbose["language"], verbose["duration"]) == ("transcribe", "az", 1.0)
    assert verbose["segments"][0]["avg_logprob"] == -0.5
    assert verbose["segments"][0]["no_speech_prob"] == 0.0


async def test_fields_reach_the_model(server: _Server):
    await server.post(prompt="Qəbula yazılmaq.", temperature="0.4", model="whisper-1")
    asked = server.model.requests[0]
    assert (asked.prompt, asked.temperature, asked.language) == ("Qəbula yazılmaq.", 0.4, "az")
    assert len(asked.samples) == 16_000


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"stream": "true"}, 422, "stream"),
        ({"temperature": "2"}, 422, "temperature"),
        ({"temperature": "warm"}, 422, "temperature"),
        ({"response_format": "srt"}, 422, "response_format"),
        ({"language": "Azerbaijani"}, 422, "language"),
        ({"language": "ja"}, 422, "language"),
        ({"prompt": "x" * 2001}, 422, "prompt"),
        ({"model": "gpt-4o-transcribe"}, 404, "model"),
        ({"file": "a string"}, 422, "file"),
    ],
)
async def test_a_wrong_field_is_named(server: _Server, fields: dict[str, str], status: int, param: str):
    answer = await server.post(**fields)
    assert answer.status_code == status
    assert answer.json()["error"]["param"] == param
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert server.model.requests == []


@pytest.mark.parametrize(
    ("request_of", "status", "said"),
    [
        ({"data": {"model": "whisper-base"}, "files": {"none": ("a", b"?")}}, 422, "none: the audio goes"),
        ({"files": {"model": (None, "whisper-base")}}, 422, "file is missing"),
        ({"content": b"{}", "headers": {"content-type": "application/json"}}, 422, "file is missing"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data; boundary=b"}}, 400, "multipart"),
        ({"files": [("file", ("a", SECOND)), ("file", ("b", SECOND))]}, 400, "at most one file"),
        ({"files": {"file": ("a", b"?")}, "data": {"model": "whisper-base"}}, 422, "not audio"),
        ({"files": {"file": ("a", bytes(300_000))}, "data": {"model": "whisper-base"}}, 413, "up to 200000"),
    ],
)
async def test_a_broken_body_is_refused(server: _Server, request_of: dict[str, object], status: int, said: str):
    answer = await server.client.post(URL, **request_of)  # type: ignore[arg-type]  # a table of keyword arguments
    assert (answer.status_code, said in answer.json()["error"]["message"]) == (status, True)


async def test_a_field_given_twice_is_refused(server: _Server):
    files = [("model", (None, "whisper-base")), ("model", (None, "whisper-1")), ("file", ("a", SECOND))]
    answer = await server.client.post(URL, files=files)
    assert answer.json()["error"]["message"] == "model is given twice"


async def test_a_body_of_unknown_length_is_refused(server: _Server):
    async def endless() -> AsyncIterator[bytes]:
        yield b"--b\r\n"

    headers = {"content-type": "multipart/form-data; boundary=b"}
    answer = await server.client.post(URL, content=endless(), headers=headers)
    assert answer.status_code == 411


async def test_doubted_text_is_empty_and_says_why():
    server = _Server(heard("Altyazı M.K."))
    answer = await server.post(response_format="verbose_json")
    assert answer.json()["text"] == ""
    assert answer.json()["segments"] == []
    assert answer.headers["x-doubt"] == "subtitle"
    assert 'zeng_stt_doubted_total{reason="subtitle"} 1.0' in (await server.client.get("/metrics")).text
    server.line.close()


async def test_a_full_line_answers_503_with_a_time(server: _Server):
    server.model.gate.clear()
    waiting = [asyncio.create_task(server.post()) for _ in range(2)]
    assert await asyncio.to_thread(server.model.started.acquire, timeout=5)
    async with asyncio.timeout(5):
        while server.line.length < 2:
            await asyncio.sleep(0)
    answer = await server.post()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["error"]["type"] == "server_error"
    assert (await server.client.get("/readyz")).status_code == 503
    server.model.gate.set()
    assert [one.status_code for one in await asyncio.gather(*waiting)] == [200, 200]
    page = (await server.client.get("/metrics")).text
    assert 'zeng_stt_requests_total{outcome="ok"} 2.0' in page
    assert 'zeng_stt_requests_total{outcome="busy"} 1.0' in page


async def test_a_failing_model_is_a_500_and_counted():
    server = _Server(RuntimeError("broken"))
    assert (await server.post()).status_code == 500
    assert 'zeng_stt_requests_total{outcome="failed"} 1.0' in (await server.client.get("/metrics")).text
    server.line.close()


async def test_a_caller_who_hangs_up_frees_the_model(server: _Server):
    server.model.gate.clear()
    job = asyncio.create_task(_post_and_hang_up(server))
    assert await asyncio.to_thread(server.model.stopped.acquire, timeout=5)
    assert await job == 499
    assert 'zeng_stt_requests_total{outcome="gone"} 1.0' in (await server.client.get("/metrics")).text


async def test_a_caller_who_hangs_up_within_the_upload_is_gone_and_no_fault_of_ours(server: _Server):
    assert await _post_and_hang_up(server, whole=False) == 499
    page = (await server.client.get("/metrics")).text
    assert 'zeng_stt_requests_total{outcome="gone"} 1.0' in page
    assert 'outcome="failed"' not in page


async def _post_and_hang_up(server: _Server, *, whole: bool = True) -> int:
    """Speak ASGI by hand: the body, then a disconnect once the model works on it; or half the body, and at once."""
    request = httpx.Request(
        "POST", f"http://stt.test{URL}", files={"file": ("a.wav", SECOND)}, data={"model": "whisper-base"}
    )
    body = request.read()
    bodies = [{"type": "http.request", "body": body if whole else body[: len(body) // 2], "more_body": not whole}]
    statuses: list[int] = []

    async def receive() -> dict[str, object]:
        if bodies:
            return bodies.pop()
        if whole:
            await asyncio.to_thread(server.model.started.acquire, timeout=5)
        return {"type": "http.disconnect"}

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])  # type: ignore[arg-type]  # ASGI says that it is an int

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": URL,
        "raw_path": URL.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
    }
    await server.app(scope, receive, send)  # type: ignore[arg-type]  # the same
    return statuses[0]


async def test_health_and_models(server: _Server):
    assert (await server.client.get("/livez")).text == "ok"
    assert (await server.client.get("/readyz")).text == "ready"
    assert (await server.client.get("/v1/models")).json()["data"][0]["id"] == "whisper-base"
