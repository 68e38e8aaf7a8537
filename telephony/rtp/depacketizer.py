"""Packets from the caller to 20 ms of what to decode, at any packet time. Runs in the media thread.

It leaves the sound itself to `decoder.py` on the bot's side: numpy lets go of the interpreter's lock in all but the
smallest operations, and a thread that lets go waits for it again, up to 5 ms each time while the bot is busy.
"""

from __future__ import annotations

from dataclasses import dataclass

from telephony.audio.g711 import G711
from telephony.audio.playout import Playout, PlayoutAction
from telephony.leg import FRAME_MS
from telephony.rtp.codec import CLOCK_HZ
from telephony.rtp.packet import RtpPacket

_FRAME = CLOCK_HZ * FRAME_MS // 1000  # samples, and bytes of G.711
_HALF = _FRAME // 2


@dataclass(frozen=True, slots=True)
class CodedFrame:
    """20 ms of the caller, not yet decoded."""

    codec: G711
    actions: tuple[PlayoutAction, ...]  # one of 20 ms, or two of 10 ms
    media_time_ms: int


class Depacketizer:
    """One stream of G.711 in packets of any whole number of 10 ms."""

    def __init__(self, codec: G711, *, playout_min_ms: int, playout_max_ms: int) -> None:
        self.codec = codec
        self._bounds_ms = (playout_min_ms, playout_max_ms)
        self._playout = self._new_playout(_FRAME)
        self._unit = _FRAME  # samples a frame of the playout buffer: 20 ms, or 10 for packets of 10 or 30 ms
        self._concealed_ms = 0  # by buffers given up
        self._late = 0

    def _new_playout(self, unit: int) -> Playout:
        return Playout(
            clock_hz=CLOCK_HZ,
            frame_ms=1000 * unit // CLOCK_HZ,
            min_ms=self._bounds_ms[0],
            max_ms=self._bounds_ms[1],
            frame_bytes=unit,
        )

    def insert(self, packet: RtpPacket, *, now: float) -> None:
        """Take a packet of audio that arrived at `now`."""
        if self._unit == _FRAME and len(packet.payload) % _FRAME:
            self._concealed_ms = self.concealed_ms
            self._late = self.late
            self._unit = _HALF
            self._playout = self._new_playout(_HALF)
        self._playout.insert(packet.sequence, packet.timestamp, packet.payload, now=now)

    def restart(self) -> None:
        """Begin a new stream (another SSRC, the call resumed)."""
        self._playout.restart()

    def pull(self, *, now: float, quiet: bool, media_time_ms: int) -> CodedFrame:
        """Give the next 20 ms; `quiet`: what was decoded last is no speech."""
        first = self._playout.get(now=now, quiet=quiet)
        if self._unit == _FRAME:
            return CodedFrame(self.codec, (first,), media_time_ms)
        second = self._playout.get(now=now + FRAME_MS / 2000, quiet=quiet)
        return CodedFrame(self.codec, (first, second), media_time_ms)

    @property
    def concealed_ms(self) -> int:
        """Time made up so far."""
        return self._concealed_ms + self._playout.stats().concealed_ms

    @property
    def late(self) -> int:
        """Packets that came after their play time."""
        return self._late + self._playout.stats().late

    @property
    def delay_ms(self) -> float:
        """What the playout buffer adds to the fastest packets."""
        return self._playout.stats().delay_ms
