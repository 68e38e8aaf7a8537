"""DNSMOS P.835: how good speech sounds to people, guessed by Microsoft's network (weights in the package speechmos).

It hears noise and distortion, not pronunciation: a clean voice of another language gets as much. Scores are 1 to 5.
Window, hop and polynomials are those of `speechmos/dnsmos.py` 0.0.1.1.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import soxr

from finetune.data.audio import RATE_HZ, Samples
from finetune.errors import ConfigError
from finetune.installed import file_in, onnx_session

_RATE_HZ, _WINDOW = 16_000, 144_160  # 9.01 s
_SIGNAL = np.poly1d([-0.08397278, 1.22083953, 0.0052439])
_BACKGROUND = np.poly1d([-0.13166888, 1.60915514, -0.39604546])
_OVERALL = np.poly1d([-0.06766283, 1.11546468, 0.04602535])


@dataclass(frozen=True, slots=True)
class Mos:
    """Mean opinion scores, 1 to 5: of the speech itself, of how quiet its background is, and of the whole."""

    signal: float
    background: float
    overall: float


@cache
def dnsmos_path() -> Path | None:
    """Find the network's file; None if speechmos or onnxruntime is not installed."""
    if importlib.util.find_spec("onnxruntime") is None:
        return None
    return file_in("speechmos", "dnsmos_models/sig_bak_ovr.onnx")


def require_dnsmos(field: str) -> Path:
    """Give the network's file; raises ConfigError with the remedy."""
    path = dnsmos_path()
    if path is None:
        raise ConfigError("DNSMOS needs its weights: pip install 'zeng[quality]'", field=field)
    return path


def dnsmos(samples: Samples, path: Path) -> Mos:
    """Score sound at 24 kHz. Short sound is repeated to fill the window; of long sound a window a second is heard.

    The package hears repeated sound in up to nine windows, which are nearly the same: here it is heard once.
    """
    sound = soxr.resample(samples, RATE_HZ, _RATE_HZ).astype(np.float32)
    if len(sound) < _WINDOW:
        sound = np.resize(sound, _WINDOW)
    hops = range(0, len(sound) - _WINDOW + 1, _RATE_HZ)
    session = onnx_session(path)
    raw = np.concatenate([session.run(None, {"input_1": sound[None, f : f + _WINDOW]})[0] for f in hops])
    signal, background, overall = (
        float(np.mean(curve(raw[:, n]))) for n, curve in enumerate((_SIGNAL, _BACKGROUND, _OVERALL))
    )
    return Mos(signal, background, overall)
