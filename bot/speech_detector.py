"""Silero voice detection: one ONNX session a process, a small state a call.

Pipecat's analyzer loads its own session and thread for every call (11 MB and a thread each); the
model file that Pipecat ships is used here with one shared session.
"""

from __future__ import annotations

from importlib import resources
from typing import Protocol, cast

import numpy as np
import onnxruntime
from numpy.typing import NDArray

WINDOW_SAMPLES = 512  # at 16 kHz; the model takes no other size
WINDOW_MS = 32
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
        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = 1
        options.intra_op_num_threads = 1
        model = resources.files("pipecat.audio.vad.data").joinpath("silero_vad.onnx")
        with resources.as_file(model) as path:
            self._session = onnxruntime.InferenceSession(
                str(path), providers=["CPUExecutionProvider"], sess_options=options
            )
        self._rate = np.array(16_000, dtype=np.int64)

    def score(
        self, windows: NDArray[np.float32], states: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """`windows` is float32 [n, 576], `states` [2, n, 128]; returns n probabilities and new states."""
        outputs = self._session.run(None, {"input": windows, "state": states, "sr": self._rate})
        probabilities, new_states = cast("tuple[NDArray[np.float32], NDArray[np.float32]]", tuple(outputs))
        return probabilities[:, 0], new_states


class SpeechDetector:
    """One call's voice detection: frames of any size in, one probability a window out."""

    def __init__(self, model: SpeechModel) -> None:
        self._model = model
        self._pending = np.zeros(0, dtype=np.float32)
        self._input = np.zeros((1, _CONTEXT_SAMPLES + WINDOW_SAMPLES), dtype=np.float32)
        self._state = np.zeros((2, 1, 128), dtype=np.float32)
        self._windows_since_reset = 0
        self._clear_windows = 0

    async def feed(self, pcm: bytes, *, speaking: bool) -> list[float]:
        """PCM16 at 16 kHz in; the probabilities of the windows it completed out (mostly one or none)."""
        samples = np.frombuffer(pcm, dtype="<i2").astype(np.float32) / 32768.0
        self._pending = np.concatenate((self._pending, samples))
        probabilities: list[float] = []
        while len(self._pending) >= WINDOW_SAMPLES:
            window, self._pending = self._pending[:WINDOW_SAMPLES], self._pending[WINDOW_SAMPLES:]
            probabilities.append(await self._score(window, speaking=speaking))
        return probabilities

    async def _score(self, window: NDArray[np.float32], *, speaking: bool) -> float:
        self._input[0, :_CONTEXT_SAMPLES] = self._input[0, -_CONTEXT_SAMPLES:]
        self._input[0, _CONTEXT_SAMPLES:] = window
        probability, self._state = await self._model.score(self._input, self._state)
        self._windows_since_reset += 1
        self._clear_windows = self._clear_windows + 1 if probability < _CLEAR_SILENCE else 0
        if not speaking and self._windows_since_reset >= _RESET_AFTER_WINDOWS and self._clear_windows >= _CLEAR_WINDOWS:
            self._state = np.zeros_like(self._state)
            self._input[:] = 0.0
            self._windows_since_reset = 0
        return probability
