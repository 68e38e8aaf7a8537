"""`zeng tts serve` with vLLM's engine on this processor, as its clients see it; and when that engine is killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket as socketlib
import subprocess
import time
from base64 import b64encode
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.fakes.tiny_csm import write_tiny_csm
from tests.fakes.vllm_environment import vllm_python, vllm_variables
from tests.waiting import HUNG_S
from tts_engine.client import SpeechClient, SpeechTimeouts
from tts_engine.errors import SpeechCapacityError, SpeechEngineError, SpeechRequestError
from tts_engine.protocol import ConversationContext, SpeechRequest

FRAME_BYTES = 3840
BLOCK = 32
EACH = 6
LONG = 400  # frames: 1.5 MB, more than all buffers between the engine and a listener that reads nothing
TIMEOUTS = SpeechTimeouts(connect_s=10, first_audio_s=60, between_chunks_s=60, cancel_s=10, request_s=30)
pytestmark = pytest.mark.timeout(900)


REPORTS_GARBAGE = """
import gc, json, os, signal
from collections import Counter

def kind(thing):
    code = getattr(thing, "f_code", None)
    what = code.co_qualname if code else getattr(thing, "__qualname__", "")
    return f"{type(thing).__module__}.{type(thing).__qualname__} {what}".strip()

def report(*_):
    before = Counter(map(kind, gc.get_objects()))
    gc.collect()
    left = before - Counter(map(kind, gc.get_objects()))
    with open(os.environ["GARBAGE"] + ".new", "w") as place:
        place.write(json.dumps(left))  # `dump` leaves a cycle itself
    os.replace(place.name, os.environ["GARBAGE"])

signal.signal(signal.SIGUSR2, report)
"""
# what the interpreter drops by itself when it walks, since it was waiting in its free lists, or is found by its count
UNNAMED = {"builtins.dict", "builtins.tuple", "builtins.list", "weakref.ReferenceType"}


@dataclass(frozen=True, slots=True)
class Server:
    url: str
    process: subprocess.Popen[str]
    garbage: Path

    def collect(self) -> dict[str, int]:
        """Have its collector walk: what it finds, by kind."""
        self.garbage.unlink(missing_ok=True)
        self.process.send_signal(signal.SIGUSR2)
        ends = time.monotonic() + HUNG_S
        while not self.garbage.exists() and time.monotonic() < ends:
            time.sleep(0.05)
        return json.loads(self.garbage.read_text())

    def ready(self) -> bool:
        return httpx.get(f"{self.url}/readyz", trust_env=False, verify=False).status_code == 200

    def sample(self, name: str) -> float:
        page = httpx.get(f"{self.url}/metrics", trust_env=False, verify=False).text
        (line,) = (line for line in page.splitlines() if line.startswith(name))
        return float(line.split()[-1])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    python, plugins = vllm_python(), tmp_path_factory.mktemp("plugins")
    (plugins / "sitecustomize.py").write_text(REPORTS_GARBAGE)
    garbage = tmp_path_factory.mktemp("garbage") / "found"
    settings = {
        "GARBAGE": str(garbage),
        "ZENG_TTS__BACKEND": "vllm",
        "ZENG_TTS__CSM__MODEL": str(write_tiny_csm(tmp_path_factory.mktemp("tiny"))),
        "ZENG_TTS__CSM__DTYPE": "float32",
        "ZENG_TTS__CSM__STREAMS": "3",
        "ZENG_TTS__CSM__POSITIONS": "512",
        "ZENG_TTS__CSM__HUNG_AFTER_S": "120",  # this machine may be busy
        "ZENG_TTS__STALL_TIMEOUT_S": "2",
        "ZENG_TTS__SEND_BUFFER_BYTES": "16384",
        "ZENG_TTS__FIRST_AUDIO_TIMEOUT_S": "60",
        "ZENG_TTS__CHUNK_TIMEOUT_S": "60",
    }
    log = tmp_path_factory.mktemp("log") / "server.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [python, "-m", "tts_engine", "serve", "--port", "0"],
            env=vllm_variables(plugins, settings),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if "ready at" in line:
                    yield Server(line.split()[-1], process, garbage)
                    process.send_signal(signal.SIGTERM)
                    assert process.wait(60) == 0, log.read_text()[-3000:]
                    return
            raise AssertionError(f"the server did not start:\n{log.read_text()[-3000:]}")
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


async def say(server: Server, *, frames: int = 6, seed: int = 1) -> bytes:
    async with (
        SpeechClient(server.url, timeouts=TIMEOUTS, warm_links=0) as client,
        aclosing(client.speak(SpeechRequest(text="Salam.", max_new_tokens=frames, seed=seed))) as audio,
    ):
        return await all_of(audio)


async def all_of(audio: AsyncGenerator[bytes, None]) -> bytes:
    return b"".join([pcm async for pcm in audio])


def same_sound(one: bytes, other: bytes) -> bool:
    """To what the order of a batch's sums makes of the last bit; the codes are the same or all is different."""
    apart = np.abs(np.frombuffer(one, "<i2").astype(int) - np.frombuffer(other, "<i2").astype(int))
    return int(apart.max()) <= 2


async def deaf_listener(server: Server) -> ClientConnection:
    """Asks for a long utterance and reads nothing of it."""
    sock = socketlib.socket()
    sock.setsockopt(socketlib.SOL_SOCKET, socketlib.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", int(server.url.rpartition(":")[2])))
    socket = await connect(f"{server.url.replace('http', 'ws')}/v1/audio/speech/stream", max_queue=1, sock=sock)
    config = {"type": "session.config", "max_new_tokens": LONG, "seed": 5}
    for message in (config, {"type": "input.text", "text": "Salam."}, {"type": "input.done"}):
        await socket.send(json.dumps(message))
    return socket


async def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.05)


async def test_the_same_seed_is_the_same_sound_alone_and_beside_others(server: Server):
    alone = await say(server, seed=7)
    beside = await asyncio.gather(*(say(server, seed=seed) for seed in (7, 8, 9)))

    assert len(alone) == 6 * FRAME_BYTES
    assert same_sound(beside[0], alone)
    assert not same_sound(beside[1], alone)


async def test_speech_comes_while_it_is_made_and_a_cancel_ends_it(server: Server):
    async with SpeechClient(server.url, timeouts=TIMEOUTS, warm_links=0) as client:
        async with aclosing(client.speak(SpeechRequest(text="Salam.", max_new_tokens=LONG, seed=5))) as audio:
            first = await anext(audio)
            assert 0 < len(first) < 50 * FRAME_BYTES
        await until(lambda: server.sample("zeng_tts_streams_active ") == 0)
        assert len(await say(server)) == 6 * FRAME_BYTES


async def test_what_is_wrong_is_named_and_costs_nobody_anything(server: Server):
    async with SpeechClient(server.url, timeouts=TIMEOUTS, warm_links=0) as client:
        with pytest.raises(SpeechRequestError, match="voice"):
            async with aclosing(client.speak(SpeechRequest(text="Salam.", voice="nobody"))) as audio:
                await anext(audio)
    refused = httpx.post(f"{server.url}/v1/audio/speech", json={"input": "Salam.", "tempo": 2}, trust_env=False)
    assert (refused.status_code, refused.json()["error"]["param"]) == (422, "tempo")
    assert len(await say(server)) == 6 * FRAME_BYTES


async def test_a_call_of_many_turns_reads_again_neither_what_was_heard_nor_what_it_said(server: Server):
    """Past the positions that there are, too: where turns go, the rest is read before the answer is asked for."""
    noise = np.random.default_rng(0).integers(-3000, 3000, 8 * 1920, np.int16).tobytes()
    asked = {"response_format": "pcm", "stream_format": "sse", "max_new_tokens": 20}
    turns: list[int] = []
    async with httpx.AsyncClient(base_url=f"{server.url}/v1/audio", trust_env=False, verify=False, timeout=60) as http:
        for n in range(5):
            audio = {"data": b64encode(noise[n * 100 :]).decode(), "sample_rate": 24_000}
            said = {"turn_id": f"u{n}", "text": "Sual.", "audio": audio}
            assert (await http.put(f"/conversations/c/turns/u{n}", json=said)).status_code == 204
            await asyncio.sleep(1)  # what a language model would take
            conversation = {"id": "c", "turn_id": f"b{n}", "max_context_s": 160}
            before_s = -1.6
            for text in ("Bəli.", "Bir an.", "Oldu."):  # sentences of one turn
                answer = await http.post("/speech", json={**asked, "input": text, "conversation": conversation})
                used = json.loads(answer.text.rpartition("data: ")[2])["context_used"]
                # whole blocks of 32 positions are kept, and who goes in the middle of a turn is not foreseen
                if used["seconds"] > before_s + 1.5:  # all that was there, and the 20 frames of the last sentence
                    assert used["cached_frames"] >= used["seconds"] * 12.5 - BLOCK, (n, text, used)
                before_s = used["seconds"]
                turns.append(used["turns"])
    assert turns[:4] == [1, 2, 2, 3]
    assert max(turns) < 9  # some went, and were not missed


async def test_no_free_place_is_said_at_once_and_who_does_not_listen_is_cut(server: Server):
    deaf = [await deaf_listener(server) for _ in range(3)]
    await until(lambda: server.sample("zeng_tts_streams_active ") == 3)

    began = time.monotonic()
    with pytest.raises(SpeechCapacityError):
        await say(server)
    assert time.monotonic() - began < 5

    await until(lambda: server.sample("zeng_tts_streams_active ") == 0)  # after stall_timeout_s
    assert len(await say(server)) == 6 * FRAME_BYTES
    for socket in deaf:
        await socket.close()


async def test_one_who_does_not_listen_slows_nobody_else(server: Server):
    deaf = await deaf_listener(server)

    assert len(await say(server, frames=40)) == 40 * FRAME_BYTES

    await deaf.close()
    await until(lambda: server.sample("zeng_tts_streams_active ") == 0)


async def test_neither_what_is_said_nor_what_is_cut_off_leaves_anything_for_the_collector(server: Server):
    """Which walks in silence only: what it alone can free is held for as long as anybody is spoken to."""
    server.collect()
    for n in range(EACH):
        long = SpeechRequest(text="Salam.", max_new_tokens=LONG, conversation=ConversationContext(id=f"g{n % 2}"))
        async with SpeechClient(server.url, timeouts=TIMEOUTS, warm_links=0) as client:
            for pieces in (3, 10_000):  # cut off; then whole, on the same connection
                request = long if pieces == 3 else long.model_copy(update={"max_new_tokens": 6})
                async with aclosing(client.speak(request)) as audio:
                    async for _ in audio:
                        if (pieces := pieces - 1) == 0:
                            break
            with pytest.raises(SpeechRequestError):
                await all_of(client.speak(long.model_copy(update={"voice": "nobody"})))
        async with httpx.AsyncClient(trust_env=False, verify=False, timeout=60) as http:
            asked = {"input": "Salam.", "max_new_tokens": LONG, "response_format": "pcm"}
            async with http.stream("POST", f"{server.url}/v1/audio/speech", json=asked) as answer:
                await anext(answer.aiter_bytes())
        torn = await deaf_listener(server)
        await torn.recv()
        torn.transport.abort()
    await until(lambda: server.sample("zeng_tts_streams_active ") == 0)
    await asyncio.sleep(0.5)  # vLLM hears of the last a little later
    found = await asyncio.to_thread(server.collect)
    assert {name: count for name, count in found.items() if count >= EACH / 2 and name not in UNNAMED} == {}


async def test_an_engine_that_is_killed_fails_its_streams_and_is_started_anew(server: Server):
    before = await say(server, seed=3)
    long = SpeechRequest(text="Salam.", max_new_tokens=LONG, seed=5)
    async with (
        SpeechClient(server.url, timeouts=TIMEOUTS, warm_links=0) as client,
        aclosing(client.speak(long)) as audio,
    ):
        await anext(audio)
        for child in engine_processes(server.process.pid):
            os.kill(child, signal.SIGKILL)
        with pytest.raises(SpeechEngineError) as failed:
            await all_of(audio)
    assert failed.value.retryable
    assert not server.ready()

    await until(server.ready, seconds=600)
    assert same_sound(await say(server, seed=3), before)


def engine_processes(server: int) -> list[int]:
    """The children of the server that run vLLM's engine."""
    found: list[int] = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
                title = (folder / "cmdline").read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if parent == server and b"EngineCore" in title:
                found.append(int(folder.name))
    assert found
    return found
