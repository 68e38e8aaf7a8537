"""What we receive: which datagrams count, whose they are, and what they mean (audio, key presses, a dead line)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from telephony.errors import RtpParseError
from telephony.leg import DigitReceived
from telephony.media import MediaParameters, MediaTimedOut
from telephony.rtp.codec import CODECS, COMFORT_NOISE
from telephony.rtp.dtmf import DtmfReceiver
from telephony.rtp.packet import RtpPacket, parse_rtp
from telephony.rtp.reception import Reception
from telephony.rtp.source import Address, SourceLock


class AudioArrived(NamedTuple):
    """A packet of the peer's audio."""

    packet: RtpPacket
    arrived: float  # now
    is_noise: bool = False  # the peer falls silent, and says how its line hisses (RFC 3389)


@dataclass(frozen=True, slots=True)
class StreamChanged:
    """The peer's audio goes on under another SSRC, or anew after a hold; nothing of before belongs to it."""


SessionEvent: TypeAlias = AudioArrived | StreamChanged | DigitReceived | MediaTimedOut


class RtpReceiver:
    """Receiving half of a session. Feed it datagrams and time, then drain `poll`."""

    def __init__(self, *, silence_timeout_s: float) -> None:
        self.source = SourceLock()
        self.reception: Reception | None = None
        self.malformed = 0  # datagrams that are no RTP, or of a payload type not agreed
        self._silence_timeout_s = silence_timeout_s
        self._parameters: MediaParameters | None = None
        self._kinds: dict[int | None, int | None] = {}  # payload types, by what may stand in packets
        self._clock_hz = 8_000
        self._dtmf = DtmfReceiver()
        self._stranger: AudioArrived | None = None  # the first packet of another SSRC, until its second
        self._deaf_at: float | None = None  # None: on hold, or told already
        self._events: deque[SessionEvent] = deque()
        self._received_before = 0  # under earlier SSRCs
        self._lost_before = 0

    def agree(self, parameters: MediaParameters, *, named: Address | None, now: float) -> None:
        """Take what SDP agreed; `named` is its address, None where it names none."""
        before, self._parameters = self._parameters, parameters
        agreed = (parameters.payload_type, parameters.dtmf_payload_type, COMFORT_NOISE)
        self._kinds = {**dict(parameters.own_numbers), **dict(zip(agreed, agreed, strict=True))}
        self._dtmf.clock_hz = parameters.dtmf_clock_hz
        self._clock_hz = CODECS[parameters.codec].clock_hz
        if before is not None and before.codec != parameters.codec:
            self._forget_stream()
        self.source.expect(named)
        if not parameters.receive:
            self.source.hold()
            self._deaf_at = None
            return
        self.source.resume(now=now)
        if before is None or not before.receive:
            self._deaf_at = now + self._silence_timeout_s
            if before is not None:
                self._events.append(StreamChanged())

    def _forget_stream(self) -> None:
        self._received_before, self._lost_before = self.received, self.lost
        self.reception = None

    @property
    def received(self) -> int:
        """Packets of all SSRCs so far."""
        return self._received_before + (self.reception.received if self.reception else 0)

    @property
    def lost(self) -> int:
        """Packets that did not come, of all SSRCs so far."""
        return self._lost_before + (max(0, self.reception.lost) if self.reception else 0)

    def poll(self) -> SessionEvent | None:
        """Give the next event; None when all is told."""
        return self._events.popleft() if self._events else None

    def receive(self, data: bytes, source: Address, *, now: float) -> None:
        """Take a datagram that arrived at `now`."""
        parameters = self._parameters
        if parameters is None:
            return
        try:
            packet = parse_rtp(data)
        except RtpParseError:
            self.malformed += 1
            return
        kind = self._kinds.get(packet.payload_type)
        if kind is None:
            self.malformed += 1
            if source == self.source.locked:  # such as a keep-alive (RFC 6263 section 4.6): it came, so it is not lost
                self._count(packet, now)
            return
        if not self.source.admits(source, sequence=packet.sequence, now=now):
            return
        if not parameters.receive:  # music on hold is not listened to, and not lost either
            self._count(packet, now)
            return
        self._deaf_at = now + self._silence_timeout_s
        if kind in (parameters.payload_type, COMFORT_NOISE):
            self._receive_audio(AudioArrived(packet, now, kind != parameters.payload_type))
            return
        self._count(packet, now)
        self._receive_event(packet, now)

    def _count(self, packet: RtpPacket, now: float) -> None:
        """Note that a packet came whose sound is not heard; some gateways send events under an SSRC of their own."""
        if self.reception is not None and self.reception.ssrc == packet.ssrc:
            self.reception.update(packet.sequence, timestamp=None, now=now)

    def _receive_audio(self, arrival: AudioArrived) -> None:
        ssrc = arrival.packet.ssrc
        if self.reception is None:
            self.reception = Reception(ssrc, self._clock_hz)
        elif self.reception.ssrc != ssrc:
            # A stray packet of a stream that has ended must not cut the present one; two in a row are another stream.
            stranger, self._stranger = self._stranger, arrival
            if stranger is None or stranger.packet.ssrc != ssrc:
                return
            self._forget_stream()
            self.reception = Reception(ssrc, self._clock_hz)
            self._events.append(StreamChanged())
            self._take(stranger)
        self._stranger = None
        self._take(arrival)

    def _take(self, arrival: AudioArrived) -> None:
        packet = arrival.packet
        assert self.reception is not None
        self.reception.update(packet.sequence, timestamp=packet.timestamp, now=arrival.arrived)
        if packet.payload:
            self._events.append(arrival)

    def _receive_event(self, packet: RtpPacket, now: float) -> None:
        try:
            self._events.extend(self._dtmf.receive(packet, now=now))
        except RtpParseError:
            self.malformed += 1

    def handle_timer(self, *, now: float) -> None:
        """Let time pass: presses whose end was lost, and a line on which nothing comes any more."""
        if self._dtmf.is_pressed:
            self._events.extend(self._dtmf.handle_timer(now=now))
        if self._deaf_at is not None and now >= self._deaf_at:
            self._deaf_at = None
            self._events.append(MediaTimedOut())
