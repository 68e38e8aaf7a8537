"""Packets from the caller to frames for the bot: playout, G.711, concealment, 8 to 16 kHz."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from telephony.audio.conceal import Concealer, crossfade
from telephony.audio.frame import is_quiet, pcm_of
from telephony.audio.g711 import G711
from telephony.audio.playout import Conceal, Decode, Playout, PlayoutStats
from telephony.audio.resample import Resampler
from telephony.leg import FRAME_MS, INPUT_FRAME_BYTES, INPUT_RATE_HZ
from telephony.rtp.codec import CLOCK_HZ
from telephony.rtp.packet import RtpPacket

_FRAME = CLOCK_HZ * FRAME_MS // 1000  # samples, and bytes of G.711
_HALF = _FRAME // 2
_SILENT_FRAME = bytes(INPUT_FRAME_BYTES)
_SILENT = np.zeros(_FRAME, np.int16)


class Depacketizer:
    """One stream of G.711 in packets of any whole number of 10 ms; `pull` gives 20 ms of 16 kHz PCM16."""

    def __init__(self, codec: G711, *, playout_min_ms: int, playout_max_ms: int) -> None:
        self.codec = codec
        self._bounds_ms = (playout_min_ms, playout_max_ms)
        self._playout = self._new_playout(_FRAME)
        self._unit = _FRAME  # samples a frame of the playout buffer: 20 ms, or 10 for packets of 10 or 30 ms
        self._concealed_ms = 0  # by buffers given up
        self._late = 0
        self._concealer = Concealer(CLOCK_HZ)
        self._resampler = Resampler(CLOCK_HZ, INPUT_RATE_HZ)
        self._quiet = True
        self._silent_run = 1  # frames of zeros in a row: from the second on the filter holds none but zeros

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
        if len(packet.payload) % _FRAME and self._unit == _FRAME:
            stats = self._playout.stats()
            self._concealed_ms += stats.concealed_ms
            self._late += stats.late
            self._unit = _HALF
            self._playout = self._new_playout(_HALF)
        self._playout.insert(packet.sequence, packet.timestamp, packet.payload, now=now)

    def restart(self) -> None:
        """Begin a new stream (another SSRC, the call resumed)."""
        self._playout.restart()

    def pull(self, *, now: float) -> bytes:
        """Give the next 20 ms (INPUT_FRAME_BYTES); silence where nothing came."""
        if self._unit == _FRAME:
            samples = self._next(now)
        else:
            samples = np.concatenate((self._next(now), self._next(now + FRAME_MS / 2000)))
        if samples.any():
            self._silent_run = 0
        elif self._silent_run:
            return _SILENT_FRAME
        else:
            self._silent_run = 1
        return pcm_of(self._resampler.feed(samples))

    def _next(self, now: float) -> NDArray[np.int16]:
        match self._playout.get(now=now, quiet=self._quiet):
            case Decode(payload, merge):
                samples = self.codec.decode(payload)
                if merge is not None:
                    samples = crossfade(self.codec.decode(merge), samples)
                samples = self._concealer.feed(samples)
                self._quiet = is_quiet(samples)
                return samples
            case Conceal():
                return self._concealer.conceal(self._unit)
            case _:
                self._quiet = True
                return self._concealer.conceal(self._unit)  # fades out, then is silent

    @property
    def concealed_ms(self) -> int:
        """Time made up so far."""
        return self._concealed_ms + self._playout.stats().concealed_ms

    @property
    def late(self) -> int:
        """Packets that came after their play time."""
        return self._late + self._playout.stats().late

    def stats(self) -> PlayoutStats:
        """Figures of the playout buffer now in use."""
        return self._playout.stats()
