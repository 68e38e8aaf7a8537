"""One optimiser step: forward and backward of its batches, sums over the devices, the weights moved."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from finetune.config import RunSettings
from finetune.errors import TrainingError
from finetune.training.adaptation import Adaptation, optimiser
from finetune.training.batch import Batch
from finetune.training.devices import Devices
from finetune.training.feed import Ready
from finetune.training.forward import compile_layers
from finetune.training.loss import Counts, Nll, head_nll, loss_parts, total, unwrap
from finetune.training.schedule import rate
from finetune.training.sharding import shard_layers


@dataclass(frozen=True, slots=True)
class Learner:
    """What learns: the model with what is trained in it, its optimiser, and the devices it is on."""

    settings: RunSettings
    devices: Devices
    adaptation: Adaptation
    optimiser: torch.optim.Optimizer
    nll: Nll

    @property
    def bf16(self) -> bool:
        return self.settings.precision == "bf16"


def make_learner(settings: RunSettings, devices: Devices, adaptation: Adaptation) -> Learner:
    """Make the optimiser, and prepare the model on its device as the settings say."""
    csm, nll = unwrap(adaptation.model), head_nll
    # cuDNN's attention builds a plan for each shape of batch that it meets, 0.13 s on an H200, and nearly every batch
    # has a shape of its own; the other kernels need no plan. For the process, since going back recomputes layers
    torch.backends.cuda.enable_cudnn_sdp(enabled=False)
    if settings.gradient_checkpointing:
        csm.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    if settings.compile:
        compile_layers(csm)
        nll = torch.compile(head_nll, dynamic=True)
    if devices.sharded:
        shard_layers(csm, devices.device, count=devices.count, bf16=settings.precision == "bf16")
    fused = devices.device.type == "cuda"
    optimisation = optimiser(adaptation, weight_decay=settings.schedule.weight_decay, fused=fused)
    return Learner(settings, devices, adaptation, optimisation, nll)


def optimiser_step(
    learner: Learner, ready: Ready, *, step: int, codebooks: int, place: float | None = None
) -> dict[str, float]:
    """Learn from one step's batches; returns its numbers, the same on every process. Raises TrainingError.

    `place` is where in the schedule it is, if that is not its number.
    """
    settings, devices = learner.settings, learner.devices
    # dropout is a function of the step, so that a run that goes on draws what it would have drawn
    torch.manual_seed(settings.seed * 1_000_003 + step * 1_009 + devices.rank)
    parameters = list(learner.adaptation.parameters().values())
    learner.optimiser.zero_grad(set_to_none=True)
    sums = torch.zeros(codebooks + 2, device=devices.device)
    for batch in ready.batches:
        sums += _backward(learner, batch, ready.counts)
    if ready.idle is not None:
        _backward(learner, ready.idle, ready.counts, weight=0.0)
    devices.sum_gradients(parameters)
    norm = devices.clip(parameters, settings.schedule.clip_norm)
    factor = rate(step if place is None else place, settings.schedule)
    for group in learner.optimiser.param_groups:
        group["lr"] = group["peak"] * factor
    # the one place where the host waits for the device
    *numbers, length = torch.cat((devices.sum(sums), norm[None].to(sums.dtype))).tolist()
    if not all(math.isfinite(number) for number in (*numbers, length)):
        raise TrainingError(
            f"step {step + 1} has no finite loss: lower the learning rates, or go on with precision=fp32"
        )
    learner.optimiser.step()
    first, *depth, ends, loss = numbers
    counts = ready.counts
    return {
        "loss": loss,
        "codebook0": first / max(counts.frames, 1),
        "depth": sum(depth) / max(counts.depth_frames * len(depth), 1),
        "ends": ends / max(counts.ends, 1),
        "gradient_norm": length,
        "rate": factor,
        "positions": ready.positions,
    }


def _backward(learner: Learner, batch: Batch, counts: Counts, *, weight: float = 1.0) -> Tensor:
    """Add a batch's gradients; returns the sums by codebook, of the ends, and its part of the loss."""
    settings, device = learner.settings, learner.devices.device
    with torch.autocast(device.type, torch.bfloat16, enabled=learner.bf16):
        parts = loss_parts(learner.adaptation.model, batch.to(device), settings.loss, learner.nll)
        loss = total(parts, counts, settings.loss)
    (loss * weight).backward()
    return torch.cat((parts.codebooks, parts.ends[None], loss.detach()[None]))
