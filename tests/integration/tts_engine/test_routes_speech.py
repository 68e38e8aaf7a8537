"""`POST /v1/audio/speech`, by plain HTTP."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import socket
import sys
import threading
import wave
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import av
import httpx
import numpy as np
import pytest

from tests.fakes.speech import FakeBackend, tone
from tests.fakes.speech_server import RunningServer, speech_server
from tests.waiting import HUNG_S
from tts_engine.audio_formats import _Compressed
from tts_engine.engine.engine import EngineLimits
from tts_engine.errors import SpeechRequestError, SpeechUnavailableError
from tts_engine.routes_stream import StreamLimits

PATH = "/v1/audio/speech"


def said(text: str) -> bytes:
    return b"".join(tone(text, n) for n in range(len(text)))


@asynccontextmanager
async def serving(backend: FakeBackend | None = None, **options):
    async with (
        speech_server(backend or FakeBackend(), **options) as server,
        httpx.AsyncClient(base_url=server.url, trust_env=False) as http,
    ):
        yield server, http


async def create(http: httpx.AsyncClient, **fields) -> httpx.Response:
    return await http.post(PATH, json={"input": "Salam", "voice": "alloy", "response_format": "pcm", **fields})


async def test_pcm_is_the_voice_as_it_is() -> None:
    async with serving() as (_, http):
        response = await create(http)

    assert response.status_code == 200
    assert response.headers["content-type"] == "audio/pcm"
    assert response.content == said("Salam")


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000])
@pytest.mark.parametrize("stream", [False, None, True])
async def test_a_wav_file_has_the_rate_that_was_asked_and_its_length_unless_streamed(
    rate: int, stream: bool | None
) -> None:
    async with serving() as (_, http):
        response = await create(http, response_format="wav", sample_rate=rate, stream=stream)

    with wave.open(io.BytesIO(response.content)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (rate, 1, 2)
        assert (file.getnframes() == rate * 4 // 10) is (stream is not True)
        assert len(file.readframes(rate)) == rate * 4 // 10 * 2


@pytest.mark.parametrize("audio_format", ["mp3", "opus", "aac", "flac"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_compressed_format_decodes_to_the_same_speech(audio_format: str, stream: bool) -> None:
    async with serving() as (_, http):
        response = await create(http, response_format=audio_format, stream=stream)

    with av.open(io.BytesIO(response.content)) as file:
        to_mono = av.AudioResampler(format="s16", layout="mono", rate=24_000)
        frames = [out for frame in file.decode(audio=0) for out in to_mono.resample(frame)]
    decoded = np.concatenate([frame.to_ndarray()[0] for frame in frames]).astype(float)
    original = np.frombuffer(said("Salam"), "<i2").astype(float)

    def loudest_hz(samples: np.ndarray) -> float:
        spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 1 << 17))
        return float(spectrum.argmax()) * 24_000 / (1 << 17)

    assert 0.39 < len(decoded) / 24_000 < 0.5  # encoders pad
    assert loudest_hz(decoded) == pytest.approx(loudest_hz(original), abs=3)


async def test_events_carry_the_audio_and_end_with_what_was_used() -> None:
    async with serving() as (_, http):
        response = await create(http, stream_format="sse", conversation={"id": "c", "turn_id": "b1"})

    assert response.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(line.removeprefix("data: ")) for line in response.text.split("\n") if line.startswith("data")]
    *deltas, done = events
    assert {delta["type"] for delta in deltas} == {"speech.audio.delta"}
    assert b"".join(base64.b64decode(delta["audio"]) for delta in deltas) == said("Salam")
    assert (done["type"], done["turn_id"], done["duration_s"]) == ("speech.audio.done", "b1", 0.4)


async def test_headers_name_the_turn_and_what_the_voice_heard() -> None:
    async with serving() as (_, http):
        await create(http, conversation={"id": "c", "turn_id": "b1"})
        response = await create(http, conversation={"id": "c", "turn_id": "b2"})

    headers = response.headers
    assert (headers["x-turn-id"], headers["x-context-seconds"]) == ("b2", "0.4")


async def test_audio_is_sent_before_all_of_it_is_made() -> None:
    backend = FakeBackend(hold_at=2)
    async with (
        serving(backend) as (_, http),
        http.stream("POST", PATH, json={"input": "Salam", "response_format": "pcm"}) as response,
    ):
        pieces = response.aiter_bytes()
        first = await anext(pieces)
        backend.go_on.set()
        rest = b"".join([piece async for piece in pieces])

    assert first + rest == said("Salam")
    assert first


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tempo": 2}, "tempo"),
        ({"input": "  "}, "input"),
        ({"input": "a" * 4097}, "input"),
        ({"voice": "zeynal"}, "voice"),
        ({"voice": {"name": "x"}}, "voice"),
        ({"model": "qwen3-tts"}, "model"),
        ({"speed": 9}, "speed"),
        ({"sample_rate": 44_100}, "sample_rate"),
        ({"response_format": "ogg"}, "response_format"),
        ({"conversation": {"id": "c", "mood": "auto"}}, "conversation.mood"),
        ({"temperature": 2.1}, "temperature"),
        ({"top_k": 65}, "top_k"),
        ({"stream": False, "stream_format": "sse"}, "stream_format"),
        ({"ref_audio": "http://example.org/a.wav"}, "ref_audio"),
        ({"ref_text": "Salam"}, "ref_text"),
        ({"task_type": "Base"}, "task_type"),
        ({"speaker_embedding": [0.5]}, "speaker_embedding"),
        ({"x_vector_only_mode": True}, "x_vector_only_mode"),
        ({"initial_codec_chunk_frames": 4}, "initial_codec_chunk_frames"),
        ({"word_timestamps": True}, "word_timestamps"),
        ({"extra_params": {}}, "extra_params"),
    ],
)
async def test_a_wrong_field_is_422_and_named(fields: dict, param: str) -> None:
    async with serving() as (_, http):
        response = await create(http, **fields)

    assert response.status_code == 422
    error = response.json()["error"]
    assert (error["param"], error["code"], error["type"]) == (param, "invalid_request", "invalid_request_error")


async def test_openai_s_custom_voice_object_and_vllm_omni_s_speaker_are_taken() -> None:
    backend = FakeBackend()
    async with serving(backend) as (_, http):
        assert (await create(http, voice={"id": "az-low"})).status_code == 200
        response = await http.post(PATH, json={"input": "Salam", "speaker": "az-low", "response_format": "pcm"})
        assert response.status_code == 200

    assert [asked.voice for asked in backend.asked] == ["az-low", "az-low"]


async def test_a_body_that_is_too_long_is_refused() -> None:
    async with serving() as (_, http):
        response = await http.post(PATH, content=b" " * (4 * 1024 * 1024 + 1))

    assert response.status_code == 422
    assert "4194304 bytes" in response.json()["error"]["message"]


async def test_no_free_place_is_503_with_retry_after() -> None:
    backend = FakeBackend(hold_at=0)
    async with serving(backend, limits=EngineLimits(max_streams=1, retry_after_s=1.5)) as (_, http):
        busy = asyncio.create_task(create(http))
        await backend.held.wait()

        response = await create(http)

        assert (response.status_code, response.headers["retry-after"]) == (503, "2")
        assert response.json()["error"]["code"] == "at_capacity"
        backend.go_on.set()
        assert (await busy).status_code == 200


async def test_a_failure_before_the_first_sound_is_a_status_of_its_own() -> None:
    async with serving(FakeBackend(fail_at=0)) as (_, http):
        response = await create(http)
    assert (response.status_code, response.json()["error"]["code"]) == (500, "engine_error")

    async with serving(FakeBackend(fail_at=0, fault=SpeechUnavailableError("restarting"))) as (_, http):
        response = await create(http)
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")


async def test_a_failure_after_the_first_sound_breaks_the_body_off() -> None:
    async with serving(FakeBackend(fail_at=2)) as (_, http):
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
            await create(http)


async def test_a_failure_after_the_first_sound_is_an_event_in_a_stream_of_events() -> None:
    async with serving(FakeBackend(fail_at=2)) as (_, http):
        response = await create(http, stream_format="sse")

    assert response.text.count("event: speech.audio.delta") == 2
    assert "event: error" in response.text
    assert "speech.audio.done" not in response.text


async def test_a_text_that_the_voice_cannot_say_is_blamed_on_the_field_that_the_client_knows() -> None:
    fault = SpeechRequestError("the text takes 4000 positions: split the text", field="text")
    async with serving(FakeBackend(fail_at=0, fault=fault)) as (_, http):
        response = await create(http)

    assert (response.status_code, response.json()["error"]["param"]) == (422, "input")


async def test_speech_stopped_by_a_limit_says_so_at_its_end() -> None:
    async with serving(FakeBackend(truncates=True)) as (_, http):
        response = await create(http, stream_format="sse")

    assert '"truncated": true' in response.text


@pytest.mark.parametrize("stream", [False, True])
async def test_speech_is_encoded_beside_the_server_not_in_its_way(
    stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoding, go_on = threading.Event(), threading.Event()
    flush = _Compressed.flush

    def hold(encoder: _Compressed) -> bytes:
        encoding.set()
        assert go_on.wait(HUNG_S)
        return flush(encoder)

    monkeypatch.setattr(_Compressed, "flush", hold)
    async with serving() as (_, http):
        asked = asyncio.create_task(create(http, response_format="mp3", stream=stream))
        while not encoding.is_set():
            await asyncio.sleep(0.001)
        assert (await http.get("/livez")).status_code == 200
        go_on.set()
        assert (await asked).status_code == 200


async def test_half_a_request_holds_the_server_no_longer_than_it_may() -> None:
    head = b"POST /v1/audio/speech HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{"
    async with serving(stream_limits=StreamLimits(body_timeout_s=0.05)) as (server, _):
        address = urlsplit(server.url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(head)

        answer = await asyncio.wait_for(reader.read(), HUNG_S)  # to its end: the connection is closed

        assert answer.startswith(b"HTTP/1.1 408")
        assert b"did not come within 0.05 s" in answer
        writer.close()


@pytest.mark.parametrize("audio_format", ["pcm", "opus"])
async def test_a_client_that_goes_away_stops_the_voice(audio_format: str) -> None:
    backend = FakeBackend(hold_at=2)
    async with serving(backend) as (server, http):
        async with http.stream("POST", PATH, json={"input": "Salam", "response_format": audio_format}) as response:
            pieces = response.aiter_bytes()  # held: an iterator that is let go of closes the connection
            await anext(pieces)
            await asyncio.wait_for(backend.held.wait(), HUNG_S)

        await asyncio.wait_for(server.engine.drained(), HUNG_S)

        assert len(backend.aborted) == 1


async def test_a_client_that_takes_nothing_is_cut_and_slows_nobody() -> None:
    backend = FakeBackend()
    long = json.dumps({"input": "a" * 4000, "response_format": "pcm"}).encode()  # 15 MB of audio
    limits = EngineLimits(max_streams=2)
    async with serving(backend, limits=limits, stream_limits=StreamLimits(stall_timeout_s=0.2)) as (server, http):
        reader, writer = await slow_connection(server)
        writer.write(b"POST /v1/audio/speech HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(long) + long)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")

        assert (await create(http)).content == said("Salam")
        await asyncio.wait_for(server.engine.drained(), HUNG_S)

        assert server.count("slow_clients_total") == 1
        assert len(backend.aborted) == 1
        writer.transport.abort()


async def slow_connection(server: RunningServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection with small buffers, whose reader stops after 64 KiB."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    address = urlsplit(server.url)
    sock.connect((address.hostname, address.port))
    return await asyncio.open_connection(sock=sock, limit=4096)


async def test_a_format_that_the_server_cannot_encode_is_refused_before_anything_is_spoken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    async with serving(backend := FakeBackend()) as (_, http):
        refused = await create(http, response_format="opus")

    assert (refused.status_code, refused.json()["error"]["param"]) == (422, "response_format")
    assert backend.asked == []
