"""What a speech client and the speech server say to each other: requests, turns and WebSocket messages.

The names are OpenAI's (`/v1/audio/speech`) and vLLM-Omni's (`/v1/audio/speech/stream`); ours are
`input.cancel`, `conversation`, `turn_id` and `context_used`. docs/wire-protocol.md has the whole
picture. Audio is PCM16, little-endian, mono. Fields that are not known are refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias, TypeVar

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator
from pydantic import model_validator as _model_validator

from tts_engine.errors import SpeechRequestError

STREAM_PATH = "/v1/audio/speech/stream"
TRY_AGAIN_LATER = 1013  # close code of a server without a free place (IANA's WebSocket registry)
SAMPLE_RATE_HZ = 24_000  # of every backend; a server converts at its own edge
BYTES_PER_SECOND = SAMPLE_RATE_HZ * 2
MAX_TEXT_CHARS = 4096  # OpenAI's limit
MAX_TURN_AUDIO_BYTES = 2 * 1024 * 1024  # 65 s at 16 kHz
MAX_EXPLICIT_TURNS = 64
MAX_TOP_K = 64  # candidates that an engine keeps of each code, whatever is asked: its shapes do not depend on a request
DEFAULT_CONTEXT_S = 40.0

# Safe in URLs, Redis keys and logs.
IDENTIFIER_PATTERN = r"^[A-Za-z0-9._:-]{1,128}$"
Identifier: TypeAlias = Annotated[str, Field(pattern=IDENTIFIER_PATTERN)]
Seed: TypeAlias = Annotated[int, Field(ge=0, lt=2**63)]
Temperature: TypeAlias = Annotated[float, Field(ge=0.0, le=2.0)]
TopK: TypeAlias = Annotated[int, Field(ge=1, le=MAX_TOP_K)]
Speed: TypeAlias = Annotated[float, Field(ge=0.25, le=4.0)]
SampleRate: TypeAlias = Literal[8_000, 16_000, 24_000]
ErrorCode: TypeAlias = Literal["invalid_request", "invalid_state", "at_capacity", "unavailable", "engine_error"]


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64")


class TurnAudio(_Message):
    """What was spoken in a turn; `data` is base64 in JSON."""

    data: bytes = Field(max_length=MAX_TURN_AUDIO_BYTES, repr=False)
    sample_rate: SampleRate = 16_000
    format: Literal["pcm16"] = "pcm16"

    @field_validator("data")
    @classmethod
    def _is_whole_samples(cls, data: bytes) -> bytes:
        if len(data) % 2:
            raise ValueError("PCM16 has two bytes a sample; send an even number of bytes")
        return data

    @property
    def duration_s(self) -> float:
        """Length of the audio."""
        return len(self.data) / 2 / self.sample_rate


class ConversationTurn(_Message):
    """One turn of a conversation: the caller's (`user`), or one that the bot spoke (`assistant`).

    The user's replaces the one kept under its `turn_id`; without audio only its text, and the codes stay. The
    assistant's continues it, unless it is what that ends with already.
    """

    turn_id: Identifier
    role: Literal["user", "assistant"] = "user"
    text: str = Field(max_length=MAX_TEXT_CHARS, repr=False)  # personal
    audio: TurnAudio | None = None


class ConversationContext(_Message):
    """Which conversation a request belongs to, and what of it the voice may hear.

    `auto`: the server keeps the turns and remembers this one; an unknown `id` is an empty context.
    `explicit`: the voice hears `turns` only, and this one is remembered. `none`: it hears nothing
    and nothing is remembered. Requests that repeat a `turn_id` continue that turn.
    """

    id: Identifier
    turn_id: Identifier | None = None  # None: the server names it
    mode: Literal["auto", "explicit", "none"] = "auto"
    max_context_s: float = Field(default=DEFAULT_CONTEXT_S, ge=0.0, le=160.0)
    turns: tuple[ConversationTurn, ...] = Field(default=(), max_length=MAX_EXPLICIT_TURNS)

    @_model_validator(mode="after")
    def _has_turns_only_if_explicit(self) -> ConversationContext:
        if self.turns and self.mode != "explicit":
            raise ValueError(f"turns are read with mode 'explicit' only, not {self.mode!r}")
        return self


class SpeechRequest(_Message):
    """One thing to say. `text` is personal and already fit to be spoken (numbers as words)."""

    text: str = Field(min_length=1, max_length=MAX_TEXT_CHARS, repr=False)
    model: str | None = None  # None: the one that is served
    voice: str = ""  # empty: the server's own
    language: str = ""  # empty: the voice's
    speed: Speed = 1.0
    seed: Seed | None = None
    temperature: Temperature | None = None  # None: the server's; 0: always the likeliest
    top_k: TopK | None = None  # None: the server's
    max_new_tokens: int | None = Field(default=None, ge=1, le=2048)  # codec frames of 80 ms
    conversation: ConversationContext | None = None

    @field_validator("text")
    @classmethod
    def _is_speakable(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("there is nothing to say: send at least one character that is not a space")
        if "\0" in text:
            raise ValueError("text holds a NUL character; remove it")
        return text


class ContextUsed(_Message):
    """What of the conversation the voice heard before it spoke."""

    turns: int = 0
    seconds: float = 0.0
    cached_frames: int = 0  # codec frames that were not computed again


class HeardUpdate(_Message):
    """How much of an assistant's turn the caller heard before barging in."""

    heard_s: float = Field(ge=0.0, le=3600.0)


class SessionConfig(_Message):
    """Settings of a session, kept until the next `session.config`; taken between utterances only."""

    type: Literal["session.config"] = "session.config"
    model: str | None = None
    voice: str = Field(default="", validation_alias=AliasChoices("voice", "speaker"))
    language: str = ""
    instructions: str | None = None  # taken for OpenAI's sake; no backend follows it
    response_format: Literal["pcm"] = "pcm"
    stream_audio: Literal[True] = True
    split_granularity: Literal["none"] = "none"
    sample_rate: SampleRate = SAMPLE_RATE_HZ
    speed: Speed = 1.0
    seed: Seed | None = None
    temperature: Temperature | None = None
    top_k: TopK | None = None
    max_new_tokens: int | None = Field(default=None, ge=1, le=2048)
    conversation: ConversationContext | None = None

    def request(self, text: str) -> SpeechRequest:
        """Make the request that `text` is under these settings; raises `SpeechRequestError`."""
        try:
            return SpeechRequest(
                text=text,
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
            raise blame(error) from None

    @classmethod
    def of(cls, request: SpeechRequest) -> SessionConfig:
        """Make the settings under which a session speaks `request`."""
        return cls.model_validate(request.model_dump(exclude={"text"}))


class InputText(_Message):
    """A piece of the text; pieces are joined as they are."""

    type: Literal["input.text"] = "input.text"
    text: str = Field(max_length=MAX_TEXT_CHARS, repr=False)


class InputDone(_Message):
    """The text is complete: speak it."""

    type: Literal["input.done"] = "input.done"


class InputCancel(_Message):
    """Stop speaking at once and drop all text that was sent (barge-in)."""

    type: Literal["input.cancel"] = "input.cancel"


class SessionClose(_Message):
    """End the connection."""

    type: Literal["session.close"] = "session.close"


ClientMessage: TypeAlias = SessionConfig | InputText | InputDone | InputCancel | SessionClose


class AudioStart(_Message):
    """The utterance was admitted; binary frames of PCM16 follow."""

    type: Literal["audio.start"] = "audio.start"
    utterance_index: int
    sentence_index: int = 0
    sentence_text: str = Field(repr=False)
    format: Literal["pcm"] = "pcm"
    sample_rate: int
    turn_id: str


class AudioDone(_Message):
    """No more audio of this utterance."""

    type: Literal["audio.done"] = "audio.done"
    utterance_index: int
    sentence_index: int = 0
    turn_id: str
    total_bytes: int
    duration_s: float
    error: bool = False
    cancelled: bool = False
    truncated: bool = False  # the voice was stopped by a limit of frames before it had come to its end
    context_used: ContextUsed = ContextUsed()


class SessionDone(_Message):
    """The utterance is over, whatever came of it; the connection takes the next."""

    type: Literal["session.done"] = "session.done"
    utterance_index: int
    total_sentences: int


class ErrorMessage(_Message):
    """Something failed. `param` names the wrong field; `retry_after_s` comes with `at_capacity`."""

    type: Literal["error"] = "error"
    message: str
    code: ErrorCode
    param: str | None = None
    retry_after_s: float | None = None


ServerMessage: TypeAlias = AudioStart | AudioDone | SessionDone | ErrorMessage

_CLIENT_MESSAGE: TypeAdapter[ClientMessage] = TypeAdapter(Annotated[ClientMessage, Field(discriminator="type")])
_SERVER_MESSAGE: TypeAdapter[ServerMessage] = TypeAdapter(Annotated[ServerMessage, Field(discriminator="type")])
_Model = TypeVar("_Model", bound=BaseModel)


def parse_client_message(text: str | bytes) -> ClientMessage:
    """Read what a client sent; raises `SpeechRequestError` that names the field."""
    try:
        return _CLIENT_MESSAGE.validate_json(text)
    except ValidationError as error:
        raise blame(error, skip=1) from None


def parse_server_message(text: str | bytes) -> ServerMessage:
    """Read what a server sent; raises `SpeechRequestError` if it is none of ours."""
    try:
        return _SERVER_MESSAGE.validate_json(text)
    except ValidationError as error:
        raise blame(error, skip=1) from None


def parse_body(model: type[_Model], body: bytes) -> _Model:
    """Read a JSON body; raises `SpeechRequestError` that names the field."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise blame(error) from None


def blame(error: ValidationError, *, skip: int = 0, renamed: Mapping[str, str] | None = None) -> SpeechRequestError:
    """Name the first fault, without what was sent: text and audio are personal.

    `skip` drops the discriminator that pydantic puts before the field's path; `renamed` gives fields the
    names that the client knows.
    """
    fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
    path = [str(part) for part in fault["loc"][skip:]]
    field = ".".join((renamed or {}).get(part, part) for part in path) or None
    if fault["type"] == "extra_forbidden":
        return SpeechRequestError(f"{field}: no such field; remove it", field=field)
    message = fault["msg"].removeprefix("Value error, ")
    return SpeechRequestError(f"{field}: {message}" if field else message, field=field)
