"""Body of `POST /v1/audio/speech`: OpenAI's fields, vLLM-Omni's, and `conversation`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from tts_engine.audio_formats import AudioFormat
from tts_engine.errors import SpeechRequestError
from tts_engine.protocol import (
    SAMPLE_RATE_HZ,
    ConversationContext,
    SampleRate,
    Seed,
    SpeechRequest,
    Speed,
    Temperature,
    TopK,
    blame,
)

_RENAMED = {"text": "input"}  # what a request calls otherwise


class CreateSpeech(BaseModel):
    """One request. Fields that are not known are refused by name."""

    model_config = ConfigDict(frozen=True, extra="forbid", val_json_bytes="base64")

    input: str = Field(repr=False)
    model: str | None = None
    voice: str = Field(default="", validation_alias=AliasChoices("voice", "speaker"))
    instructions: str | None = None  # taken for OpenAI's sake; no backend follows it
    response_format: AudioFormat = "mp3"  # OpenAI's default
    stream: bool | None = None  # False: the whole audio at once, with its length
    stream_format: Literal["audio", "sse"] = "audio"
    sample_rate: SampleRate = SAMPLE_RATE_HZ
    speed: Speed = 1.0
    language: str = ""
    seed: Seed | None = None
    temperature: Temperature | None = None
    top_k: TopK | None = None
    max_new_tokens: int | None = Field(default=None, ge=1, le=2048)
    conversation: ConversationContext | None = None

    @field_validator("voice", mode="before")
    @classmethod
    def _named(cls, voice: Any) -> Any:  # noqa: ANN401  # whatever JSON holds
        """OpenAI's custom voices come as an object."""
        return voice["id"] if isinstance(voice, dict) and voice.keys() == {"id"} else voice

    @field_validator("stream_format")
    @classmethod
    def _streams_if_events(cls, stream_format: str, info: ValidationInfo) -> str:
        if stream_format == "sse" and info.data.get("stream") is False:
            raise ValueError("events are sent as they come; leave stream out, or ask for audio")
        return stream_format

    @property
    def streamed(self) -> bool:
        """Whether audio is sent as it comes. A WAV file says its length first, unless it is asked to stream."""
        if self.stream is not None:
            return self.stream
        return self.response_format != "wav" or self.stream_format == "sse"

    def request(self) -> SpeechRequest:
        """Make what the engine is asked; raises `SpeechRequestError`."""
        try:
            return SpeechRequest(
                text=self.input,
                model=self.model,
                voice=self.voice,
                language=self.language,
                speed=self.speed,
                seed=self.seed,
                temperature=self.temperature,
                top_k=self.top_k,
                max_new_tokens=self.max_new_tokens,
                conversation=self.conversation,
            )
        except ValidationError as error:
            raise blame(error, renamed=_RENAMED) from None


def as_openai_names_it(error: SpeechRequestError) -> SpeechRequestError:
    """Blame a field by its name in this body, where the voice knows it by another."""
    return SpeechRequestError(str(error), field=_RENAMED.get(error.field or "", error.field))
