"""A speech server alone under load: any OpenAI-compatible `/v1/audio/speech`, or our WebSocket."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import asdict, dataclass
from typing import Literal

import httpx
import numpy as np
from pydantic import BaseModel, ConfigDict

from bot.loadtest.percentiles import summarise
from bot.loadtest.results import SummaryRecord
from tts_engine.client import SpeechClient
from tts_engine.errors import SpeechError
from tts_engine.protocol import SpeechRequest

_BYTES_PER_S = 48_000  # PCM16 at 24 kHz, as OpenAI's `pcm` is
_TEXTS = (
    "Salam! Sağlam Ailə klinikasıdır.",
    "Bazar ertəsindən cümə gününə qədər saat doqquzdan on səkkizə kimi işləyirik.",
    "Qəbula yazılmaq üçün bir, iş saatları üçün iki düyməsini basın.",
    "Nömrəniz sıfır əlli, yüz iyirmi üç, qırx beş, altmış yeddi. Düzdür?",
)
Speak = Callable[[str], AsyncGenerator[bytes, None]]


@dataclass(frozen=True, slots=True)
class SpeechLoad:
    """What to ask, and how much; `rate_per_s` above zero is an open loop of Poisson arrivals."""

    url: str
    protocol: Literal["openai", "zeng"] = "openai"
    streams: int = 1
    rate_per_s: float = 0.0
    seconds: float = 20.0
    model: str = "tts-1"
    voice: str = "alloy"
    texts: tuple[str, ...] = ()
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Utterance:
    """One answer as a caller hears it who begins to listen at the first audio."""

    first_audio_s: float
    audio_s: float
    took_s: float
    underrun_s: float  # silence that the listener had, in all


class SpeechReport(BaseModel):
    """What was found."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    url: str
    protocol: str
    streams: int
    rate_per_s: float
    utterances: int
    failed: int
    first_audio_ms: SummaryRecord | None
    underrun_share: float  # of utterances with any over 10 ms
    audio_s_per_s: float
    most_at_once: int


class Listener:
    """Counts an utterance's audio against the clock: what a listener would have had to wait for."""

    def __init__(self, *, asked_at: float) -> None:
        self._asked_at = asked_at
        self._first_at: float | None = None
        self._audio_s = 0.0
        self._underrun_s = 0.0

    def take(self, size_bytes: int, *, now: float) -> None:
        """Take a chunk that has come."""
        if self._first_at is None:
            self._first_at = now
        dry_at = self._first_at + self._audio_s + self._underrun_s
        if self._audio_s:
            self._underrun_s += max(0.0, now - dry_at)
        self._audio_s += size_bytes / _BYTES_PER_S

    def utterance(self, *, now: float) -> Utterance | None:
        """What it was; None where no audio came."""
        if self._first_at is None:
            return None
        return Utterance(self._first_at - self._asked_at, self._audio_s, now - self._asked_at, self._underrun_s)


async def run_speech_load(load: SpeechLoad) -> SpeechReport:
    """Hold the load for its seconds, then wait for what is under way."""
    texts = load.texts or _TEXTS
    dice = random.Random(load.seed)  # noqa: S311  # to be had again
    done: list[Utterance] = []
    failed = at_once = most = 0

    async def one(speak: Speak, text: str) -> None:
        nonlocal failed, at_once, most
        at_once += 1
        most = max(most, at_once)
        listener = Listener(asked_at=time.monotonic())
        try:
            async with aclosing(speak(text)) as audio:
                async for chunk in audio:
                    listener.take(len(chunk), now=time.monotonic())
        except (httpx.HTTPError, SpeechError):
            failed += 1
        else:
            utterance = listener.utterance(now=time.monotonic())
            failed += utterance is None
            done.extend([utterance] if utterance is not None else [])
        finally:
            at_once -= 1

    async def loop(speak: Speak) -> None:
        await one(speak, dice.choice(texts))
        while time.monotonic() - began < load.seconds:
            await one(speak, dice.choice(texts))

    async with AsyncExitStack() as stack:
        speak = await _speaker(load, stack)
        began = time.monotonic()
        if load.rate_per_s:
            tasks: list[asyncio.Task[None]] = []
            while time.monotonic() - began < load.seconds:
                await asyncio.sleep(dice.expovariate(load.rate_per_s))
                tasks.append(asyncio.create_task(one(speak, dice.choice(texts))))
            await asyncio.gather(*tasks)
        else:
            await asyncio.gather(*(loop(speak) for _ in range(load.streams)))
    took = time.monotonic() - began
    first = summarise([1000 * one.first_audio_s for one in done], np.random.default_rng(load.seed))
    return SpeechReport(
        url=load.url, protocol=load.protocol, streams=load.streams, rate_per_s=load.rate_per_s, utterances=len(done),
        failed=failed, first_audio_ms=SummaryRecord.model_validate(asdict(first)) if first else None,
        underrun_share=sum(one.underrun_s > 0.01 for one in done) / len(done) if done else 0.0,
        audio_s_per_s=sum(one.audio_s for one in done) / took, most_at_once=most,
    )  # fmt: skip


async def _speaker(load: SpeechLoad, stack: AsyncExitStack) -> Speak:
    if load.protocol == "zeng":
        ours = await stack.enter_async_context(SpeechClient(load.url))
        return lambda text: _by_websocket(ours, text)
    client = httpx.AsyncClient(base_url=load.url, timeout=60.0, trust_env=False)
    return _by_http(await stack.enter_async_context(client), load)


def _by_http(client: httpx.AsyncClient, load: SpeechLoad) -> Speak:
    async def speak(text: str) -> AsyncGenerator[bytes, None]:
        body = {"model": load.model, "voice": load.voice, "input": text, "response_format": "pcm"}
        async with client.stream("POST", "/v1/audio/speech", json=body) as answer:
            answer.raise_for_status()
            async for chunk in answer.aiter_bytes():
                if chunk:
                    yield chunk

    return speak


async def _by_websocket(client: SpeechClient, text: str) -> AsyncGenerator[bytes, None]:
    async with aclosing(client.speak(SpeechRequest(text=text))) as audio:
        async for chunk in audio:
            yield chunk


def speech_table(report: SpeechReport) -> str:
    """As Markdown."""
    first = report.first_audio_ms
    load = f"{report.rate_per_s:g}/s" if report.rate_per_s else str(report.streams)
    cells = (
        load, str(report.most_at_once), str(report.utterances), str(report.failed),
        *((f"{rank.value:.0f}" for rank in (first.p50, first.p95, first.p99)) if first else "–––"),
        f"{100 * report.underrun_share:.1f} %", f"{report.audio_s_per_s:.1f}",
    )  # fmt: skip
    head = "| load | most at once | utterances | failed | first audio p50 ms | p95 | p99 | with underruns | audio s/s |"
    return f"{head}\n|---|{'--:|' * 8}\n| " + " | ".join(cells) + " |"
