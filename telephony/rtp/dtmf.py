"""Key presses as telephone events (RFC 4733): received once each whatever is lost, sent with threefold ends."""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass

from telephony.errors import LocalProtocolError, RtpParseError
from telephony.leg import DigitReceived
from telephony.rtp.packet import RtpPacket

DIGITS = "0123456789*#ABCD"
_EVENT = struct.Struct("!BBH")
_VOLUME_DB = 10  # -10 dBm0
_TONE_MS = 100
_PAUSE_MS = 60  # after the last end packet
_TICK_MS = 20
_ENDS = 3  # section 2.5.1.4
_SEGMENT = 0xFFFF  # longest duration; a longer press goes on as another segment (section 2.5.1.3)
_GAP_S = 0.2  # no packet for so long ends a press whose end was lost
_REMEMBERED = 16
_QUEUED = 64


@dataclass(frozen=True, slots=True)
class TelephoneEvent:
    """Payload of one packet (section 2.3)."""

    event: int
    end: bool
    volume: int  # dBm0 without its sign
    duration: int  # timestamp units so far


def parse_event(payload: bytes) -> TelephoneEvent:
    """Read the first event of a payload; raises `RtpParseError`."""
    if len(payload) < _EVENT.size:
        raise RtpParseError(f"telephone event of {len(payload)} bytes, not 4")
    event, flags, duration = _EVENT.unpack_from(payload)
    return TelephoneEvent(event, flags >= 0x80, flags & 0x3F, duration)


def build_event(event: TelephoneEvent) -> bytes:
    """Write a payload of one event."""
    return _EVENT.pack(event.event, (0x80 if event.end else 0) | event.volume, event.duration)


@dataclass(slots=True)
class _Press:
    timestamp: int
    event: int
    duration: int  # of this segment
    earlier: int  # of the segments before
    heard_at: float


class DtmfReceiver:
    """Turns event packets into presses: one a timestamp, however many of its packets come, in whatever order."""

    def __init__(self) -> None:
        self.clock_hz = 8_000  # of durations
        self._current: _Press | None = None
        self._reported: deque[int] = deque(maxlen=_REMEMBERED)  # timestamps
        self._last: _Press | None = None

    def receive(self, packet: RtpPacket, *, now: float) -> list[DigitReceived]:
        """Take a packet; the press that it ends, or makes certain, is given. Raises `RtpParseError`."""
        event = parse_event(packet.payload)
        if event.event >= len(DIGITS) or packet.timestamp in self._reported:
            return []
        done: list[DigitReceived] = []
        press = self._current
        if press is None or press.timestamp != packet.timestamp:
            if press is not None and self._continues(press, packet, event):
                self._reported.append(press.timestamp)
                press.timestamp, press.earlier, press.duration = packet.timestamp, press.earlier + press.duration, 0
            elif self._last is not None and self._continues(self._last, packet, event):
                self._last.timestamp, self._last.duration = packet.timestamp, event.duration
                self._reported.append(packet.timestamp)
                return []
            else:
                done += self._finish()
                press = self._current = _Press(packet.timestamp, event.event, 0, 0, now)
        press.duration = max(press.duration, event.duration)
        press.heard_at = now
        return done + self._finish() if event.end else done

    @staticmethod
    def _continues(press: _Press, packet: RtpPacket, event: TelephoneEvent) -> bool:
        """Say whether a packet is of the next segment of a long press; its start has no marker."""
        follows = packet.timestamp == (press.timestamp + _SEGMENT) & 0xFFFFFFFF
        return follows and event.event == press.event and not packet.marker

    @property
    def is_pressed(self) -> bool:
        """Whether a press is under way."""
        return self._current is not None

    def timer_at(self) -> float | None:
        """When `handle_timer` is due: a press whose packets have stopped."""
        return None if self._current is None else self._current.heard_at + _GAP_S

    def handle_timer(self, *, now: float) -> list[DigitReceived]:
        """Let time pass; ends a press after its longest gap."""
        due = self.timer_at()
        return self._finish() if due is not None and now >= due else []

    def _finish(self) -> list[DigitReceived]:
        press, self._current = self._current, None
        if press is None:
            return []
        self._last = press
        self._reported.append(press.timestamp)
        return [DigitReceived(DIGITS[press.event], (press.earlier + press.duration) * 1000 // self.clock_hz)]


class DtmfSender:
    """Makes the event packets of queued digits, one step every 20 ms, in place of audio."""

    def __init__(self) -> None:
        self._digits: deque[str] = deque()
        self._timestamp = 0
        self._step = 0  # of the current digit
        self.clock_hz = 8_000  # of durations
        self.pressed = 0  # digits done since the beginning

    @property
    def is_active(self) -> bool:
        """Whether a digit is being sent or waits."""
        return bool(self._digits)

    def press(self, digits: str) -> int:
        """Queue digits; returns what `pressed` will be when they are done. Raises `LocalProtocolError` for others."""
        wrong = set(digits) - set(DIGITS)
        if wrong:
            raise LocalProtocolError(f"cannot send {sorted(wrong)} as telephone events: use {DIGITS}")
        if len(self._digits) + len(digits) > _QUEUED:
            raise LocalProtocolError(f"more than {_QUEUED} digits wait to be sent: await the ones before")
        self._digits.extend(digits)
        return self.pressed + len(self._digits)

    def step(self, *, timestamp: int) -> tuple[TelephoneEvent, int, bool] | None:
        """Next 20 ms while active: event, its RTP timestamp and marker; None for the pause between digits."""
        if not self._step:
            self._timestamp = timestamp
        self._step += 1
        tone_steps = _TONE_MS // _TICK_MS
        end_steps = tone_steps + _ENDS - 1
        if self._step <= end_steps:
            event = TelephoneEvent(
                event=DIGITS.index(self._digits[0]),
                end=self._step >= tone_steps,
                volume=_VOLUME_DB,
                duration=min(self._step, tone_steps) * self.clock_hz * _TICK_MS // 1000,
            )
            return event, self._timestamp, self._step == 1
        if self._step >= end_steps + _PAUSE_MS // _TICK_MS:
            self._digits.popleft()
            self._step = 0
            self.pressed += 1
        return None
