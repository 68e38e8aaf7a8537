"""Training the meter by CTC on clean clips, for so many steps or seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as fn
from torch import Tensor

from finetune.budget import Budget
from finetune.meter.letters import BLANK, encode, error_rate
from finetune.meter.meter import RATE_HZ, Meter, MeterConfig, steps

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Spoken:
    """Clips as slices [start, end) of flat int16 sound [N] on the device, with their spellings."""

    sound: Tensor
    places: np.ndarray
    spellings: Sequence[str]

    def batch(self, chosen: Sequence[int]) -> tuple[Tensor, list[int]]:
        """Samples [B, longest] in -1..1, filled with silence, and their lengths."""
        lengths = [int(self.places[i, 1] - self.places[i, 0]) for i in chosen]
        samples = torch.zeros(len(chosen), max(lengths), device=self.sound.device)
        for row, (i, length) in enumerate(zip(chosen, lengths, strict=True)):
            start = int(self.places[i, 0])
            samples[row, :length] = self.sound[start : start + length] / 32768.0
        return samples, lengths


def train_meter(
    config: MeterConfig, spoken: Spoken, budget: Budget, tell: Tell, *, batch_s: float = 300.0, seed: int = 0
) -> Meter:
    """Train on all clips; the learning rate rises and falls over the budget."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    meter = Meter(config).to(spoken.sound.device)
    optimiser = torch.optim.AdamW(meter.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=0.01)
    targets = [encode(spelling) for spelling in spoken.spellings]
    began, step, batches = time.perf_counter(), 0, iter(())
    while (done := budget.share(step, time.perf_counter() - began)) < 1.0:
        chosen = next(batches, None)
        if chosen is None:
            batches = iter(_batches(spoken, batch_s, rng))
            continue
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * min(1.0, (step + 1) / 200) * max(1.0 - done, 0.01)
        samples, lengths = spoken.batch(chosen)
        frames = meter.ear(samples)
        frames = frames + 0.1 * torch.randn_like(frames) + 0.3 * torch.randn(len(chosen), 1, 1, device=frames.device)
        loss = _ctc(meter(frames), [targets[i] for i in chosen], lengths)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(meter.parameters(), 1.0)
        optimiser.step()
        step += 1
        if step % 200 == 0:
            tell(f"meter step {step} ({100 * done:.0f} %) loss {float(loss.detach()):.3f}")
    return meter.eval().requires_grad_(requires_grad=False)


def measured(meter: Meter, spoken: Spoken) -> float:
    """Letter error rate on clips."""
    with torch.inference_mode():
        clips = [spoken.batch([i])[0][0].cpu().numpy() for i in range(len(spoken.spellings))]
    return error_rate(meter.read_all(clips), list(spoken.spellings))


def _ctc(classes: Tensor, targets: list[list[int]], lengths: list[int]) -> Tensor:
    letters = torch.tensor([letter for target in targets for letter in target], device=classes.device)
    sizes = torch.tensor([len(target) for target in targets])
    heard = torch.tensor([min(steps(length), classes.shape[1]) for length in lengths])
    return fn.ctc_loss(classes.transpose(0, 1), letters, heard, sizes, blank=BLANK, zero_infinity=True)


def _batches(spoken: Spoken, batch_s: float, rng: np.random.Generator) -> list[list[int]]:
    """Clips of like length together, so many that filled up they last `batch_s`; in a random order."""
    lengths = spoken.places[:, 1] - spoken.places[:, 0]
    order = np.argsort(lengths * rng.uniform(0.9, 1.1, len(lengths)))
    batches: list[list[int]] = [[]]
    longest = 0
    for index in order:
        longest = max(longest, int(lengths[index]))
        if batches[-1] and (len(batches[-1]) + 1) * longest > batch_s * RATE_HZ:
            batches.append([])
            longest = int(lengths[index])
        batches[-1].append(int(index))
    rng.shuffle(batches)
    return batches
