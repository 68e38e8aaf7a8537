"""What the playout buffer gave out becomes sound: G.711, concealment, 8 to 16 kHz. Runs on the bot's side."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from telephony.audio.conceal import Concealer, crossfade
from telephony.audio.frame import is_quiet, pcm_of
from telephony.audio.g711 import G711
from telephony.audio.playout import Decode, PlayoutAction
from telephony.audio.resample import Resampler
from telephony.leg import FRAME_MS, INPUT_FRAME_BYTES, INPUT_RATE_HZ
from telephony.rtp.codec import CLOCK_HZ
from telephony.rtp.depacketizer import CodedFrame

_FRAME = CLOCK_HZ * FRAME_MS // 1000
_SILENT_FRAME = bytes(INPUT_FRAME_BYTES)


class Decoder:
    """One stream, frame by frame in order; where frames were dropped before, a seam is heard."""

    def __init__(self) -> None:
        self.is_quiet = True  # the last frame was no speech; read by the media thread
        self._concealer = Concealer(CLOCK_HZ)
        self._resampler = Resampler(CLOCK_HZ, INPUT_RATE_HZ)
        self._is_settled = True  # a frame of zeros has gone through the filter since the last sound

    def decode(self, frame: CodedFrame) -> bytes:
        """Give INPUT_FRAME_BYTES of PCM16 at 16 kHz."""
        was_silent = self._concealer.is_silent
        size = _FRAME // len(frame.actions)
        samples = np.concatenate([self._sound(action, frame.codec, size) for action in frame.actions])
        self.is_quiet = is_quiet(samples)
        if was_silent and self._concealer.is_silent:
            if self._is_settled:
                return _SILENT_FRAME
            self._is_settled = True
        else:
            self._is_settled = False
        return pcm_of(self._resampler.feed(samples))

    def _sound(self, action: PlayoutAction, codec: G711, size: int) -> NDArray[np.int16]:
        if not isinstance(action, Decode):
            return self._concealer.conceal(size)  # fades out, then is silent
        samples = codec.decode(action.payload)
        if action.merge is not None:
            samples = crossfade(codec.decode(action.merge), samples)
        return self._concealer.feed(samples)
