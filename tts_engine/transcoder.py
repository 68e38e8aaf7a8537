"""`Transcoder`: from the voice's PCM to the format and rate that a client asked, piece by piece.

FFmpeg takes 7 to 12 ms for a second of mp3, opus or aac, and its library up to seconds to be loaded: it works beside
the loop that other voices are sent from. Nothing waits in a line: a stream has one piece in work at most.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

from tts_engine.audio_formats import AudioEncoder, AudioFormat, check_format, encoder_of
from tts_engine.protocol import SAMPLE_RATE_HZ
from tts_engine.resample import StreamResampler

_T = TypeVar("_T")


class Transcoder:
    """One stream, of one task: who feeds it waits for what comes out, so pieces keep their order.

    A task that is cancelled meanwhile leaves at once; the piece that is in work is finished for nobody.
    """

    def __init__(self, resampler: StreamResampler, encoder: AudioEncoder, beside: Executor | None) -> None:
        self._resampler = resampler
        self._encoder = encoder
        self._beside = beside

    @classmethod
    async def of(cls, audio_format: AudioFormat, sample_rate_hz: int, encoders: Executor) -> Transcoder:
        """Make one; raises `SpeechRequestError` if this server cannot encode that format."""
        beside = _beside(audio_format, encoders)
        encoder = await _run(beside, lambda: encoder_of(audio_format, sample_rate_hz))
        return cls(StreamResampler(SAMPLE_RATE_HZ, sample_rate_hz), encoder, beside)

    async def feed(self, pcm: bytes) -> bytes:
        """Take an even number of bytes; gives what is ready, maybe nothing yet."""
        return await _run(self._beside, lambda: self._encoder.feed(self._resampler.feed(pcm)))

    async def flush(self) -> bytes:
        """Give what is left; call it once, at the end."""
        return await _run(self._beside, lambda: self._encoder.feed(self._resampler.flush()) + self._encoder.flush())


async def check_encodable(audio_format: AudioFormat, encoders: Executor) -> None:
    """Raise `SpeechRequestError` if this server cannot encode it. What it takes is loaded then."""
    await _run(_beside(audio_format, encoders), lambda: check_format(audio_format))


def _beside(audio_format: AudioFormat, encoders: Executor) -> Executor | None:
    """Give who does the work, or None for the loop itself: PCM takes less than it would to hand it over."""
    return None if audio_format in ("pcm", "wav") else encoders


async def _run(beside: Executor | None, work: Callable[[], _T]) -> _T:
    return work() if beside is None else await asyncio.get_running_loop().run_in_executor(beside, work)
