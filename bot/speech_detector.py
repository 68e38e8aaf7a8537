"""Silero voice detection: one ONNX session a process, a small state a call.

Pipecat's analyzer loads its own session and thread for every call (11 MB and a thread each); the
model file that Pipecat ships is used here with one shared session.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from bot.shipped_weights import session_of
from bot.voice_gate import EARLIER_WINDOWS, VoiceGate

WINDOW_SAMPLES = 512  # at 16 kHz; the model takes no other size
WINDOW_MS = 32
_WINDOW_BYTES = 2 * WINDOW_SAMPLES
_FULL_SCALE = 32768.0
_CONTEXT_SAMPLES = 64  # the end of the window before, which the model wants in front
# Non-speech drags the recurrent state until speech is under-reported; clear it in clear silence only.
_RESET_AFTER_WINDOWS = 62  # 2 s
_CLEAR_SILENCE = 0.1
_CLEAR_WINDOWS = 5


class SpeechModel(Protocol):
    """Scores one window given what it remembers of the call; see `bot.speech_batch`."""

    async def score(self, window: NDArray[np.float32], state: NDArray[np.float32]) -> tuple[float, NDArray[np.float32]]:
        """`window` is float32 [1, 576], `state` float32 [2, 1, 128]; returns probability and new state."""
        ...


class SileroSession:
    """The shared ONNX session; `score` may be called from any thread. Windows of several calls may go in at once."""

    def __init__(self) -> None:
        self._session = session_of("pipecat.audio.vad.data", "silero_vad.onnx")
        self._rate = np.array(16_000, dtype=np.int64)

    def score(
        self, windows: NDArray[np.float32], states: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """`windows` is float32 [n, 576], `states` [2, n, 128]; returns n probabilities and new states."""
        outputs = self._session.run(None, {"input": windows, "state": states, "sr": self._rate})
        probabilities, new_states = cast("tuple[NDArray[np.float32], NDArray[np.float32]]", tuple(outputs))
        return probabilities[:, 0], new_states


class SpeechDetector:
    """One call's voice detection: frames of any size in, one probability a window out.

    Windows in which there is nothing but the line's noise are not scored: their probability is 0 (`bot.voice_gate`).
    """

    def __init__(self, model: SpeechModel) -> None:
        self._model = model
        self._gate = VoiceGate()
        self._pending = b""
        self._earlier: deque[NDArray[np.float32]] = deque(maxlen=EARLIER_WINDOWS)
        self._input = np.zeros((1, _CONTEXT_SAMPLES + WINDOW_SAMPLES), dtype=np.float32)
        self._state = np.zeros((2, 1, 128), dtype=np.float32)
        self._windows_since_reset = 0
        self._clear_windows = 0

    @property
    def noise_db(self) -> float:
        """How loud the line is when nobody speaks, in dBFS; at least -66."""
        return self._gate.noise_db

    async def feed(self, pcm: bytes, *, speaking: bool) -> list[float]:
        """PCM16 at 16 kHz in; the probabilities of the windows it completed out (mostly one or none)."""
        self._pending += pcm
        probabilities: list[float] = []
        while len(self._pending) >= _WINDOW_BYTES:
            window = np.frombuffer(self._pending, dtype="<i2", count=WINDOW_SAMPLES).astype(np.float32)
            self._pending = self._pending[_WINDOW_BYTES:]
            probabilities.append(await self._judge(window, speaking=speaking))
        return probabilities

    async def _judge(self, window: NDArray[np.float32], *, speaking: bool) -> float:
        was_open = self._gate.is_open
        if not self._gate.hears(level_db(window)):
            self._earlier.append(window)
            return 0.0
        if not was_open:
            await self._catch_up()
        probability = await self._score(window)
        self._gate.scored(probability, speaking=speaking)
        self._clear_windows = self._clear_windows + 1 if probability < _CLEAR_SILENCE else 0
        if not speaking and self._windows_since_reset >= _RESET_AFTER_WINDOWS and self._clear_windows >= _CLEAR_WINDOWS:
            self._reset()
        return probability

    async def _catch_up(self) -> None:
        """Let the model hear, from a clear state, what was not scored."""
        self._reset()
        while self._earlier:
            await self._score(self._earlier.popleft())

    def _reset(self) -> None:
        self._state = np.zeros_like(self._state)
        self._input[:] = 0.0
        self._windows_since_reset = self._clear_windows = 0

    async def _score(self, window: NDArray[np.float32]) -> float:
        self._input[0, :_CONTEXT_SAMPLES] = self._input[0, -_CONTEXT_SAMPLES:]
        np.multiply(window, 1 / _FULL_SCALE, out=self._input[0, _CONTEXT_SAMPLES:])
        probability, self._state = await self._model.score(self._input, self._state)
        self._windows_since_reset += 1
        return probability


def level_db(samples: NDArray[np.float32]) -> float:
    """Mean power of samples in the range of PCM16, in dBFS."""
    power = float(samples.dot(samples)) / (len(samples) * _FULL_SCALE**2)
    return 10 * math.log10(power) if power else -math.inf
