"""`Dialect`: what a stream of audio says and how to say something into it, without a socket or a clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

Wire: TypeAlias = bytes | str
"""What goes over the wire: bytes of a TCP stream or binary messages, or text messages."""

RATE_HZ = 8_000
FRAME_BYTES = 320
"""20 ms of PCM16 at `RATE_HZ`."""


@dataclass(frozen=True, slots=True)
class Started:
    """The call is there. `caller` and `callee` may be empty: a PBX says what its dial plan tells it to."""

    peer_call_id: str
    caller: str = ""
    callee: str = ""
    variables: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Sound:
    """The caller's sound: PCM16 at `RATE_HZ`, of any length."""

    pcm: bytes


@dataclass(frozen=True, slots=True)
class Key:
    """A key was pressed."""

    digit: str
    duration_ms: int = 0


@dataclass(frozen=True, slots=True)
class Stopped:
    """The far side ended the call."""

    detail: str = ""


@dataclass(frozen=True, slots=True)
class Broken:
    """The stream cannot be followed any further."""

    reason: str


StreamEvent: TypeAlias = Started | Sound | Key | Stopped | Broken


class Dialect(Protocol):
    """One peer's way of speaking."""

    @property
    def name(self) -> Literal["audiosocket", "asterisk", "twilio"]:
        """What `CallInfo.transport` says."""
        ...

    @property
    def sends_silence(self) -> bool:
        """Whether the peer wants a frame every 20 ms."""
        ...

    def receive(self, data: Wire) -> list[StreamEvent]:
        """Take what came; never raises for what it holds."""
        ...

    def answer(self) -> list[Wire]:
        """Say that the call is taken."""
        ...

    def sound(self, pcm: bytes) -> list[Wire]:
        """Write 20 ms of PCM16 at `RATE_HZ`."""
        ...

    def clear(self) -> list[Wire]:
        """Have the peer drop what it has not played."""
        ...

    def digits(self, digits: str) -> list[Wire] | None:
        """Press keys; None where the peer offers no way."""
        ...

    def hang_up(self) -> list[Wire]:
        """End the call; the connection is closed after it."""
        ...
