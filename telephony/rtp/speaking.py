"""The bot's side of one call on the bot's loop: frames of 24 kHz become what the codec takes, and queue for their time.

`speak_together` does that for all calls that have played a frame at one time: see `hearing.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from telephony.audio.frame import pcm_of, samples_of
from telephony.audio.pacer import Pacer
from telephony.audio.resample import Resampler, feed_together
from telephony.leg import FRAME_MS, OUTPUT_RATE_HZ
from telephony.rtp.codec import CODECS, Codec
from telephony.rtp.packetizer import BotFrame

_SAMPLES: Final = OUTPUT_RATE_HZ * FRAME_MS // 1000


class Speaking:
    """Holds a frame from `put` until `speak_together`; it counts as queued meanwhile.

    It never holds two: a loop that stalls between the two steps keeps all of its lead but one frame.
    """

    def __init__(self, pacer: Pacer[BotFrame]) -> None:
        self.codec = CODECS["PCMU"]
        self.resampler = _resampler_for(self.codec)
        self._pacer = pacer
        self._waiting: bytes | None = None
        self._silences = 0  # of the pacer, when the last frame was queued

    def agree(self, codec: Codec) -> None:
        """Take the codec of a new agreement."""
        if codec.encoder_rate_hz != self.codec.encoder_rate_hz:
            self.resampler = _resampler_for(codec)
        self.codec = codec

    @property
    def is_full(self) -> bool:
        """Whether the queue holds its lead."""
        return self._pacer.is_full_with(self._waiting is not None)

    @property
    def queued_ms(self) -> int:
        """What waits to be played."""
        return self._pacer.queued_ms + (0 if self._waiting is None else FRAME_MS)

    @property
    def played_ms(self) -> int:
        """What has left towards the caller."""
        return self._pacer.played_ms

    def put(self, pcm: bytes) -> None:
        """Take a frame of OUTPUT_FRAME_BYTES; wait until it is not full before."""
        if self._waiting is not None:
            speak_together((self,))
        self._waiting = pcm

    def flush(self) -> int:
        """Drop what waits; returns how many ms that was."""
        dropped_ms = 0 if self._waiting is None else FRAME_MS
        self._waiting = None
        self._reset_resampler()
        return dropped_ms + self._pacer.flush()

    def fetch(self) -> bytes | None:
        """Give the frame that is to be converted, if there is one."""
        pcm, self._waiting = self._waiting, None
        if pcm is not None and self._pacer.silences != self._silences:
            # The caller has heard silence meanwhile: the end of what was said before it has no place here.
            self._silences = self._pacer.silences
            self._reset_resampler()
        return pcm

    def queue(self, frame: BotFrame) -> None:
        """Take the frame that `fetch` gave as the codec takes it."""
        self._pacer.put(frame)

    def _reset_resampler(self) -> None:
        if self.resampler is not None:
            self.resampler.reset()


def speak_together(speakings: Sequence[Speaking]) -> None:
    """Convert and queue what waits in some calls."""
    by_codec: dict[Codec, tuple[list[Speaking], list[bytes]]] = {}
    for speaking in speakings:
        pcm = speaking.fetch()
        if pcm is not None:
            members, frames = by_codec.setdefault(speaking.codec, ([], []))
            members.append(speaking)
            frames.append(pcm)
    for codec, (members, frames) in by_codec.items():
        for speaking, frame in zip(members, _convert(codec, members, frames), strict=True):
            speaking.queue(frame)


def _convert(codec: Codec, speakings: list[Speaking], frames: list[bytes]) -> Sequence[BotFrame]:
    """Resample a frame of each call, and compand it where that is all of the codec."""
    resamplers = [speaking.resampler for speaking in speakings if speaking.resampler is not None]
    if not resamplers:
        return frames  # Opus resamples by itself
    samples: NDArray[np.int16] = samples_of(b"".join(frames)).reshape(len(frames), _SAMPLES)
    samples = feed_together(resamplers, samples)
    size = samples.shape[1]
    law = codec.law
    if law is None:
        pcm = pcm_of(samples)
        return [pcm[start : start + 2 * size] for start in range(0, len(pcm), 2 * size)]
    payloads = law.encode(samples)
    return [(law, payloads[start : start + size]) for start in range(0, len(payloads), size)]


def _resampler_for(codec: Codec) -> Resampler | None:
    if codec.encoder_rate_hz == OUTPUT_RATE_HZ:
        return None
    return Resampler(OUTPUT_RATE_HZ, codec.encoder_rate_hz)
