"""`OpusReceiver`: RTP payloads of one Opus stream in, one frame of 16 kHz PCM out every 20 ms. Sans I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from telephony.audio.conceal import crossfade
from telephony.audio.frame import is_quiet, pcm_of, samples_of
from telephony.audio.opus import OpusDecoder, packet_ms
from telephony.audio.playout import Conceal, Decode, Playout, PlayoutAction
from telephony.errors import RemoteProtocolError
from telephony.leg import INPUT_FRAME_BYTES, INPUT_RATE_HZ

CLOCK_HZ: Final = 48_000  # of Opus in RTP, whatever rate is coded (RFC 7587, 4.1)
_BYTES_A_MS: Final = INPUT_RATE_HZ * 2 // 1000


@dataclass(frozen=True, slots=True)
class ReceiverStats:
    """Figures since the receiver was made; counts are packets unless named otherwise."""

    late: int
    malformed: int
    concealed_ms: int
    playout_delay_ms: float


class OpusReceiver:
    """Playout buffer and decoder of the caller's audio, for packets of any duration from 5 to 120 ms."""

    def __init__(self) -> None:
        self._decoder = OpusDecoder(INPUT_RATE_HZ)
        self._playout = Playout(clock_hz=CLOCK_HZ)
        self._packet_ms = 20
        self._suspect_ms = 20
        self._head: bytes | None = None  # first byte of packets that are known to last `packet_ms`
        self._ssrc: int | None = None
        self._pcm = bytearray()  # decoded, not yet given out
        self._last = b""  # what was played last
        self._malformed = 0
        self._late_before = 0  # of playout buffers before this one
        self._concealed_before_ms = 0

    def insert(self, *, ssrc: int, sequence: int, timestamp: int, payload: bytes, now: float) -> None:
        """Take a packet that came at `now`; one that is not Opus is counted and dropped."""
        if payload[:1] != self._head:  # the first byte says the duration of all packets but those of code 3
            duration_ms = packet_ms(payload)
            if not duration_ms:
                self._malformed += 1
                return
            self._follow_duration(duration_ms)
            known = duration_ms == self._packet_ms and payload[0] & 3 != 3
            self._head = payload[:1] if known else None
        if self._ssrc != ssrc:
            self._begin_stream(ssrc)
        self._playout.insert(sequence, timestamp, payload, now=now)

    def frame(self, *, now: float) -> bytes:
        """Give the next 20 ms; to be called every 20 ms. Silence before the first packet and in long outages."""
        if not self._pcm:
            pcm = self._next(now)
            if len(pcm) == INPUT_FRAME_BYTES:
                return pcm
            self._pcm += pcm
        while len(self._pcm) < INPUT_FRAME_BYTES:
            self._pcm += self._next(now + len(self._pcm) / (1000 * _BYTES_A_MS))
        frame = bytes(self._pcm[:INPUT_FRAME_BYTES])
        del self._pcm[:INPUT_FRAME_BYTES]
        return frame

    def _next(self, now: float) -> bytes:
        # Whether it is quiet is asked of numpy only where it matters: it was a quarter of what a silent call costs.
        quiet = self._playout.is_off_target and is_quiet(samples_of(self._last))
        self._last = self._play(self._playout.get(now=now, quiet=quiet))
        return self._last

    def stats(self) -> ReceiverStats:
        """Figures so far."""
        playout = self._playout.stats()
        return ReceiverStats(
            late=self._late_before + playout.late,
            malformed=self._malformed,
            concealed_ms=self._concealed_before_ms + playout.concealed_ms,
            playout_delay_ms=playout.delay_ms,
        )

    def close(self) -> None:
        """Free the decoder."""
        self._decoder.close()

    def _begin_stream(self, ssrc: int) -> None:
        if self._ssrc is not None:
            self._playout.restart()
            self._decoder.reset()
        self._ssrc = ssrc

    def _follow_duration(self, duration_ms: int) -> None:
        """Frames of the buffer are packets: with another packet time it is made anew, once two packets show it."""
        if duration_ms != self._packet_ms and duration_ms == self._suspect_ms:
            before = self._playout.stats()
            self._late_before += before.late
            self._concealed_before_ms += before.concealed_ms
            self._playout = Playout(clock_hz=CLOCK_HZ, frame_ms=duration_ms)
            self._packet_ms = duration_ms
        self._suspect_ms = duration_ms

    def _play(self, action: PlayoutAction) -> bytes:
        samples = self._packet_ms * INPUT_RATE_HZ // 1000
        try:
            match action:
                case Decode(payload, bytes(earlier)):
                    return self._merge(earlier, payload)
                case Decode(payload):
                    return self._decoder.decode(payload)
                case Conceal(bytes(following)):
                    return self._decoder.recover(following, samples)
                case Conceal():
                    return self._decoder.conceal(samples)
                case _:  # Silence
                    return bytes(2 * samples)
        except RemoteProtocolError:
            self._malformed += 1
            return self._decoder.conceal(samples)

    def _merge(self, earlier: bytes, payload: bytes) -> bytes:
        first, second = samples_of(self._decoder.decode(earlier)), samples_of(self._decoder.decode(payload))
        return pcm_of(crossfade(first, second)) if len(first) == len(second) else pcm_of(second)
