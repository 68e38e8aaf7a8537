"""`Media`: what a signalling leg needs of the RTP beneath it; `telephony.rtp` provides it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from telephony.leg import AudioReceived, DigitReceived, FramesDropped, LegStats, ToneHeard

CodecName: TypeAlias = Literal["PCMU", "PCMA", "G722", "opus"]  # as SDP writes them
SrtpSuite: TypeAlias = Literal["AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"]
SRTP_SUITES: tuple[SrtpSuite, ...] = ("AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32")
SRTP_KEY_BYTES = 30  # master key of 128 bits and salt of 112 (RFC 4568 section 6.2)
SrtpPolicy: TypeAlias = Literal["refused", "accepted", "offered", "required"]


@dataclass(frozen=True, slots=True)
class MediaAbilities:
    """What one media session can do, and what of it we prefer; the negotiation works from it."""

    codecs: tuple[CodecName, ...] = ("PCMU", "PCMA")  # the best first
    choice: Literal["theirs", "ours"] = "theirs"  # whose order counts when the peer offers
    srtp: SrtpPolicy = "refused"
    srtp_keys: tuple[bytes, ...] = ()  # one for each of SRTP_SUITES, where `srtp` is not "refused"
    comfort_noise: bool = False  # whether we fall silent in pauses (RFC 3389), if the peer can take it


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """Keys of one agreed stream each way (RFC 4568): master key and salt, SRTP_KEY_BYTES each. Secret."""

    suite: SrtpSuite
    ours: bytes = field(repr=False)
    theirs: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class MediaParameters:
    """What one offer/answer exchange agreed, from our side."""

    remote_host: str
    remote_port: int
    codec: CodecName
    payload_type: int
    dtmf_payload_type: int | None = None  # RFC 4733 telephone-event; None: not agreed
    ptime_ms: int = 20  # what the peer asks us to send
    send: bool = True  # False on hold
    receive: bool = True
    dtmf_clock_hz: int = 8_000
    comfort_noise: bool = False  # whether both take payload type 13 in pauses (RFC 3389)
    srtp: SrtpKeys | None = None  # None: plain RTP
    voip_metrics: bool = False  # whether the peer asks for RTCP XR (RFC 3611 section 5.1)
    own_numbers: tuple[tuple[int, int], ...] = ()  # payload types of our offer, and what the answer calls them instead


@dataclass(frozen=True, slots=True)
class MediaTimedOut:
    """No RTP at all has come for `[rtp] silence_timeout_s` while we were to receive."""


@dataclass(frozen=True, slots=True)
class InbandDigit:
    """A key press heard as a tone in the audio; it may be a second report of one that came as an event."""

    digit: DigitReceived


MediaEvent: TypeAlias = AudioReceived | DigitReceived | InbandDigit | ToneHeard | FramesDropped | MediaTimedOut


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
    def abilities(self) -> MediaAbilities:
        """What may be negotiated for this session."""
        ...

    @property
    def played_ms(self) -> int:
        """See `CallLeg.played_ms`."""
        ...

    @property
    def lead_ms(self) -> int:
        """See `CallLeg.lead_ms`."""
        ...

    @property
    def queued_ms(self) -> int:
        """See `CallLeg.queued_ms`."""
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

    async def send_digits(self, digits: str, *, tones: bool = False) -> None:
        """Send key presses: RFC 4733 events where they were agreed, tones in the audio where not, or with `tones`."""
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
