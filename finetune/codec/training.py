"""Training a codec on crops of flat sound: continuous at first, then through codebooks; stops if it collapses."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from finetune.budget import Budget
from finetune.codec.health import Health, fault
from finetune.codec.losses import HearingLoss, SpectralLoss
from finetune.codec.model import FRAME_SAMPLES, Codec
from finetune.codec.quantizer import Quantized
from finetune.codec.settings import CodecTraining
from finetune.errors import TrainingError
from finetune.meter.meter import Meter, MeterConfig
from finetune.whole_file import whole_file

Tell = Callable[[str], None]
Guide = Callable[[], Meter | None]
"""The meter to be guided by, once there is one."""

_LATENT_BATCHES = 12
_GAIN_DB = 10.0


@dataclass(frozen=True, slots=True)
class Crops:
    """Crops of flat int16 sound [N] on the device, louder and softer; which ones is a function of seed and step."""

    sound: Tensor
    frames: int
    batch: int
    seed: int

    def draw(self, step: int) -> Tensor:
        """Samples [batch, frames * 1920] in -1..1."""
        length = self.frames * FRAME_SAMPLES
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        starts = torch.randint(len(self.sound) - length, (self.batch, 1), generator=generator)
        places = starts.to(self.sound.device, non_blocking=True) + torch.arange(length, device=self.sound.device)
        gains = 10 ** ((torch.rand(self.batch, 1, generator=generator) - 0.5) * _GAIN_DB / 20)
        return self.sound[places].float() * (gains / 32768.0).to(self.sound.device)


@dataclass(frozen=True, slots=True)
class Progress:
    step: int = 0
    seconds: float = 0.0
    quantised: bool = False


class _Losses(nn.Module):
    """The weighted sum; `hearing` has weights of its own, which are trained with the codec's."""

    def __init__(self, settings: CodecTraining, hidden: int) -> None:
        super().__init__()
        self.settings = settings
        self.spectral = SpectralLoss(24_000)
        self.hearing = HearingLoss(hidden, MeterConfig().width)

    def forward(self, made: Tensor, meant: Tensor, quantized: Quantized, guide: Meter | None) -> tuple[Tensor, Tensor]:
        """Loss, and the mel distance within it."""
        weights = self.settings
        mel, magnitude = self.spectral(made, meant)
        loss = mel + weights.magnitude_weight * magnitude + weights.waveform_weight * fn.l1_loss(made, meant)
        loss = loss + weights.commitment_weight * quantized.commitment + weights.spread_weight * quantized.spread
        if guide is not None:
            heard, semantic = self.hearing(guide, made, meant, quantized.semantic)
            loss = loss + weights.hearing_weight * heard + weights.semantic_weight * semantic
        return loss, mel.detach()


def train_codec(
    codec: Codec, settings: CodecTraining, sound: Tensor, folder: Path, budget: Budget, tell: Tell, guide: Guide
) -> Progress:
    """Train to the end of the budget, going on from the checkpoint in `folder` if there is one.

    Raises TrainingError, naming the symptom, as soon as the codec is beyond repair.
    """
    torch.manual_seed(settings.seed)
    crops = Crops(sound, settings.crop_frames, settings.batch, settings.seed)
    codec.to(sound.device).train()
    losses = _Losses(settings, codec.shape.hidden).to(sound.device)
    parameters = [*codec.parameters(), *losses.hearing.parameters()]
    fused = sound.device.type == "cuda"
    optimiser = torch.optim.AdamW(parameters, settings.learning_rate, (0.8, 0.99), weight_decay=1e-4, fused=fused)
    progress = _restore(folder, codec, losses, optimiser)
    if progress.step == 0:
        codec.calibrate(crops.draw(0))
    before, began, mels, meter = progress.seconds, time.perf_counter(), list[Tensor](), guide()
    while (done := budget.share(progress.step, progress.seconds)) < 1.0:
        if not progress.quantised and done >= settings.continuous_share:
            _begin_codebooks(codec, crops, progress.step)
            progress = replace(progress, quantised=True)
            tell(f"codec step {progress.step}: codebooks begin")
        for group in optimiser.param_groups:
            group["lr"] = settings.learning_rate * _rate(progress.step, done, settings)
        meant = crops.draw(progress.step)
        made, latents, quantized = codec(meant, continuous=not progress.quantised)
        loss, mel = losses(made, meant, quantized, meter)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, settings.clip_norm)
        optimiser.step()
        mels.append(mel)
        progress = replace(progress, step=progress.step + 1, seconds=before + time.perf_counter() - began)
        if progress.step % settings.check_every_steps == 0:
            _check(codec, progress, latents, mels, tell)
            mels.clear()
            meter = meter or guide()
        if progress.step % settings.save_every_steps == 0:
            _save(folder, codec, losses, optimiser, progress)
    _save(folder, codec, losses, optimiser, progress)
    codec.eval()
    return progress


def _rate(step: int, done: float, settings: CodecTraining) -> float:
    falling = 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
    return min(1.0, (step + 1) / settings.warmup_steps) * (settings.final_share + (1 - settings.final_share) * falling)


@torch.no_grad()
def _begin_codebooks(codec: Codec, crops: Crops, step: int) -> None:
    latents = [codec.autoencoder.encode(crops.draw(step + 1 + n)) for n in range(_LATENT_BATCHES)]
    codec.quantizer.begin(torch.cat(latents))


def _check(codec: Codec, progress: Progress, latents: Tensor, mels: list[Tensor], tell: Tell) -> None:
    used = [float(book.perplexity()) for book in codec.quantizer.codebooks()]
    spread, mel = float(latents.detach().std()), float(torch.stack(mels).mean())
    health = Health(progress.step, progress.quantised, spread, used, mel)
    tell(
        f"codec step {health.step} {progress.seconds:.0f} s mel {health.mel:.3f} latent std {health.latent_std:.2f}"
        + (f" used {' '.join(f'{one:.0f}' for one in used)}" if progress.quantised else "")
    )
    if problem := fault(health, codebook_size=codec.shape.codes):
        raise TrainingError(f"codec step {health.step}: {problem}")


def _save(folder: Path, codec: Codec, losses: _Losses, optimiser: torch.optim.Optimizer, progress: Progress) -> None:
    """Write all that going on needs in one file, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        "codec": codec.state_dict(),
        "hearing": losses.hearing.state_dict(),
        "optimiser": optimiser.state_dict(),
        "progress": json.dumps(asdict(progress)),
    }
    with whole_file(folder / "codec.pt") as partial:
        torch.save(state, partial)


def _restore(folder: Path, codec: Codec, losses: _Losses, optimiser: torch.optim.Optimizer) -> Progress:
    path = folder / "codec.pt"
    if not path.exists():
        return Progress()
    state = torch.load(path, weights_only=True, map_location=next(codec.parameters()).device)
    codec.load_state_dict(state["codec"])
    losses.hearing.load_state_dict(state["hearing"])
    optimiser.load_state_dict(state["optimiser"])
    return Progress(**json.loads(state["progress"]))
