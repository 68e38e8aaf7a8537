"""Listeners in processes of their own, over a real server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import closing
from pathlib import Path

from tests.fakes.speech import FakeBackend
from tests.fakes.speech_server import speech_server
from tests.gpu.heard import Heard, Notebook
from tests.gpu.listeners import Listeners, Load, run_listeners
from tts_engine.client import SpeechClient
from tts_engine.protocol import SpeechRequest

NOWHERE = "http://127.0.0.1:9"  # discard: nobody listens there


async def test_what_all_processes_heard_is_added_up(tmp_path: Path) -> None:
    async with speech_server(FakeBackend(streams=64)) as server:
        heard = await run_listeners(Load("load", (server.url,), 16, 1.2, ramp_s=0.1), tmp_path, processes=2)

    assert (heard.processes, heard.lost) == (2, [])
    assert {each.outcome for each in heard.utterances} == {"said"}
    assert len(heard.utterances) >= 16
    assert heard.cpu_s > 0


async def test_processes_of_listeners_are_shared_out_among_servers(tmp_path: Path) -> None:
    one, two = FakeBackend(streams=64), FakeBackend(streams=64)
    async with speech_server(one) as a, speech_server(two) as b:
        heard = await run_listeners(Load("load", (a.url, b.url), 16, 1.2, ramp_s=0.1), tmp_path, processes=2)

    assert heard.lost == []
    assert min(len(one.asked), len(two.asked)) >= 8


async def test_listeners_whose_server_has_ended_are_named_with_their_last_words(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    nowhere = Load("load", (NOWHERE,), 1, 60.0, servers=(ended.pid,))

    heard = await run_listeners(nowhere, tmp_path, processes=1)

    (lost,) = heard.lost
    assert "listeners 0 (1) died" in lost
    assert "with exit code 1" in lost
    assert lost.endswith("the server has ended")


async def test_an_error_that_no_client_should_raise_is_one_utterance_that_failed(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    async def speak(client: SpeechClient, request: SpeechRequest) -> AsyncGenerator[bytes, None]:
        raise RuntimeError("nobody's fault")
        yield b""

    monkeypatch.setattr(SpeechClient, "speak", speak)
    heard = Heard()

    with closing(Notebook(tmp_path / "0.jsonl")) as notebook:
        await Listeners(Load("load", (NOWHERE,), 1, 3.0, ramp_s=0.1), notebook).run()

    heard.read(tmp_path / "0.jsonl")
    assert {each.outcome for each in heard.utterances} == {"failed"}
    assert len(heard.utterances) > 1  # the stream went on
    assert "RuntimeError: nobody's fault" in capsys.readouterr().err
