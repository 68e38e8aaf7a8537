"""The bot's side of recognition: `Recogniser`, and the one over OpenAI's `/v1/audio/transcriptions`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from bot.errors import RecognitionError
from bot.recognition.settings import RecogniserSettings
from bot.recognition.wav import RATE_HZ, wav_of


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was heard in one stretch of speech. `text` is "" for silence, noise and what the guards threw away."""

    text: str  # personal
    confidence: float | None  # 0 to 1: geometric mean of the token probabilities; None: the service does not say
    audio_s: float
    latency_s: float  # from the call to the answer


class Recogniser(Protocol):
    """Speech to text, an utterance at a time."""

    @property
    def idle(self) -> bool:
        """Whether no request is under way."""
        ...

    async def transcribe(self, pcm: bytes, *, hints: tuple[str, ...] = ()) -> Transcript:
        """Read PCM16 mono at 16 kHz, up to 30 s. Cancelling frees the service too. Raises `RecognitionError`.

        `hints` are phrases that may have been said (never confirmations: the model then hears them everywhere).
        """
        ...


class _Segment(BaseModel):
    model_config = ConfigDict(frozen=True)
    avg_logprob: float


class _Answer(BaseModel):
    """What is read of an answer, `json` or `verbose_json`; services add fields of their own."""

    model_config = ConfigDict(frozen=True)
    text: str
    segments: tuple[_Segment, ...] | None = None


class OpenAiRecogniser:
    """A `Recogniser` over `zeng stt serve`, vLLM serving Whisper, or any service with the same interface."""

    def __init__(self, client: httpx.AsyncClient, settings: RecogniserSettings) -> None:
        self._client = client
        self._settings = settings
        self._url = f"{settings.url.rstrip('/')}/audio/transcriptions"
        key = settings.api_key
        self._under_way = 0
        self._headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}

    @property
    def idle(self) -> bool:
        """Whether no request is under way."""
        return not self._under_way

    async def transcribe(self, pcm: bytes, *, hints: tuple[str, ...] = ()) -> Transcript:
        """See `Recogniser.transcribe`. Not retried: the caller is waiting, and the next pause brings the next try."""
        began = perf_counter()
        fields = {
            "model": self._settings.model,
            "language": self._settings.language,
            "response_format": self._settings.response_format,
            "temperature": "0",
        }
        prompt = prompt_of(hints, limit_chars=self._settings.hint_chars)
        if prompt:
            fields["prompt"] = prompt
        self._under_way += 1
        try:
            answer = await self._post(fields, wav_of(pcm))
        finally:
            self._under_way -= 1
        return Transcript(
            text=answer.text.strip(),
            confidence=_confidence(answer),
            audio_s=len(pcm) / 2 / RATE_HZ,
            latency_s=perf_counter() - began,
        )

    async def _post(self, fields: dict[str, str], wav: bytes) -> _Answer:
        files = {"file": ("speech.wav", wav, "audio/wav")}
        try:
            answer = await self._client.post(
                self._url, data=fields, files=files, headers=self._headers, timeout=self._settings.timeout_s
            )
            if answer.is_error:
                raise RecognitionError(f"{self._url} answered {answer.status_code}: {answer.text[:200]}")
            return _Answer.model_validate_json(answer.content)
        except httpx.TimeoutException as error:
            raise RecognitionError(f"{self._url} did not answer in {self._settings.timeout_s:g} s") from error
        except httpx.HTTPError as error:
            raise RecognitionError(f"{self._url} cannot be reached: {error or type(error).__name__}") from error
        except ValidationError as error:
            raise RecognitionError(f"{self._url} answered something that is not a transcription") from error


def open_client(settings: RecogniserSettings) -> httpx.AsyncClient:
    """Open the pool that one worker's recognisers share; no proxy, the service is ours or named in the settings."""
    limits = httpx.Limits(max_connections=settings.connections, max_keepalive_connections=settings.connections)
    return httpx.AsyncClient(limits=limits, trust_env=False)


def prompt_of(hints: tuple[str, ...], *, limit_chars: int) -> str:
    """Hints as a prompt: whole sentences, evenly taken from all of them, at most `limit_chars`.

    A state's hints come intent by intent, so the first ones alone would tell the model of one intent only. Sentences
    end in full stops: after a list with commas Whisper goes on listing.
    """
    sentences = [f"{hint.strip().rstrip('.?!,;:')}." for hint in hints if hint.strip()]
    for count in range(len(sentences), 0, -1):
        chosen = " ".join(sentences[place * len(sentences) // count] for place in range(count))
        if len(chosen) <= limit_chars:
            return chosen
    return ""


def _confidence(answer: _Answer) -> float | None:
    if answer.segments is None:
        return None
    if not answer.segments:
        return 0.0
    return math.exp(min(0.0, sum(segment.avg_logprob for segment in answer.segments) / len(answer.segments)))
