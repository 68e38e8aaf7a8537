"""`SmartTurn`: does a pause sound as if the caller has finished? Pipecat's Smart Turn v3, one session a process.

Pipecat's analyzer loads the model (8.7 MB) for every call and keeps the audio itself; here the file that Pipecat
ships is used with one shared session, on the audio that the recogniser is given. It was not trained on Azerbaijani;
docs/recognition.md has what it says of our clips.
"""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray
from pipecat.audio.turn.smart_turn._whisper_features import (  # its only home; a test holds it to what the model wants
    compute_whisper_log_mel_features,
)

from bot.shipped_weights import session_of

_RATE_HZ = 16_000
_SAMPLES = 8 * _RATE_HZ  # the model hears the last 8 s


class SmartTurn:
    """The shared ONNX session; `finished` may be called from any thread and takes about 80 ms of one core."""

    def __init__(self, *, threshold: float) -> None:
        self._threshold = threshold
        self._session = session_of("pipecat.audio.turn.smart_turn.data", "smart-turn-v3.2-cpu.onnx")

    def finished(self, pcm: bytes) -> bool:
        """PCM16 at 16 kHz of the turn so far, to the pause."""
        samples = np.frombuffer(pcm, dtype="<i2").astype(np.float32)[-_SAMPLES:] / 32768.0
        heard = np.pad(samples, (_SAMPLES - len(samples), 0))
        features = cast("NDArray[np.float32]", compute_whisper_log_mel_features(heard, do_normalize=True))
        output = self._session.run(None, {"input_features": features[np.newaxis].astype(np.float32)})[0]
        return float(cast("NDArray[np.float32]", output).item()) > self._threshold
