"""Frames from the bot to payloads for the caller: 24 to 8 kHz, G.711, the packet time agreed."""

from __future__ import annotations

import numpy as np

from telephony.audio.frame import samples_of
from telephony.audio.g711 import G711
from telephony.audio.resample import Resampler
from telephony.leg import FRAME_MS, OUTPUT_RATE_HZ
from telephony.rtp.codec import CLOCK_HZ

PTIMES_MS = (10, 20, 30, 40, 50, 60)
_FRAME = CLOCK_HZ * FRAME_MS // 1000
_SILENT = np.zeros(OUTPUT_RATE_HZ * FRAME_MS // 1000, np.int16)


class Packetizer:
    """One stream of G.711 payloads of `ptime_ms`; a packet time that is none of `PTIMES_MS` counts as 20 ms."""

    def __init__(self, codec: G711, *, ptime_ms: int = FRAME_MS) -> None:
        self._resampler = Resampler(OUTPUT_RATE_HZ, CLOCK_HZ)
        self._silent_run = 1  # frames of silence in a row: from the second on the filter holds none but zeros
        self._codec = codec
        self.agree(codec, ptime_ms=ptime_ms)

    def agree(self, codec: G711, *, ptime_ms: int) -> None:
        """Take what an answer agreed; what was gathered for a packet is dropped."""
        self._codec = codec
        self._gathered = b""
        self._packet = CLOCK_HZ * (ptime_ms if ptime_ms in PTIMES_MS else FRAME_MS) // 1000

    def feed(self, pcm: bytes | None) -> list[bytes]:
        """Give the payloads that 20 ms of 24 kHz PCM16 (None: of silence) complete."""
        payload = self._encode(pcm)
        if self._packet == _FRAME and not self._gathered:
            return [payload]
        self._gathered += payload
        whole = len(self._gathered) - len(self._gathered) % self._packet
        payloads = [self._gathered[start : start + self._packet] for start in range(0, whole, self._packet)]
        self._gathered = self._gathered[whole:]
        return payloads

    def _encode(self, pcm: bytes | None) -> bytes:
        if pcm is not None:
            self._silent_run = 0
            return self._codec.encode(self._resampler.feed(samples_of(pcm)))
        if self._silent_run:
            return bytes([self._codec.silence]) * _FRAME
        self._silent_run = 1
        return self._codec.encode(self._resampler.feed(_SILENT))

    def flush(self) -> bytes:
        """Give what is gathered and no whole packet yet."""
        rest, self._gathered = self._gathered, b""
        return rest
