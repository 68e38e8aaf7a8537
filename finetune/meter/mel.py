"""Mel spectrograms in PyTorch, so that gradients pass through them: for the meter's ear and for the codec's loss."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

FLOOR = 1e-4


class MelSpectrum(nn.Module):
    """Magnitudes by a Hann window of `window` samples every `hop`, and their sums over mel bands."""

    def __init__(self, rate_hz: int, window: int, hop: int, bands: int) -> None:
        super().__init__()
        self.window, self.hop = window, hop
        self.register_buffer("hann", torch.hann_window(window), persistent=False)
        self.register_buffer("bank", _bank(rate_hz, window, bands), persistent=False)
        self.hann: Tensor
        self.bank: Tensor

    def forward(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Magnitudes [B, window / 2 + 1, T] and mel magnitudes [B, bands, T] of samples [B, N]."""
        spectrum = torch.stft(samples, self.window, self.hop, window=self.hann, return_complex=True)
        # the root has no gradient at zero, which silence is
        magnitudes = (spectrum.real.square() + spectrum.imag.square() + 1e-9).sqrt()
        return magnitudes, self.bank @ magnitudes


def _bank(rate_hz: int, window: int, bands: int) -> Tensor:
    """Triangles of equal area, [bands, window / 2 + 1], on the mel scale of HTK."""
    mels = np.linspace(0.0, 2595 * np.log10(1 + rate_hz / 2 / 700), bands + 2)
    edges = 700 * (10 ** (mels / 2595) - 1)
    bins = np.linspace(0.0, rate_hz / 2, window // 2 + 1)
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (bins - left) / (centre - left), (right - bins) / (right - centre)
    triangles = np.maximum(0.0, np.minimum(rising, falling)) * 200.0 / (right - left)
    return torch.from_numpy(triangles.astype(np.float32))
