"""The bot's side of recognition: a client of OpenAI's `/v1/audio/transcriptions`."""

from __future__ import annotations

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from bot.errors import RecognitionError
from bot.recognition.settings import RecogniserSettings
from bot.recognition.wav import wav_of


class _Answer(BaseModel):
    """What is read of an answer; services add fields of their own."""

    model_config = ConfigDict(frozen=True)
    text: str


class OpenAiRecogniser:
    """Speech to text by `zeng stt serve`, vLLM serving Whisper, or any service with the same interface."""

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

    async def transcribe(self, pcm: bytes, *, hints: tuple[str, ...] = ()) -> str:
        """Read PCM16 mono at 16 kHz, up to 30 s; "" for silence, noise and what the guards threw away.

        Raises `RecognitionError`; cancelling frees the service too.

        `hints` are phrases that may have been said (never confirmations: the model then hears them everywhere).
        Not retried: the caller is waiting, and the next pause brings the next try.
        """
        fields = {
            "model": self._settings.model,
            "language": self._settings.language,
            "response_format": "json",
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
        return answer.text.strip()

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
