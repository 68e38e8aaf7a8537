"""Adaptive playout buffer: packets in as the network brings them, one action out every frame.

The buffer knows nothing of codecs. A schedule (media time of the frame due now) runs with the ticks of `get`; packets
are ordered by sequence number and placed in the schedule by timestamp. The *delay* is what the schedule adds to the
fastest recent packet; the *target* is what 97 % of the packets need (`arrival.py`), between `min_ms` and `max_ms`.
The two are brought together by fading two frames into one or by making one up, at once in a quiet place, after a
second of patience elsewhere.

A lost frame is concealed in its own slot, so it costs no delay. When nothing at all is left and the next packet turns
out to be late rather than lost, the schedule goes back to it: speech is kept, and the delay shrinks again as above.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from telephony.audio.arrival import ArrivalDelay

_CONCEAL_MS = 60  # after so long a concealed sound has faded out (G.711 Appendix I)
_PIECES = 8  # frames in one packet, at most
_MAX_DROPOUT = 3000  # RFC 3550 A.1
_MAX_MISORDER = 100
_SEEN_MASK = (1 << 128) - 1
_LEAD_S = 1.0  # how far a timestamp may run ahead of the time that has passed
_PAST_S = 5.0  # how far it may lie back in a packet out of order
_HYSTERESIS_MS = 5
_PATIENCE_S = 1.0
_FORCED_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class Decode:
    """Play this frame; with `merge`, fade from that earlier frame into this one, so that two take the time of one."""

    payload: bytes
    merge: bytes | None = None


@dataclass(frozen=True, slots=True)
class Conceal:
    """Make a frame up from the sound before it; `following`, the packet after it, may carry its copy (Opus FEC)."""

    following: bytes | None = None


@dataclass(frozen=True, slots=True)
class Noise:
    """The sender has fallen silent and says how its line hisses (RFC 3389); until the next frame it is `Silence`."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing to play: not begun, a pause of the sender, or an outage longer than concealment lasts."""


PlayoutAction: TypeAlias = Decode | Conceal | Noise | Silence


@dataclass(frozen=True, slots=True)
class PlayoutStats:
    """Figures since the buffer was made."""

    late: int  # packets that came after their slot had been played
    concealed_ms: int
    merged_ms: int  # taken out to shorten the delay
    delay_ms: float
    target_ms: float


# sequence * _PIECES + piece, timestamp (both unwrapped), payload, whether that is comfort noise
_Frame: TypeAlias = tuple[int, int, bytes, bool]


@dataclass(slots=True)
class _Packet:
    sequence: int
    timestamp: int
    payload: bytes
    arrived: float
    is_noise: bool


class Playout:
    """Buffer of one RTP stream with a clock of `clock_hz` and frames of `frame_ms`.

    With `frame_bytes` a packet is cut into frames of that size (G.711: 160 for 20 ms), so that any packet time goes;
    without it each packet is one frame. `get` is to be called every `frame_ms`.
    """

    def __init__(
        self,
        *,
        clock_hz: int,
        frame_ms: int = 20,
        min_ms: int = 20,
        max_ms: int = 200,
        frame_bytes: int | None = None,
    ) -> None:
        self._clock_hz = clock_hz
        self._frame_ms = frame_ms
        self._frame_bytes = frame_bytes
        self._step = clock_hz * frame_ms // 1000  # timestamp units a frame
        self._half = self._step // 2
        self._min_ms = min_ms
        self._max_ms = max_ms
        self._delay_max_ms = max_ms + frame_ms + _HYSTERESIS_MS
        self._capacity = 2 * max_ms // frame_ms + 16
        self._arrivals = ArrivalDelay(limit_ms=max_ms)
        self._needed_ms = 0  # delay that nearly all packets keep to
        self._target_ms = float(min_ms)
        self._delay_ms = 0.0
        self._late = self._concealed = self._merged = 0
        self._begin()

    def _begin(self) -> None:
        self._frames: list[_Frame] = []
        self._newest: _Packet | None = None
        self._suspect: _Packet | None = None
        self._seen = 0  # bit n: packet number newest - n has come
        self._playing = False
        self._paused = False  # by the sender: what is missing now is no loss
        self._cursor = -(1 << 62)  # timestamp due at the next `get`; nothing before it can be played any more
        self._played = 0  # sequence of the last frame played
        self._run = 0  # frames made up in a row
        self._off_target_since: float | None = None
        self._adjusted_at = 0.0

    def restart(self) -> None:
        """Begin a new stream (another SSRC, hold resumed); what is known of the network stays."""
        self._arrivals.forget_fastest()
        self._begin()

    def stats(self) -> PlayoutStats:
        """Figures so far."""
        return PlayoutStats(
            late=self._late,
            concealed_ms=self._concealed * self._frame_ms,
            merged_ms=self._merged * self._frame_ms,
            delay_ms=self._delay_ms,
            target_ms=self._target_ms,
        )

    @property
    def is_off_target(self) -> bool:
        """Whether the delay was to be changed at the last `get`: only then does the next one look at `quiet`."""
        return self._off_target_since is not None

    # Packets in

    def insert(self, sequence: int, rtp_timestamp: int, payload: bytes, *, now: float, is_noise: bool = False) -> None:
        """Take a packet: 16-bit sequence number, 32-bit timestamp, when it arrived, and whether it is comfort noise."""
        newest, timestamp = self._newest, rtp_timestamp
        ahead = 1
        if newest is not None:
            ahead = (sequence - newest.sequence + 0x8000 & 0xFFFF) - 0x8000
            later = (timestamp - newest.timestamp + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000
            if not self._is_plausible(ahead, later / self._clock_hz, now - newest.arrived):
                self._suspect_jump(_Packet(sequence, timestamp, payload, now, is_noise))
                return
            if ahead <= 0 and self._seen >> -ahead & 1:
                return  # it has come already
            sequence, timestamp = newest.sequence + ahead, newest.timestamp + later
        packet = _Packet(sequence, timestamp, payload, now, is_noise)
        self._suspect = None
        if ahead > 0:
            self._newest = packet
            self._seen = self._seen << ahead & _SEEN_MASK | 1
        else:
            self._seen |= 1 << -ahead
        self._note_arrival(packet, in_order=ahead > 0)
        self._store(packet)

    @staticmethod
    def _is_plausible(ahead: int, ahead_s: float, passed_s: float) -> bool:
        if ahead > 0:
            return ahead <= _MAX_DROPOUT and 0 < ahead_s <= passed_s + _LEAD_S
        return ahead > -_MAX_MISORDER and -_PAST_S <= ahead_s <= 0

    def _suspect_jump(self, raw: _Packet) -> None:
        """Believe a packet out of all order only when the next one continues it (RFC 3550 A.1)."""
        suspect, self._suspect = self._suspect, raw
        if suspect is None:
            return
        steps = (raw.timestamp - suspect.timestamp) & 0xFFFFFFFF
        if (raw.sequence - suspect.sequence) & 0xFFFF == 1 and 0 < steps <= self._clock_hz:
            self.restart()
            for each in (suspect, raw):
                self.insert(each.sequence, each.timestamp, each.payload, now=each.arrived, is_noise=each.is_noise)

    def _note_arrival(self, packet: _Packet, *, in_order: bool) -> None:
        self._arrivals.add(media_s=packet.timestamp / self._clock_hz, now=packet.arrived, in_order=in_order)
        if self._arrivals.quantile_ms != self._needed_ms:
            self._needed_ms = self._arrivals.quantile_ms
            self._target_ms = float(min(max(self._needed_ms, self._min_ms), self._max_ms))
        if in_order and not self._frames:
            # All there was has been played. If this one is late, not lost, go back to it as far as `max_ms` allows.
            latest = packet.arrived + self._arrivals.fastest - self._max_ms / 1000
            self._cursor = min(self._cursor, max(packet.timestamp, round(latest * self._clock_hz)))

    def _store(self, packet: _Packet) -> None:
        payload = packet.payload
        pieces = (payload,) if packet.is_noise or len(payload) == self._frame_bytes else self._cut(payload)
        if not 0 < len(pieces) <= _PIECES:
            return
        if packet.timestamp + (len(pieces) - 1) * self._step < self._cursor - self._half:
            self._late += 1
            return
        frames = self._frames
        key, timestamp = packet.sequence * _PIECES, packet.timestamp
        for piece in pieces:
            if frames and key < frames[-1][0]:
                insort(frames, (key, timestamp, piece, packet.is_noise))
            else:
                frames.append((key, timestamp, piece, packet.is_noise))
            key, timestamp = key + 1, timestamp + self._step
        if len(frames) > self._capacity:
            del frames[: len(frames) - self._capacity]

    def _cut(self, payload: bytes) -> Sequence[bytes]:
        size = self._frame_bytes
        if size is None:
            return [payload]
        return [payload[start : start + size] for start in range(0, len(payload) - size + 1, size)]

    # Frames out

    def get(self, *, now: float, quiet: bool = False) -> PlayoutAction:
        """Decide what to play for the next `frame_ms`; `quiet`: the frame before was no speech, no cut is heard."""
        if not self._playing and not self._start(now):
            return Silence()
        self._delay_ms = self._delay_of(self._cursor, now)
        if self._delay_ms > self._delay_max_ms:
            self._shorten(now)
        frames = self._frames
        if frames and frames[0][1] < self._cursor - self._half:
            self._drop_passed()
        if not frames:
            return self._starve()
        key, timestamp, payload, is_noise = frames[0]
        if timestamp > self._cursor + self._half:
            return self._bridge(key, timestamp, payload)
        self._paused = is_noise
        if is_noise:
            return self._take(Noise(payload))
        adjustment = self._adjustment(now=now, quiet=quiet)
        if adjustment > 0:
            self._concealed += 1
            return Conceal()
        merge = None
        if adjustment < 0 and self._is_next_at_hand(timestamp):
            del self._frames[0]
            merge = payload
            payload = self._frames[0][2]
            self._merged += 1
        return self._take(Decode(payload, merge))

    def _is_next_at_hand(self, timestamp: int) -> bool:
        """Say whether the frame after the first one is sound and follows without a gap."""
        return len(self._frames) > 1 and self._frames[1][1] == timestamp + self._step and not self._frames[1][3]

    def _take(self, action: PlayoutAction) -> PlayoutAction:
        """Give the action of the first frame, and go on behind it."""
        key, timestamp, _, _ = self._frames.pop(0)
        self._cursor = timestamp + self._step
        self._played = key // _PIECES
        self._run = 0
        return action

    def _delay_of(self, timestamp: int, now: float) -> float:
        """Delay in ms, beyond the fastest recent packet, if `timestamp` is played now."""
        return 1000 * (now - timestamp / self._clock_hz + self._arrivals.fastest)

    def _start(self, now: float) -> bool:
        if not self._frames or self._delay_of(self._frames[0][1], now) < self._target_ms:
            return False
        self._playing = True
        self._cursor = self._frames[0][1]
        return True

    def _shorten(self, now: float) -> None:
        """Go on at the longest delay: the sender's clock has jumped, or far too much came at once."""
        due_s = now + self._arrivals.fastest - self._max_ms / 1000
        self._cursor = max(self._cursor, round(due_s * self._clock_hz))
        self._delay_ms = self._delay_of(self._cursor, now)

    def _drop_passed(self) -> None:
        passed = 1
        while passed < len(self._frames) and self._frames[passed][1] < self._cursor - self._half:
            passed += 1
        del self._frames[:passed]

    def _starve(self) -> PlayoutAction:
        self._run += 1
        if self._paused or self._run * self._frame_ms > _CONCEAL_MS:
            self._playing = False
            return Silence()
        self._cursor += self._step
        self._concealed += 1
        return Conceal()

    def _bridge(self, key: int, timestamp: int, payload: bytes) -> PlayoutAction:
        """Nothing for this slot, but something after it."""
        self._cursor += self._step
        if self._paused or key // _PIECES <= self._played + 1:
            # No number is missing: the sender paused. A pause may be shortened unheard.
            if self._delay_ms > self._target_ms + self._frame_ms and timestamp > self._cursor + self._half:
                self._cursor += self._step
            return Silence()
        self._run += 1
        if self._run * self._frame_ms > _CONCEAL_MS:
            return Silence()
        self._concealed += 1
        return Conceal(payload if timestamp <= self._cursor + self._half else None)

    def _adjustment(self, *, now: float, quiet: bool) -> int:
        """-1: one frame less is to be played; 1: one more; 0: as it is."""
        excess_ms = self._delay_ms - self._target_ms
        if -_HYSTERESIS_MS <= excess_ms <= self._frame_ms + _HYSTERESIS_MS:
            self._off_target_since = None
            return 0
        if self._off_target_since is None:
            self._off_target_since = now
        patient_enough = now - self._off_target_since >= _PATIENCE_S and now - self._adjusted_at >= _FORCED_EVERY_S
        if not quiet and not patient_enough:
            return 0
        self._adjusted_at = now
        return -1 if excess_ms > 0 else 1
