"""Frames at 8 kHz to payloads of the packet time agreed: G.711 and the silence between. Runs in the media thread."""

from __future__ import annotations

import numpy as np

from telephony.audio.frame import samples_of
from telephony.audio.g711 import G711
from telephony.leg import FRAME_MS
from telephony.rtp.codec import CLOCK_HZ

PTIMES_MS = (10, 20, 30, 40, 50, 60)
FRAME_BYTES = CLOCK_HZ * FRAME_MS // 1000 * 2  # PCM16 at 8 kHz
_FRAME = CLOCK_HZ * FRAME_MS // 1000
_FADE = CLOCK_HZ * 5 // 1000


class Packetizer:
    """One stream of G.711 payloads of `ptime_ms`; a packet time that is none of `PTIMES_MS` counts as 20 ms."""

    def __init__(self, codec: G711, *, ptime_ms: int = FRAME_MS) -> None:
        self._gathered = b""
        self._last: bytes | None = None  # frame of sound just before
        self._codec = codec
        self.agree(codec, ptime_ms=ptime_ms)

    def agree(self, codec: G711, *, ptime_ms: int) -> None:
        """Take what an answer agreed; what was gathered for a packet is dropped."""
        self._codec = codec
        self._gathered = b""
        self._packet = CLOCK_HZ * (ptime_ms if ptime_ms in PTIMES_MS else FRAME_MS) // 1000

    def feed(self, pcm: bytes | None) -> list[bytes]:
        """Give the payloads that a frame of FRAME_BYTES (None: of silence) completes."""
        payload = self._silence() if pcm is None else self._codec.encode(samples_of(pcm))
        self._last = pcm
        if self._packet == _FRAME and not self._gathered:
            return [payload]
        self._gathered += payload
        whole = len(self._gathered) - len(self._gathered) % self._packet
        payloads = [self._gathered[start : start + self._packet] for start in range(0, whole, self._packet)]
        self._gathered = self._gathered[whole:]
        return payloads

    def _silence(self) -> bytes:
        """Code silence; sound cut off before it fades out, played backwards, so that no click is heard."""
        silence = bytes([self._codec.silence]) * _FRAME
        if self._last is None:
            return silence
        echo = samples_of(self._last)[: -_FADE - 1 : -1] * np.linspace(1, 0, _FADE, endpoint=False)
        return self._codec.encode(echo.astype(np.int16)) + silence[_FADE:]

    def flush(self) -> bytes:
        """Give what is gathered and no whole packet yet."""
        rest, self._gathered = self._gathered, b""
        return rest
