"""`Media`: what a signalling leg needs of the RTP beneath it; `telephony.rtp` provides it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from telephony.leg import AudioReceived, DigitReceived, FramesDropped, LegStats


@dataclass(frozen=True, slots=True)
class MediaParameters:
    """What one offer/answer exchange agreed, from our side."""

    remote_host: str
    remote_port: int
    codec: Literal["PCMU", "PCMA"]
    payload_type: int
    dtmf_payload_type: int | None = None  # RFC 4733 telephone-event at 8 kHz; None: not agreed
    ptime_ms: int = 20  # what the peer asks us to send
    send: bool = True  # False on hold
    receive: bool = True


@dataclass(frozen=True, slots=True)
class MediaTimedOut:
    """No RTP at all has come for `[rtp] silence_timeout_s` while we were to receive."""


MediaEvent: TypeAlias = AudioReceived | DigitReceived | FramesDropped | MediaTimedOut


class Media(Protocol):
    """One RTP session with its socket. All methods are called from the bot's event loop."""

    @property
    def local_host(self) -> str:
        """Address to write into SDP."""
        ...

    @property
    def local_port(self) -> int:
        """RTP port to write into SDP; RTCP is the next one."""
        ...

    @property
    def played_ms(self) -> int:
        """See `CallLeg.played_ms`."""
        ...

    def apply(self, parameters: MediaParameters) -> None:
        """Start, or take the result of a re-INVITE; the playout clock and SSRC go on."""
        ...

    async def receive(self) -> MediaEvent:
        """Wait for the next event; raises `LegEndedError` after `close()`."""
        ...

    async def play(self, pcm: bytes) -> None:
        """See `CallLeg.play`."""
        ...

    def flush(self) -> int:
        """See `CallLeg.flush`."""
        ...

    async def drain(self) -> None:
        """See `CallLeg.drain`."""
        ...

    async def send_digits(self, digits: str) -> None:
        """Send RFC 4733 events; raises `LocalProtocolError` where telephone-event was not agreed."""
        ...

    def stats(self) -> LegStats:
        """Figures so far."""
        ...

    async def close(self) -> None:
        """Send RTCP BYE, free the ports. Idempotent."""
        ...


class MediaFactory(Protocol):
    """Opens media sessions; one a process, over its port pool and media thread."""

    async def open(self) -> Media:
        """Take a port pair; raises `CapacityError` when none is free."""
        ...
