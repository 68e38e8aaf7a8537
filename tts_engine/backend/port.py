"""`Backend`: what makes the sound, as the engine sees it.

A backend is given text and the turns it may hear, and gives 24 kHz audio. It knows nothing of
clients, stores or HTTP. Its constructor takes finished parts and does no work; `start()` does.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

Role: TypeAlias = Literal["user", "assistant"]


@dataclass(frozen=True, slots=True)
class CodecFormat:
    """Shape of audio codes: frames one after another, each `codebooks` little-endian int16."""

    codebooks: int  # 32 for CSM
    frame_hz: float  # 12.5 for Mimi

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame (64 for CSM)."""
        return self.codebooks * 2


@dataclass(frozen=True, slots=True, weakref_slot=True)
class SpokenTurn:
    """One turn that a voice may hear as context: text, and its codes if the backend has a codec."""

    turn_id: str
    role: Role  # the assistant is CSM's speaker 0, the user speaker 1
    text: str  # personal
    duration_s: float
    codes: bytes = b""  # see CodecFormat
    # where the text and the codes of its second part begin, and of every later one; a space is between the texts.
    # A part is what a request said, or a piece of a text that was said in pieces
    joints: tuple[tuple[int, int], ...] = ()

    def parts(self, codec: CodecFormat | None) -> tuple[SpokenTurn, ...]:
        """Return its parts, as turns under the same name: a voice hears them as they were spoken."""
        if codec is None or not self.joints:
            return (self,)
        starts = ((0, 0), *self.joints)
        ends = (*((letter - 1, byte) for letter, byte in self.joints), (len(self.text), len(self.codes)))
        return tuple(
            SpokenTurn(
                self.turn_id,
                self.role,
                self.text[from_letter:to_letter],
                (to_byte - from_byte) / codec.frame_bytes / codec.frame_hz,
                self.codes[from_byte:to_byte],
            )
            for (from_letter, from_byte), (to_letter, to_byte) in zip(starts, ends, strict=True)
        )


@dataclass(frozen=True, slots=True)
class VoiceRequest:
    """One thing to say, as admitted: every name in it is known to the backend."""

    request_id: str  # unique in this process
    text: str  # personal; already fit to be spoken
    voice: str
    language: str
    speed: float
    seed: int | None
    max_frames: int | None  # of 80 ms; None: the backend's own cap
    context: tuple[SpokenTurn, ...]  # oldest first; the backend drops the oldest if they do not fit
    temperature: float | None = None  # None: the backend's own; one that is not random has neither
    top_k: int | None = None


@dataclass(frozen=True, slots=True)
class ContextHeard:
    """What of the context the backend used: before the first chunk, and again once more of it is known."""

    turns: int
    seconds: float
    cached_frames: int = 0


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """Some audio, and the codes that it was decoded from.

    Codes may run ahead of their audio or behind it; by the end of the stream all have come.
    """

    pcm: bytes  # PCM16, 24 kHz, mono; an even number of bytes, may be empty
    codes: bytes = b""  # whole frames; empty if the backend has no codec


@dataclass(frozen=True, slots=True)
class PartBegins:
    """What follows says the text from this letter on; the first part begins without it."""

    letter: int


@dataclass(frozen=True, slots=True)
class Truncated:
    """The last item of a stream that reached its cap of frames before its end."""


VoiceItem: TypeAlias = ContextHeard | AudioChunk | PartBegins | Truncated


@dataclass(frozen=True, slots=True)
class BackendDescription:
    """What a backend can do; does not change while it lives."""

    name: str  # espeak, torch, vllm
    model: str  # as listed by /v1/models
    voices: tuple[str, ...]  # the first is the default
    languages: tuple[str, ...]  # ISO 639; the first is the default
    speed_min: float = 1.0
    speed_max: float = 1.0
    codec: CodecFormat | None = None  # None: context is kept as text only


@dataclass(frozen=True, slots=True)
class BackendHealth:
    """Whether it can speak now, and why not."""

    ready: bool
    detail: str = ""


class Backend(Protocol):
    """One voice engine. All methods are called from one event loop; none blocks it."""

    @property
    def description(self) -> BackendDescription:
        """What it can do."""
        ...

    async def start(self) -> None:
        """Load and warm up; raises `SpeechUnavailableError` with the remedy."""
        ...

    async def close(self) -> None:
        """Stop everything it started. Idempotent."""
        ...

    def health(self) -> BackendHealth:
        """Say whether it can speak now; cheap, asked often."""
        ...

    def capacity(self) -> int:
        """How many streams it can carry at once, each faster than real time."""
        ...

    def generate(self, request: VoiceRequest) -> AsyncGenerator[VoiceItem, None]:
        """Speak. Raises `SpeechEngineError` if it fails, `SpeechUnavailableError` if it is down.

        Closing the generator, or cancelling the task that waits in it, aborts the request: the slot is
        free by the next step of the engine, and nothing more of it is computed. A consumer may stall; a
        backend that cannot wait for one keeps what it makes, within a bound of bytes, and ends that
        stream alone with `SpeechEngineError` when the bound is reached.
        """
        ...

    def read_ahead(self, voice: str, context: tuple[SpokenTurn, ...]) -> None:
        """Begin to read a context that a request is about to quote, where that makes the request faster.

        Returns at once; whether it is done, and that it may fail, is nobody's concern.
        """
        ...

    async def encode(self, pcm: bytes, sample_rate_hz: int) -> bytes:
        """Turn PCM16 into codes for `SpokenTurn.codes`; empty without a codec.

        Raises `SpeechCapacityError` if too many wait for that already.
        """
        ...
