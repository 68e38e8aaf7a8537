"""Whose voice it is: the speaker encoder of Resemblyzer (GE2E), whose weights its package carries.

    pip install --no-deps resemblyzer==0.1.4

Only the weights are used: the package's own needs (librosa, webrtcvad) are not.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soxr
import torch
from torch import Tensor, nn

from finetune.data.audio import RATE_HZ, Samples
from finetune.data.speech import energy_spans
from finetune.errors import ConfigError
from finetune.evaluation.mel import mel_spectrum
from finetune.installed import file_in

_RATE_HZ, _WINDOW, _HOP, _BANDS, _SIZE = 16_000, 400, 160, 40, 256
_FRAMES = 160  # a part is 1.6 s
_STEP = 77  # frames from part to part: 1.3 parts a second
_LEVEL_DBFS = -30.0

Embedding = npt.NDArray[np.float32]
"""[256], length 1; the product of two is their similarity, 0 to 1."""


def speaker_path() -> Path | None:
    """Find the encoder's weights; None if resemblyzer is not installed."""
    return file_in("resemblyzer", "pretrained.pt")


class SpeakerEncoder(nn.Module):
    """Three LSTM layers over mel frames, one vector a part; those of a sound's parts are averaged."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.lstm = nn.LSTM(_BANDS, _SIZE, 3, batch_first=True)
        self.linear = nn.Linear(_SIZE, _SIZE)
        state = torch.load(path, map_location="cpu", weights_only=True)["model_state"]
        own = {name: tensor for name, tensor in state.items() if name.startswith(("lstm.", "linear."))}
        try:
            self.load_state_dict(own)
        except RuntimeError as error:
            raise ConfigError(f"{path} is not resemblyzer 0.1.4's encoder: {error}") from error
        self.eval()

    def forward(self, mels: Tensor) -> Tensor:
        """Vectors [N, 256] of parts [N, 160, 40]."""
        _, (hidden, _) = self.lstm(mels)
        return nn.functional.normalize(torch.relu(self.linear(hidden[-1])), dim=1)

    @torch.inference_mode()
    def embed(self, samples: Samples) -> Embedding | None:
        """Vector of sound at 24 kHz; None if there is no speech in it."""
        spans = energy_spans(samples)
        if not spans:
            return None
        speech = np.concatenate([samples[first:last] for first, last in spans])
        wide = soxr.resample(speech, RATE_HZ, _RATE_HZ)
        level = 10 * np.log10(np.mean(wide.astype(np.float64) ** 2) + 1e-12)
        wide = (wide * 10 ** (max(_LEVEL_DBFS - level, 0.0) / 20)).astype(np.float32)
        mels = mel_spectrum(wide, rate_hz=_RATE_HZ, window=_WINDOW, hop=_HOP, bands=_BANDS)
        starts = range(0, max(len(mels) - _FRAMES + _STEP, 1), _STEP)
        # a last part of which a quarter is missing says too little, unless it is the only one
        starts = [start for start in starts if start == 0 or start + 0.75 * _FRAMES <= len(mels)]
        filled = np.pad(mels, ((0, _FRAMES), (0, 0)))
        parts = np.stack([filled[start : start + _FRAMES] for start in starts]).astype(np.float32)
        return unit(self(torch.from_numpy(parts)).mean(0).numpy())


def unit(vector: npt.NDArray[np.float32]) -> Embedding:
    return vector / max(float(np.linalg.norm(vector)), 1e-9)


def centroid(embeddings: Iterable[Embedding]) -> Embedding:
    """Make one vector of a voice's sounds; raises ValueError without any."""
    return unit(np.mean(np.stack(list(embeddings)), axis=0))
