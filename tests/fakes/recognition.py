"""A recognition model that says what it is told, when it is let; and an embedder that knows words only."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from bot.recognition.whisper import Heard, Request, Stopped


def heard(text: str = "salam", *, audio_s: float = 1.0, avg_logprob: float = -0.5, no_speech: float = 0.0) -> Heard:
    """Make a result of a model."""
    return Heard(
        text=text,
        tokens=(1, 2, 3),
        audio_s=audio_s,
        avg_logprob=avg_logprob,
        no_speech_prob=no_speech,
        encode_s=0.01,
        decode_s=0.02,
    )


class FakeWhisper:
    """Answers `result` to every request; holds each one until `gate` is set."""

    def __init__(self, result: Heard | Exception) -> None:
        self._result = result
        self.gate = threading.Event()
        self.gate.set()
        self.started = threading.Semaphore(0)  # released as each request begins
        self.stopped = threading.Semaphore(0)  # released as each request is given up
        self.requests: list[Request] = []

    def can_read(self, language: str) -> bool:
        return language == "az"

    def transcribe(self, request: Request, *, stopped: Callable[[], bool] = lambda: False) -> Heard:
        self.requests.append(request)
        self.started.release()
        while not self.gate.wait(timeout=0.005):
            if stopped():
                self.stopped.release()
                raise Stopped
        if isinstance(self._result, Exception):
            raise self._result
        return self._result


class WordEmbedder:
    """One direction a word: sentences with words in common are alike."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self.embedded: list[str] = []

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.embedded += texts
        rows = np.zeros((len(texts), 512), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.split():
                row[self._places.setdefault(word, len(self._places))] += 1
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
