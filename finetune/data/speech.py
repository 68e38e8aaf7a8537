"""Where speech is: Silero's network where its file is installed, else energy."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import soxr

from finetune.data.audio import RATE_HZ, Samples
from finetune.errors import ConfigError
from finetune.installed import file_in, onnx_session

Span = tuple[int, int]
"""First sample and the one after the last."""
FindSpeech = Callable[[Samples], list[Span]]

_BLOCK = RATE_HZ // 100
_SILERO_RATE_HZ, _SILERO_BLOCK, _SILERO_CONTEXT = 16_000, 512, 64


def speech_finder(vad: Literal["auto", "silero", "energy"]) -> FindSpeech:
    """Choose the finder; `auto` takes Silero if its file and onnxruntime are there."""
    path = silero_path() if vad != "energy" else None
    if path is not None:
        return lambda samples: silero_spans(samples, path)
    if vad == "silero":
        raise ConfigError("silero needs pipecat-ai and onnxruntime installed; `energy` needs nothing", field="trim.vad")
    return energy_spans


@cache
def silero_path() -> Path | None:
    """Silero's ONNX file as pipecat-ai ships it; the package itself is not imported."""
    if importlib.util.find_spec("onnxruntime") is None:
        return None
    return file_in("pipecat", "audio/vad/data/silero_vad.onnx")


def silero_spans(samples: Samples, path: Path) -> list[Span]:
    """Spans of speech; the network sees 16 kHz in blocks of 32 ms and carries its state over them."""
    wide = soxr.resample(samples, RATE_HZ, _SILERO_RATE_HZ, quality="HQ").astype(np.float32)
    blocks = np.pad(wide, (0, -len(wide) % _SILERO_BLOCK)).reshape(-1, _SILERO_BLOCK)
    session = onnx_session(path)
    state, context = np.zeros((2, 1, 128), np.float32), np.zeros((1, _SILERO_CONTEXT), np.float32)
    scores = np.empty(len(blocks))
    rate = np.array(_SILERO_RATE_HZ, np.int64)
    for index, block in enumerate(blocks):
        seen = np.concatenate((context, block[None]), axis=1)
        score, state = session.run(None, {"input": seen, "state": state, "sr": rate})
        scores[index], context = float(score[0, 0]), seen[:, -_SILERO_CONTEXT:]
    block = _SILERO_BLOCK * RATE_HZ // _SILERO_RATE_HZ
    return _spans(_hysteresis(scores, 0.5, 0.35), block, len(samples), pause=0.1, shortest=0.1)


def energy_spans(samples: Samples) -> list[Span]:
    """Spans up to 35 dB under the loud parts and 8 dB over the quiet ones, or half way to them; blocks of 10 ms."""
    levels = levels_db(samples, _BLOCK)
    if not len(levels):
        return []
    loud, floor = np.percentile(levels, 95), np.percentile(levels, 5)
    if loud - floor < 6.0:  # as even as noise or a tone
        return []
    # between the two: under the floor, a noisy recording would be speech throughout, and its noise not be measured
    threshold = max(loud - 35.0, floor + min(8.0, (loud - floor) / 2), -60.0)
    return _spans(levels > threshold, _BLOCK, len(samples), pause=0.1, shortest=0.05)


def levels_db(samples: Samples, block: int) -> npt.NDArray[np.float64]:
    """RMS of each whole block in dBFS, -120 at the least."""
    whole = samples[: len(samples) // block * block].astype(np.float64).reshape(-1, block)
    return 10.0 * np.log10(np.maximum((whole**2).mean(axis=1), 1e-12))


def _hysteresis(scores: npt.NDArray[np.float64], high: float, low: float) -> npt.NDArray[np.bool_]:
    speech, out = False, np.zeros(len(scores), np.bool_)
    for index, score in enumerate(scores):
        speech = score >= (low if speech else high)
        out[index] = speech
    return out


def _spans(speech: npt.NDArray[np.bool_], block: int, length: int, *, pause: float, shortest: float) -> list[Span]:
    """Give runs of True in samples; those parted by under `pause` s are one, those under `shortest` s go."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], speech.astype(np.int8), [0]))))
    joined: list[Span] = []
    for first, last in zip(edges[::2] * block, edges[1::2] * block, strict=True):
        if joined and first - joined[-1][1] < pause * RATE_HZ:
            joined[-1] = (joined[-1][0], int(last))
        else:
            joined.append((int(first), int(last)))
    return [(first, min(last, length)) for first, last in joined if last - first >= shortest * RATE_HZ]
