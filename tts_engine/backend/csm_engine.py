"""What `CsmBackend` asks of an engine that runs CSM, and what the engine says: plain PyTorch or vLLM."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from tts_engine.model.prompt import Prompt
from tts_engine.model.sampling import Sampling


@dataclass(frozen=True, slots=True)
class Job:
    """One thing to say; `key` is unique while the process lives and names it in events."""

    key: int
    prompt: Prompt
    sampling: Sampling
    max_frames: int


@dataclass(frozen=True, slots=True)
class Spoke:
    """Some frames of 80 ms: PCM16 at 24 kHz, and the codes (little-endian int16) that they were decoded from."""

    key: int
    pcm: bytes
    codes: bytes


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event of a job. `stop`: the model ended it or fell silent; `length`: it reached its cap."""

    key: int
    reason: Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Failed:
    """The last event of a job that the engine could not go on with."""

    key: int
    message: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The only event of a job for which there was no place, of an engine that several servers share."""

    key: int
    message: str


@dataclass(frozen=True, slots=True)
class Recalled:
    """How many frames of a job's prompt the engine did not have to read again. At most once, at any time."""

    key: int
    frames: int


EngineEvent: TypeAlias = Spoke | Recalled | Finished | Failed | Refused
Sink: TypeAlias = Callable[[Sequence[EngineEvent]], None]
"""Takes the events of one step. Called from the engine's own thread; must return at once."""


class CsmEngine(Protocol):
    """Thread-safe but for `start` and `close`, which may block for long."""

    @property
    def capacity(self) -> int:
        """Streams at once."""
        ...

    @property
    def failure(self) -> str:
        """Why it cannot speak now; empty if it can."""
        ...

    def start(self, sink: Sink) -> None: ...

    def close(self) -> None: ...

    def submit(self, job: Job) -> None:
        """Begin a job; raises SpeechCapacityError when every place is taken, if it is known at once (`Refused`)."""
        ...

    def abort(self, key: int) -> None:
        """Drop a job at the next step; no event follows. Of a job that is not there: nothing."""
        ...

    def read_ahead(self, prompt: Prompt) -> None:
        """Read a prompt whose beginning a job will share, if the engine keeps what it has read."""
        ...
