"""A speech server alone under load: any OpenAI-compatible `/v1/audio/speech`, or our WebSocket."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import asdict, dataclass, field
from typing import Literal

import httpx
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

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
_AFTER_FAILURE_S = 0.2
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
    failures: dict[str, int] = Field(default_factory=dict[str, int])  # by cause
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


@dataclass(slots=True)
class _Tally:
    """What has come of the requests so far."""

    done: list[Utterance] = field(default_factory=list[Utterance])
    failures: Counter[str] = field(default_factory=Counter[str])
    at_once: int = 0
    most: int = 0

    async def take(self, speech: AsyncGenerator[bytes, None]) -> bool:
        """Listen to one utterance; False where it failed."""
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        listener = Listener(asked_at=time.monotonic())
        try:
            async with aclosing(speech) as audio:
                async for chunk in audio:
                    listener.take(len(chunk), now=time.monotonic())
        except (httpx.HTTPError, SpeechError) as error:
            self.failures[_cause(error)] += 1
            return False
        finally:
            self.at_once -= 1
        utterance = listener.utterance(now=time.monotonic())
        if utterance is None:
            self.failures["no audio came"] += 1
            return False
        self.done.append(utterance)
        return True


async def run_speech_load(load: SpeechLoad) -> SpeechReport:
    """Hold the load for its seconds, then wait for what is under way."""
    texts = load.texts or _TEXTS
    dice = random.Random(load.seed)  # noqa: S311  # to be had again
    tally = _Tally()

    async def loop(speak: Speak) -> None:
        while True:
            if not await tally.take(speak(dice.choice(texts))):
                await asyncio.sleep(_AFTER_FAILURE_S)
            if time.monotonic() - began >= load.seconds:
                return

    async with AsyncExitStack() as stack:
        speak = await open_speech(load, stack)
        began = time.monotonic()
        if load.rate_per_s:
            tasks: list[asyncio.Task[bool]] = []
            while time.monotonic() - began < load.seconds:
                await asyncio.sleep(dice.expovariate(load.rate_per_s))
                tasks.append(asyncio.create_task(tally.take(speak(dice.choice(texts)))))
            await asyncio.gather(*tasks)
        else:
            await asyncio.gather(*(loop(speak) for _ in range(load.streams)))
    took = time.monotonic() - began
    done = tally.done
    first = summarise([[1000 * one.first_audio_s] for one in done], np.random.default_rng(load.seed))
    return SpeechReport(
        url=load.url,
        protocol=load.protocol,
        streams=load.streams,
        rate_per_s=load.rate_per_s,
        utterances=len(done),
        failed=tally.failures.total(),
        failures=dict(tally.failures),
        first_audio_ms=SummaryRecord.model_validate(asdict(first)) if first else None,
        underrun_share=sum(one.underrun_s > 0.01 for one in done) / len(done) if done else 0.0,
        audio_s_per_s=sum(one.audio_s for one in done) / took,
        most_at_once=tally.most,
    )


def _cause(error: Exception) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"status {error.response.status_code}"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


async def open_speech(load: SpeechLoad, stack: AsyncExitStack) -> Speak:
    """Open a way to the server; PCM16 at 24 kHz comes of each text."""
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
    failures = "".join(f"\n\n{count} × {cause}" for cause, count in report.failures.items())
    return f"{head}\n|---|{'--:|' * 8}\n| " + " | ".join(cells) + " |" + failures
