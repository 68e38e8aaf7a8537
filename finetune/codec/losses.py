"""What a codec is trained to keep: spectra at several resolutions, and what a recogniser hears."""

from __future__ import annotations

import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from finetune.meter.mel import FLOOR, MelSpectrum
from finetune.meter.meter import Meter

_SCALES = ((2048, 100), (1024, 80), (512, 48), (256, 24), (128, 12))
_HEARD = (2, 5, 8)  # blocks of the meter: sounds, then letters


class SpectralLoss(nn.Module):
    """Distance of log-mel spectra, and of magnitudes relative to their norm, over windows of 5 to 85 ms."""

    def __init__(self, rate_hz: int) -> None:
        super().__init__()
        self.spectra = nn.ModuleList(MelSpectrum(rate_hz, window, window // 4, bands) for window, bands in _SCALES)

    def forward(self, made: Tensor, meant: Tensor) -> tuple[Tensor, Tensor]:
        """Log-mel distance (natural logarithm, mean over scales) and relative magnitude distance of samples [B, N]."""
        mel_distance, distance = made.new_zeros(()), made.new_zeros(())
        for spectrum in self.spectra:
            magnitudes, mel = spectrum(made)
            with torch.no_grad():
                wanted, wanted_mel = spectrum(meant)
            mel_distance = mel_distance + fn.l1_loss(mel.clamp(min=FLOOR).log(), wanted_mel.clamp(min=FLOOR).log())
            distance = distance + (magnitudes - wanted).norm() / (wanted.norm() + 1e-3)
        return mel_distance / len(_SCALES), distance / len(_SCALES)


class HearingLoss(nn.Module):
    """What the meter makes of the sound: its states, and those that the semantic codebook should carry.

    Codecs trained on spectra alone keep the energy and lose the letters (arXiv 2603.05887). The meter comes as an
    argument, since it may be trained while the codec already is.
    """

    def __init__(self, hidden_size: int, width: int) -> None:
        super().__init__()
        self.to_states = nn.Conv1d(hidden_size, width, 1)

    def forward(self, meter: Meter, made: Tensor, meant: Tensor, semantic: Tensor) -> tuple[Tensor, Tensor]:
        """Distance of states for samples [B, N], and of the semantic latents [B, hidden, T] from the states."""
        with torch.no_grad():
            wanted = meter.states(meter.ear(meant))
        states = meter.states(meter.ear(made))
        blocks = [min(n, len(states) - 1) for n in _HEARD]
        heard = [fn.l1_loss(states[n], wanted[n]) / wanted[n].abs().mean().clamp(min=1e-3) for n in blocks]
        frames = fn.adaptive_avg_pool1d(wanted[blocks[-1]], semantic.shape[-1])
        likeness = fn.cosine_similarity(self.to_states(semantic), frames, dim=1)
        return torch.stack(heard).mean(), 1.0 - likeness.mean()
