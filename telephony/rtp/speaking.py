"""The bot's side of one call on the bot's loop: frames of 24 kHz become what the codec takes, and queue for their time.

`speak_together` does that for all calls that have played a frame at one time: see `hearing.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from telephony.audio.frame import pcm_of, samples_of
from telephony.audio.pacer import Pacer
from telephony.audio.resample import Resampler, feed_together
from telephony.leg import FRAME_MS, OUTPUT_FRAME_BYTES, OUTPUT_RATE_HZ
from telephony.rtp.codec import CODECS, Codec
from telephony.rtp.packetizer import BotFrame


class Speaking:
    """Holds a frame from `put` until `speak_together`; it counts as queued meanwhile.

    It never holds two: a loop that stalls between the two steps keeps all of its lead but one frame. A run of frames
    is converted at once: it is as cheap by the frame as a frame of each of so many calls.
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

    @property
    def lead_ms(self) -> int:
        """What may wait to be played."""
        return self._pacer.lead_ms

    def put(self, pcm: bytes) -> None:
        """Take frames of OUTPUT_FRAME_BYTES; wait until it is not full before."""
        if self._waiting is not None:
            speak_together((self,))
        self._waiting = pcm
        if len(pcm) > OUTPUT_FRAME_BYTES:
            speak_together((self,))

    def flush(self) -> int:
        """Drop what waits; returns how many ms that was."""
        dropped_ms = 0 if self._waiting is None else FRAME_MS
        self._waiting = None
        self._reset_resampler()
        return dropped_ms + self._pacer.flush()

    def fetch(self) -> bytes | None:
        """Give the frame, or the run of them, that is to be converted, if there is one."""
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
    """Convert and queue what waits in some calls: a frame in each, or a run in one."""
    by_codec: dict[Codec, tuple[list[Speaking], list[bytes]]] = {}
    for speaking in speakings:
        pcm = speaking.fetch()
        if pcm is not None:
            members, frames = by_codec.setdefault(speaking.codec, ([], []))
            members.append(speaking)
            frames.append(pcm)
    for codec, (members, frames) in by_codec.items():
        converted = _convert(codec, members, frames)
        run = len(converted) // len(members)
        for number, frame in enumerate(converted):
            members[number // run].queue(frame)


def _convert(codec: Codec, speakings: list[Speaking], frames: list[bytes]) -> Sequence[BotFrame]:
    """Resample what each call has, and compand it where that is all of the codec; its frames, call by call."""
    resamplers = [speaking.resampler for speaking in speakings if speaking.resampler is not None]
    pcm = b"".join(frames)
    total = len(pcm) // OUTPUT_FRAME_BYTES
    if not resamplers:
        return _cut(pcm, total)  # Opus resamples by itself
    samples: NDArray[np.int16] = samples_of(pcm).reshape(len(frames), -1)
    samples = feed_together(resamplers, samples)
    law = codec.law
    if law is None:
        return _cut(pcm_of(samples), total)
    return [(law, payload) for payload in _cut(law.encode(samples), total)]


def _cut(data: bytes, parts: int) -> list[bytes]:
    size = len(data) // parts
    return [data[start : start + size] for start in range(0, len(data), size)]


def _resampler_for(codec: Codec) -> Resampler | None:
    if codec.encoder_rate_hz == OUTPUT_RATE_HZ:
        return None
    return Resampler(OUTPUT_RATE_HZ, codec.encoder_rate_hz)
