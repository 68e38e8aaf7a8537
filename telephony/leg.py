"""`CallLeg`: one call as the bot sees it, whatever carries it.

Audio crosses this seam as frames of exactly 20 ms, PCM16, mono, little-endian: 16 kHz from the
caller, 24 kHz to the caller. A leg converts at its own edge (8 kHz for G.711, 48 kHz for Opus).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal, Protocol, TypeAlias

FRAME_MS = 20
INPUT_RATE_HZ = 16_000
OUTPUT_RATE_HZ = 24_000
INPUT_FRAME_BYTES = INPUT_RATE_HZ * FRAME_MS // 1000 * 2  # 640
OUTPUT_FRAME_BYTES = OUTPUT_RATE_HZ * FRAME_MS // 1000 * 2  # 960


@dataclass(frozen=True, slots=True)
class CallInfo:
    """Who calls whom. `caller`, `callee` and `variables` are personal: mask them in logs."""

    call_id: str  # ours: 32 hex digits, safe in logs, file names and Redis keys
    transport: Literal["sip", "webrtc", "audiosocket", "asterisk", "twilio"]
    caller: str
    callee: str
    variables: Mapping[str, str] = field(default_factory=dict[str, str])  # e.g. diversion, pai
    placed: bool = False  # we called: whoever answers has yet to show who he is


class EndCause(Enum):
    """Why a leg ended."""

    CALLER_HUNG_UP = "caller_hung_up"  # BYE, closed peer connection
    BOT_HUNG_UP = "bot_hung_up"
    CANCELLED = "cancelled"  # the caller gave up before the answer
    REJECTED = "rejected"  # we refused
    MEDIA_TIMEOUT = "media_timeout"  # no RTP for too long
    NO_ACK = "no_ack"  # our 200 was never acknowledged
    TRANSFERRED = "transferred"
    FAILED = "failed"  # `detail` says what broke


class RejectReason(Enum):
    """What the caller is told when a call is refused; each leg maps it to its own status."""

    BUSY = "busy"  # SIP 486
    AT_CAPACITY = "at_capacity"  # SIP 503 with Retry-After
    FORBIDDEN = "forbidden"  # SIP 403
    NOT_FOUND = "not_found"  # SIP 404
    INTERNAL_ERROR = "internal_error"  # SIP 500


@dataclass(frozen=True, slots=True)
class AudioReceived:
    """One 20 ms frame from the caller; concealed and silent frames come too, so time never stops."""

    pcm: bytes  # INPUT_FRAME_BYTES of PCM16 at INPUT_RATE_HZ
    media_time_ms: int  # start of the frame, counted from the first frame of the call


@dataclass(frozen=True, slots=True)
class DigitReceived:
    """One key press, reported once, at its end or after its longest gap."""

    digit: str  # one of 0-9 * # A-D; personal
    duration_ms: int


class Tone(Enum):
    """A tone of the network or of a machine, by its sound (ITU-T E.180, T.30)."""

    BUSY = "busy"
    CONGESTION = "congestion"  # reorder, fast busy
    SPECIAL_INFORMATION = "special_information"  # three rising tones: number not in service, announcement follows
    FAX_CALLING = "fax_calling"  # CNG, 1100 Hz
    FAX_ANSWER = "fax_answer"  # CED, 2100 Hz; a modem's answer tone as well
    BEEP = "beep"  # an answering machine begins to record


@dataclass(frozen=True, slots=True)
class ToneHeard:
    """A tone was recognised in the caller's audio: once when it is certain, not again while it lasts."""

    tone: Tone
    media_time_ms: int  # of the frame that made it certain


@dataclass(frozen=True, slots=True)
class HoldChanged:
    """The caller put the call on hold (no audio flows) or took it off."""

    on_hold: bool


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A JSON text from the caller's own page (data channel); never from a telephone."""

    text: str


@dataclass(frozen=True, slots=True)
class FramesDropped:
    """The bot took frames too slowly and `count` of the oldest were discarded."""

    count: int


@dataclass(frozen=True, slots=True)
class LegEnded:
    """The last event of every leg, exactly once."""

    cause: EndCause
    detail: str = ""
    q850: int | None = field(default=None, compare=False)  # the network's own cause, where there is one


LegEvent: TypeAlias = (
    AudioReceived | DigitReceived | ToneHeard | HoldChanged | MessageReceived | FramesDropped | LegEnded
)


@dataclass(frozen=True, slots=True)
class LegStats:
    """Media figures of one leg since it was answered. Counts are packets unless named otherwise."""

    received: int = 0
    lost: int = 0
    late: int = 0  # came after their play time
    malformed: int = 0  # could not be read: no RTP, none of the call's keys, of a codec that was not agreed
    strangers: int = 0  # came from an address that is not the far end's
    concealed_ms: int = 0
    jitter_ms: float = 0.0
    playout_delay_ms: float = 0.0
    round_trip_ms: float | None = None  # from RTCP
    sent: int = 0
    unsent: int = 0  # that the system did not take
    underruns: int = 0  # frames of silence sent in the middle of bot speech
    sent_late_ms_max: float = 0.0  # worst lateness of the pacer
    codec: str = ""  # as SDP writes it; empty before the agreement
    encrypted: bool = False
    lost_there_percent: float = 0.0  # of ours, by the far end's last report
    jitter_there_ms: float = 0.0
    mos: float | None = None  # of what we hear, 1 to 4.5, by the E-model (ITU-T G.107); None: nothing heard yet
    mos_there: float | None = None  # of what the far end hears, from its reports


class CallLeg(Protocol):
    """One call. All methods are called from the bot's event loop; none blocks it."""

    @property
    def info(self) -> CallInfo:
        """Who calls whom."""
        ...

    @property
    def played_ms(self) -> int:
        """Bot audio that has left towards the caller since the answer, in ms; silence not counted."""
        ...

    async def answer(self) -> None:
        """Accept the call and start media. Raises `LegEndedError` if the caller has gone."""
        ...

    async def reject(self, reason: RejectReason, *, retry_after_s: int | None = None) -> None:
        """Refuse a call that was not answered. `LegEnded(REJECTED)` follows."""
        ...

    async def receive(self) -> LegEvent:
        """Wait for the next event. After `LegEnded` it raises `LegEndedError`."""
        ...

    @property
    def lead_ms(self) -> int:
        """How far ahead the bot may play: what the leg holds before `play()` waits."""
        ...

    @property
    def queued_ms(self) -> int:
        """What was played and has not yet been sent."""
        ...

    async def play(self, pcm: bytes) -> None:
        """Queue one or more frames of OUTPUT_FRAME_BYTES; waits while the leg holds its full lead.

        Raises `AudioFormatError` for another size and `LegEndedError` once the leg has ended.
        """
        ...

    def flush(self) -> int:
        """Drop what was queued and not yet sent; returns how much that was, in ms."""
        ...

    async def drain(self) -> None:
        """Wait until all that was queued has been sent (or the leg has ended)."""
        ...

    async def send_digits(self, digits: str) -> None:
        """Send key presses (RFC 4733 where negotiated)."""
        ...

    async def transfer(self, target: str, *, consult: CallLeg | None = None) -> None:
        """Hand the caller over to a SIP address; returns once that has answered, and `LegEnded(TRANSFERRED)` follows.

        With `consult`, a call of ours to whoever is to take over, the caller goes on with its far end; `target` may
        be empty then. Raises `TransferFailedError`, after which the call goes on, and `LegEndedError`.
        """
        ...

    def tell(self, text: str) -> None:
        """Send a JSON text to the caller's own page; a telephone leg drops it."""
        ...

    async def hang_up(self) -> None:
        """End the call; queued audio is dropped (await `drain()` first to let it play). Idempotent."""
        ...

    def stats(self) -> LegStats:
        """Media figures so far."""
        ...
