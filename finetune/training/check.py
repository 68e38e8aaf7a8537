"""What is measured on the way: the loss on held-out clips, and whether held-out sentences end when spoken."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from finetune.config import BatchSettings, CheckSettings, LossSettings
from finetune.data.audio import Samples
from finetune.training.batch import collate
from finetune.training.corpus import Item, TrainingCorpus
from finetune.training.devices import Devices
from finetune.training.loss import Counts, loss_parts
from finetune.training.plan import steps
from finetune.training.servable import Servable
from finetune.voice import Voice
from tts_engine.model.sampling import Sampling

FRAMES_PER_S = 12.5


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Mean negative log likelihoods in nats: of codebook 0, the others, codebook 0 at ends, and each codebook."""

    codebook0: float
    depth: float
    ends: float
    codebooks: tuple[float, ...]

    @property
    def loss(self) -> float:
        return self.codebook0 + self.depth

    @property
    def perplexities(self) -> tuple[float, ...]:
        return tuple(math.exp(min(nll, 50.0)) for nll in self.codebooks)


@torch.no_grad()
def held_out(
    model: nn.Module, corpus: TrainingCorpus, items: Sequence[Item], devices: Devices, *, positions: int, bf16: bool
) -> HeldOut:
    """Measure every frame of the items, without context; each process takes its share of the batches.

    Processes that hold parts of the layers all take every batch.
    """
    settings = BatchSettings(positions_per_step=1, positions_per_batch=positions, context_share=0.0)
    training, device = model.training, devices.device.type
    model.eval()
    sums: Tensor | None = None
    counts = Counts(0, 0, 0)
    for number, step in enumerate(steps(items, settings, seed=0, epoch=0)):
        for batch in step:
            for sample in batch:
                counts = counts + items[sample.item].counts(1.0)
            if not devices.sharded and number % devices.count != devices.rank:
                continue
            samples = [corpus.sample(items[sample.item]) for sample in batch]
            tensors = collate(samples, [sample.target for sample in samples]).to(devices.device)
            # compiled layers would be compiled anew without gradients, which takes longer than all that is measured
            with torch.compiler.set_stance("force_eager"), torch.autocast(device, torch.bfloat16, enabled=bf16):
                parts = loss_parts(model, tensors, LossSettings(depth_share=1.0))
            own = torch.cat((parts.codebooks, parts.ends[None])).double()
            sums = own if sums is None else sums + own
    model.train(training)
    if sums is None:
        sums = torch.zeros(corpus.prepared.num_codebooks + 1, dtype=torch.float64, device=devices.device)
    whole = sums if devices.sharded else devices.sum(sums)
    *codebooks, ends = (whole / max(counts.frames, 1)).tolist()
    known = len(codebooks) - 1
    return HeldOut(
        codebooks[0], sum(codebooks[1:]) / known, ends * counts.frames / max(counts.ends, 1), tuple(codebooks)
    )


def with_texts_swapped(items: Sequence[Item]) -> list[Item]:
    """Give each item the text of another of like length: a model that reads finds its sound much less likely.

    Until it does, its loss under either text is the same, and what it says is babble.
    """
    order = sorted(range(len(items)), key=lambda n: len(items[n].entries[-1].clip.text))
    swapped = list(items)
    for n, other in zip(order, [*order[1:], *order[:1]], strict=True):
        *before, last = items[n].entries
        text = items[other].entries[-1].clip.text
        # planned by the longer of the two, since it may be as long as that
        positions = max(items[n].positions, items[other].positions)
        swapped[n] = Item((*before, replace(last, clip=replace(last.clip, text=text))), positions)
    return swapped


@dataclass(frozen=True, slots=True)
class Said:
    """Held-out sentences as the server would say them: the share that ended, and some to listen to at 24 kHz."""

    stop_rate: float
    texts: tuple[str, ...]
    sounds: tuple[Samples, ...]


def say(servable: Servable, items: Sequence[Item], settings: CheckSettings, devices: Devices) -> Said:
    """Say the items' last texts as the server would."""
    dtype = torch.bfloat16 if devices.device.type == "cuda" else torch.float32
    voice = Voice(servable.folder, adapter=servable.adapter, device=devices.device, dtype=dtype)
    limit = round(settings.limit_s * FRAMES_PER_S)
    chosen = [item.entries[-1] for item in items[: settings.sentences]]
    prompts = [voice.builder.build(e.clip.text, speaker=e.voice, reserve_frames=limit) for e in chosen]
    spoken = voice.speak(prompts, [Sampling(seed=number) for number in range(len(prompts))], frames_max=limit)
    sounds = voice.sound([one.codes for one in spoken[: settings.sounds]])
    texts = tuple(entry.clip.text for entry in chosen[: settings.sounds])
    return Said(sum(one.stopped for one in spoken) / len(spoken), texts, tuple(sounds))
