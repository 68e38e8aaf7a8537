"""`zeng loadtest tts` against a server of known delays that has nothing but `POST /v1/audio/speech`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot.errors import SettingsError
from bot.flows.loader import LIBRARY, load_flow
from bot.loadtest.references import load_references
from bot.loadtest.sources import fixed_prompts, render_sources
from bot.loadtest.speech_load import SpeechLoad, run_speech_load

pytestmark = pytest.mark.integration

FIRST_S, PAUSE_S = 0.1, 0.25
CHUNK = bytes(4800)  # 0.1 s


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: audio/pcm\r\nConnection: close\r\n\r\n")
    await asyncio.sleep(FIRST_S)
    for _ in range(2):
        writer.write(CHUNK)
        await writer.drain()
        await asyncio.sleep(PAUSE_S)
    writer.close()


@pytest.mark.parametrize("rate_per_s", [0.0, 8.0])
async def test_first_audio_and_underruns_are_the_servers_own(rate_per_s: float) -> None:
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    report = await run_speech_load(SpeechLoad(url=url, streams=2, rate_per_s=rate_per_s, seconds=0.7))
    server.close()

    assert report.failed == 0
    assert report.utterances >= 2
    assert report.first_audio_ms is not None
    assert 1000 * FIRST_S <= report.first_audio_ms.p50.value <= 1000 * FIRST_S + 150
    assert report.underrun_share == 1.0  # 0.1 s of sound, then 0.25 s of nothing


async def test_a_server_that_is_away_is_a_failure_of_each_utterance() -> None:
    report = await run_speech_load(SpeechLoad(url="http://127.0.0.1:9", seconds=0.1))

    assert report.utterances == 0
    assert report.failed >= 1
    assert list(report.failures) == ["ConnectError: All connection attempts failed"]


async def test_a_server_that_refuses_is_quoted() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    report = await run_speech_load(
        SpeechLoad(url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", seconds=0.1)
    )
    server.close()

    assert report.failures == {"status 503": report.failed}


async def test_a_flows_prompts_are_rendered_as_sources_with_their_words(tmp_path: Path) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: audio/pcm\r\nConnection: close\r\n\r\n" + CHUNK)
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    load = SpeechLoad(url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    flow = load_flow(LIBRARY / "klinika.flow.yaml")
    written = await render_sources(flow, load, tmp_path)
    server.close()

    assert {path.stem for path in written} == set(fixed_prompts(flow))
    assert len(load_references(tmp_path)) == len(written)
    with pytest.raises(SettingsError, match="cannot say disclosure"):
        await render_sources(flow, SpeechLoad(url="http://127.0.0.1:9"), tmp_path)
