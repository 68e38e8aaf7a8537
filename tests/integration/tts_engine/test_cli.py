"""`zeng tts` as a process, with the real espeak-ng."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
import wave
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.client import connect

from tests.waiting import HUNG_S, START_S
from tts_engine.client import SpeechClient
from tts_engine.errors import SpeechUnavailableError
from tts_engine.protocol import STREAM_PATH, InputDone, InputText, SessionConfig, SpeechRequest

LONG = SpeechRequest(text="Salam, mən səsli köməkçiyəm. " * 60)


async def run(*arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tts_engine",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), START_S)
    assert process.returncode is not None
    return process.returncode, output.decode()


@asynccontextmanager
async def served(*arguments: str, stderr: int = asyncio.subprocess.DEVNULL):
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tts_engine",
        "serve",
        "--port",
        "0",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=stderr,
    )
    assert process.stdout is not None
    line = (await asyncio.wait_for(process.stdout.readline(), START_S)).decode()
    found = re.fullmatch(r"speech server ready at (http://127\.0\.0\.1:\d+)\n", line)
    assert found is not None
    try:
        yield process, found[1]
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_say_writes_a_wav_file(tmp_path: Path) -> None:
    output = tmp_path / "salam.wav"

    code, told = await run("say", "Salam, necəsiniz?", "-o", str(output))

    assert code == 0
    with wave.open(str(output)) as file:
        assert (file.getframerate(), file.getnchannels()) == (24_000, 1)
        assert 1.0 < file.getnframes() / 24_000 < 3.0
    assert re.search(r"\d\.\d\d s", told)


async def test_say_asks_a_running_server(tmp_path: Path) -> None:
    async with served() as (_, url):
        code, _ = await run("say", "Salam", "-o", str(tmp_path / "a.wav"), "--url", url, "--voice", "az+f3")
        wrong, told = await run("say", "Salam", "-o", str(tmp_path / "b.wav"), "--url", url, "--voice", "zeynal")

    assert code == 0
    assert (tmp_path / "a.wav").stat().st_size > 10_000
    assert wrong == 1
    assert "zeynal" in told


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("say", " ", "-o", "x.wav"), "nothing to say"),
        (("say", "a" * 5000, "-o", "x.wav"), "at most 4096 characters"),
        (("say", "Salam", "-o", "/nonexistent/x.wav"), "there is no folder /nonexistent"),
        (("say", "Salam", "-o", "/tmp"), "is a directory"),
        (("say", "Salam", "-o", "x.wav", "--url", "http://127.0.0.1:9"), "no speech server answers"),
        (("serve", "--port", "70000"), "tts.port"),
        (("serve", "--config", "/nonexistent.toml"), "no settings file"),
        (("serve", "--host", "192.0.2.1"), "cannot listen on 192.0.2.1"),
    ],
)
async def test_what_cannot_be_done_is_said_without_a_traceback(arguments: tuple[str, ...], why: str) -> None:
    code, told = await run(*arguments)

    assert code != 0
    assert why in " ".join(told.replace("│", " ").split())
    assert "Traceback" not in told


async def test_sigterm_lets_the_voice_finish_and_admits_nobody() -> None:
    async with served() as (process, url), SpeechClient(url, warm_links=1) as client:
        whole = sum([len(pcm) async for pcm in client.speak(LONG)])
        async with aclosing(client.speak(LONG)) as audio:
            heard = len(await anext(audio))
            process.send_signal(signal.SIGTERM)
            while await client.ready():
                pass
            with pytest.raises(SpeechUnavailableError):
                await anext(client.speak(LONG))
            async for pcm in audio:
                heard += len(pcm)

        assert heard == pytest.approx(whole, rel=0.02)
        assert await asyncio.wait_for(process.wait(), HUNG_S) == 0


async def test_only_the_url_is_on_standard_output_and_a_client_that_was_cut_is_in_the_log(monkeypatch) -> None:
    monkeypatch.setenv("ZENG_TTS__STALL_TIMEOUT_S", "0.2")
    monkeypatch.setenv("ZENG_TTS__SEND_BUFFER_BYTES", "16384")
    async with served(stderr=asyncio.subprocess.PIPE) as (process, url):
        async with connect(f"ws{url.removeprefix('http')}{STREAM_PATH}", max_queue=1, close_timeout=0.1) as lazy:
            for message in (SessionConfig(), InputText(text=LONG.text), InputDone()):
                await lazy.send(message.model_dump_json())
            assert process.stderr is not None
            log = await asyncio.wait_for(process.stderr.readuntil(b"waiting_bytes="), HUNG_S)

        process.send_signal(signal.SIGTERM)
        told, _ = await asyncio.wait_for(process.communicate(), HUNG_S)

    line = log.decode().splitlines()[-1]
    assert re.match(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z \[warning  \] slow_client_cut .* process=tts ", line)
    assert told == b""


async def test_half_a_request_does_not_hold_a_server_that_ends(monkeypatch) -> None:
    monkeypatch.setenv("ZENG_TTS__BODY_TIMEOUT_S", "600")
    async with served() as (process, url):
        address = urlsplit(url)
        _, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(b"POST /v1/audio/speech HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{")
        await writer.drain()
        async with SpeechClient(url, warm_links=0) as client:
            assert await client.ready()  # by now the half was read

        process.send_signal(signal.SIGTERM)

        # 2 s are given to what is left, what is spoken would be given 30 s
        assert await asyncio.wait_for(process.wait(), 25) == 0
        writer.close()


async def test_settings_come_from_the_file_and_the_environment(tmp_path: Path, monkeypatch) -> None:
    config = tmp_path / "zeng.toml"
    config.write_text('[sip]\nport = 5070\n[tts]\nvoice = "zeynal"\nmax_streams = 2\n')
    code, told = await run("serve", "--config", str(config))
    assert (code, "zeynal" in told) == (1, True)

    monkeypatch.setenv("ZENG_TTS__VOICE", "az+f3")
    async with served("--config", str(config)) as (_, url), SpeechClient(url) as client:
        assert await client.ready()
