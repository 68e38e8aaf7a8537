"""What the playout buffer gave out becomes sound at 16 kHz, with concealment and comfort noise. On the bot's side."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from telephony.audio.comfort_noise import ComfortNoise
from telephony.audio.frame import is_quiet, pcm_of
from telephony.audio.playout import Conceal, Noise, PlayoutAction, Silence
from telephony.audio.resample import Resampler
from telephony.leg import FRAME_MS, INPUT_FRAME_BYTES, INPUT_RATE_HZ
from telephony.rtp.codec import CODECS, Codec
from telephony.rtp.depacketizer import CodedFrame

_SILENT_FRAME = bytes(INPUT_FRAME_BYTES)
_NOTHING = np.zeros(0, np.int16)


class Decoder:
    """One stream, frame by frame in order; where frames were dropped before, a seam is heard."""

    def __init__(self) -> None:
        self.is_quiet = True  # the last frame was no speech; read by the media thread
        self._noise = ComfortNoise()
        self._begin(CODECS["PCMU"])

    def _begin(self, codec: Codec) -> None:
        self._codec = codec
        self._voice = codec.voice()
        self._resampler = None if codec.rate_hz == INPUT_RATE_HZ else Resampler(codec.rate_hz, INPUT_RATE_HZ)
        self._is_settled = True  # a frame of zeros has gone through the filter since the last sound
        self._is_noisy = False  # the caller has fallen silent and has said how its line hisses
        self._left = _NOTHING  # of an action longer than a frame

    def decode(self, frame: CodedFrame) -> bytes:
        """Give INPUT_FRAME_BYTES of PCM16 at 16 kHz."""
        if frame.codec is not self._codec:
            self._begin(frame.codec)
        was_silent = self._is_silent
        samples = self._take(frame)
        self.is_quiet = is_quiet(samples)
        if was_silent and self._is_silent and not len(self._left):
            if self._is_settled:
                return _SILENT_FRAME
            self._is_settled = True
        else:
            self._is_settled = False
        return pcm_of(samples if self._resampler is None else self._resampler.feed(samples))

    @property
    def _is_silent(self) -> bool:
        return self._voice.is_silent and not self._is_noisy

    def _take(self, frame: CodedFrame) -> NDArray[np.int16]:
        """Give 20 ms at the codec's rate, and keep what is left of a longer action."""
        per_ms = self._codec.rate_hz // 1000
        size = FRAME_MS * per_ms
        parts = [self._sound(action, frame.action_ms * per_ms) for action in frame.actions]
        samples = parts[0] if len(parts) == 1 and not len(self._left) else np.concatenate((self._left, *parts))
        if len(samples) < size:  # the frame that held the rest was dropped on its way
            samples = np.concatenate((samples, self._sound(Conceal(), size - len(samples))))
        self._left = samples[size:][-frame.action_ms * per_ms :]
        return samples[:size]

    def _sound(self, action: PlayoutAction, count: int) -> NDArray[np.int16]:
        if isinstance(action, Noise):
            self._is_noisy = True
            self._noise.describe(action.payload)
        elif not isinstance(action, Silence):
            self._is_noisy = False
        if not self._is_noisy:
            return self._voice.sound(action, count)
        # What was said last fades out into the noise.
        tail = self._voice.sound(Silence(), count).astype(np.int32)
        return np.clip(tail + self._noise.make(count), -32_768, 32_767).astype(np.int16)
