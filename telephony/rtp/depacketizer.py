"""Packets from the caller to 20 ms of what to decode, at any packet time. Runs in the media thread.

It leaves the sound itself to `decoder.py` on the bot's side: numpy lets go of the interpreter's lock in all but the
smallest operations, and a thread that lets go waits for it again, up to 5 ms each time while the bot is busy.
"""

from __future__ import annotations

from typing import NamedTuple

from telephony.audio.opus import packet_ms
from telephony.audio.playout import Playout, PlayoutAction
from telephony.leg import FRAME_MS
from telephony.rtp.codec import Codec
from telephony.rtp.packet import RtpPacket

_HALF_MS = FRAME_MS // 2


class CodedFrame(NamedTuple):
    """20 ms of the caller, not yet decoded."""

    codec: Codec
    actions: tuple[PlayoutAction, ...]  # together 20 ms; or, of longer ones, none while the one before lasts
    media_time_ms: int
    action_ms: int = FRAME_MS


class Depacketizer:
    """One stream in packets of any whole number of 10 ms (Opus: of any duration from 5 to 120 ms)."""

    def __init__(self, codec: Codec, *, playout_min_ms: int, playout_max_ms: int) -> None:
        self._bounds_ms = (playout_min_ms, playout_max_ms)
        self.malformed = 0  # packets that are none of the codec
        self._concealed_ms = 0  # by buffers given up
        self._late = 0
        self._begin(codec)

    def _begin(self, codec: Codec) -> None:
        self.codec = codec
        self._action_ms = FRAME_MS
        self._suspect_ms = FRAME_MS
        self._known_head: bytes | None = None  # first byte of Opus packets that are known to last `_action_ms`
        self._held_ms = 0  # of the last action, beyond the frames given
        self._playout = self._new_playout()

    def _new_playout(self) -> Playout:
        codec, action_ms = self.codec, self._action_ms
        return Playout(
            clock_hz=codec.clock_hz,
            frame_ms=action_ms,
            min_ms=self._bounds_ms[0],
            max_ms=self._bounds_ms[1],
            frame_bytes=None if codec.bytes_a_ms is None else codec.bytes_a_ms * action_ms,
        )

    def agree(self, codec: Codec) -> None:
        """Take the codec of a new agreement; another one begins a new stream."""
        if codec is not self.codec:
            self._keep_figures()
            self._begin(codec)

    def insert(self, packet: RtpPacket, *, now: float, is_noise: bool = False) -> None:
        """Take a packet of audio, or of comfort noise, that arrived at `now`."""
        if not is_noise and not self._follow_duration(packet.payload):
            self.malformed += 1
            return
        self._playout.insert(packet.sequence, packet.timestamp, packet.payload, now=now, is_noise=is_noise)

    def restart(self) -> None:
        """Begin a new stream (another SSRC, the call resumed)."""
        self._playout.restart()

    def pull(self, *, now: float, quiet: bool, media_time_ms: int) -> CodedFrame:
        """Give the next 20 ms; `quiet`: what was decoded last is no speech."""
        if self._action_ms == FRAME_MS and not self._held_ms:
            action = self._playout.get(now=now, quiet=quiet)
            return CodedFrame(self.codec, (action,), media_time_ms)
        actions: list[PlayoutAction] = []
        while self._held_ms < FRAME_MS:
            actions.append(self._playout.get(now=now + self._held_ms / 1000, quiet=quiet))
            self._held_ms += self._action_ms
        self._held_ms -= FRAME_MS
        return CodedFrame(self.codec, tuple(actions), media_time_ms, self._action_ms)

    def _follow_duration(self, payload: bytes) -> bool:
        """Make the buffer's frames as long as the packets ask for; False for what is no packet of the codec."""
        if self.codec.bytes_a_ms is not None:
            if self._action_ms == FRAME_MS and len(payload) % (self.codec.bytes_a_ms * FRAME_MS):
                self._change_duration(_HALF_MS)  # packets of 10 or 30 ms
            return True
        # The first byte says the duration of all Opus packets but those of code 3 (RFC 6716 section 3.2).
        if payload[:1] == self._known_head:
            return True
        duration_ms = packet_ms(payload)
        if not duration_ms:
            return False
        # Frames of the buffer are packets: with another packet time it is made anew, once two packets show it.
        if duration_ms != self._action_ms and duration_ms == self._suspect_ms:
            self._change_duration(duration_ms)
        self._suspect_ms = duration_ms
        known = duration_ms == self._action_ms and payload[0] & 3 != 3
        self._known_head = payload[:1] if known else None
        return True

    def _change_duration(self, action_ms: int) -> None:
        self._keep_figures()
        self._action_ms = action_ms
        self._playout = self._new_playout()

    # Figures

    def _keep_figures(self) -> None:
        self._concealed_ms, self._late = self.concealed_ms, self.late

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
