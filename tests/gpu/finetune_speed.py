"""How long an epoch of 1,128 clips takes, the notebook's way and ours, with peak memory and the share of peak FLOPs.

The notebook's way: two clips a batch in windows of 15 s, sound encoded in every step, the stock forward, LoRA of
rank 32 by bare names. Ours: codes made beforehand, batches by positions, LoRA of rank 64 with heads and
text rows. Clips are noise of 2 to 12 s; weights are random; sizes are those of CSM-1B, or `--tiny` for a processor.

    python -m tests.gpu.finetune_speed --steps 12 --report $OUT/speed.md
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import CsmConfig, CsmForConditionalGeneration

from finetune.config import BatchSettings, Lora, LossSettings
from finetune.data.clip import Clip
from finetune.data.manifest import Entry
from finetune.training.adaptation import adapt, optimiser
from finetune.training.batch import collate
from finetune.training.corpus import Item
from finetune.training.loss import count, loss_parts, total
from finetune.training.model import tie_audio_embedding
from finetune.training.plan import Planned, steps
from finetune.training.sample import Sample, depth_mask
from tests.unit.finetune.tiny import write_base
from tts_engine.model.prompt import AUDIO

CLIPS = 1128
PEAK_FLOPS = 989e12  # an H100's bfloat16, dense
_TEXT = 60


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds are of one epoch, extrapolated from the steps that were timed."""

    way: str
    clips_per_s: float
    epoch_s: float
    peak_gib: float
    mfu: float


def lengths(number: int) -> list[int]:
    """Give the frames of the clips: 2 to 12 s."""
    return np.random.default_rng(0).integers(25, 150, number).tolist()


def csm(*, tiny: bool, device: torch.device) -> CsmForConditionalGeneration:
    """Make a model of random weights."""
    if tiny:
        with tempfile.TemporaryDirectory() as folder:
            model = CsmForConditionalGeneration.from_pretrained(write_base(Path(folder)).folder)
    else:
        with device:
            model = CsmForConditionalGeneration(CsmConfig())
    tie_audio_embedding(model, model.depth_decoder.model.embed_tokens.weight)
    return model.to(device).train()


def timed(
    way: str, clips: Sequence[int], step: Callable[[int], tuple[int, float]], number: int, device: torch.device
) -> Measured:
    """Time steps after two for warmth; a step returns how many clips it took and the FLOPs it needs at the least."""
    step(0), step(1)
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    done = [step(index + 2) for index in range(number)]
    if cuda:
        torch.cuda.synchronize()
    seconds = time.perf_counter() - started
    rate = sum(taken for taken, _ in done) / seconds
    peak = torch.cuda.max_memory_allocated() / 2**30 if cuda else 0.0
    return Measured(way, rate, len(clips) / rate, peak, sum(flops for _, flops in done) / seconds / PEAK_FLOPS)


def flops(model: CsmForConditionalGeneration, positions: int, depth_frames: int) -> float:
    """Forward and backward through frozen weights: 4 FLOPs a weight and position, attention left out."""
    backbone = sum(p.numel() for p in model.backbone_model.layers.parameters())
    depth = sum(p.numel() for p in model.depth_decoder.model.layers.parameters())
    return 4.0 * (backbone * positions + depth * depth_frames * model.config.num_codebooks)


def notebook(clips: Sequence[int], number: int, device: torch.device, *, tiny: bool) -> Measured:
    """Run the stock forward as the notebook does."""
    model = csm(tiny=tiny, device=device)
    config = model.config
    names = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    wrapped = get_peft_model(model, LoraConfig(r=32, lora_alpha=32, target_modules=names))
    optimisation = torch.optim.AdamW([p for p in wrapped.parameters() if p.requires_grad], lr=2e-4)

    def step(index: int) -> tuple[int, float]:
        optimisation.zero_grad()
        needed = 0.0
        for micro in range(4):
            pair = [clips[(8 * index + 2 * micro + n) % len(clips)] for n in range(2)]
            width = _TEXT + max(pair) + 1
            ids = torch.full((2, width), 3)  # the class has the audio token for padding
            labels = torch.full((2, width), -100)
            mask = torch.zeros(2, width, dtype=torch.int64)
            for row, frames in enumerate(pair):
                audio = [config.audio_token_id] * frames + [config.audio_eos_token_id]
                ids[row, : _TEXT + frames + 1] = torch.tensor([3] * _TEXT + audio)
                labels[row, _TEXT : _TEXT + frames + 1] = torch.tensor(audio)
                mask[row, : _TEXT + frames + 1] = 1
            sound = torch.randn(2, 1, 360_001, device=device) * 0.1
            cutoffs = torch.tensor([[frames * 1920] for frames in pair], device=device)
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                out = wrapped(
                    input_ids=ids.to(device), attention_mask=mask.to(device), input_values=sound,
                    input_values_cutoffs=cutoffs, labels=labels.to(device),
                )  # fmt: skip
            (out.loss / 4).backward()
            needed += flops(model, sum(pair) + 2 * (_TEXT + 1), sum(pair) + 2)
        optimisation.step()
        return 8, needed

    return timed("the notebook's way", clips, step, number, device)


def ours(clips: Sequence[int], number: int, device: torch.device, *, tiny: bool, checkpointing: bool) -> Measured:
    """Run batches by positions over codes made beforehand."""
    model = csm(tiny=tiny, device=device)
    del model.codec_model
    if device.type == "cuda":
        model.to(torch.bfloat16)
    codebooks, settings = model.config.num_codebooks, LossSettings(depth_share=0.5)
    adaptation = adapt(model, Lora(type="lora", rank=4 if tiny else 64), range(3, 60))
    if checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    optimisation = optimiser(adaptation, weight_decay=0.01, fused=device.type == "cuda")
    items = [Item((Entry(_clip(n), "train", 0, "", frames),), _TEXT + frames + 1) for n, frames in enumerate(clips)]
    sizes = BatchSettings(positions_per_step=8000, positions_per_batch=4000, context_share=0.0)
    planned = steps(items, sizes, seed=0, epoch=0)
    rng = np.random.default_rng(0)
    parameters: list[nn.Parameter] = list(adaptation.parameters().values())

    def step(index: int) -> tuple[int, float]:
        optimisation.zero_grad()
        taken, needed = 0, 0.0
        for batch in planned[index % len(planned)]:
            samples = [_sample(clips[one.item], codebooks, rng) for one in batch]
            tensors = collate(samples, [depth_mask(s, share=settings.depth_share, rng=rng) for s in samples])
            counts = count(tensors)
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                loss = total(loss_parts(adaptation.model, tensors.to(device), settings), counts, settings)
            loss.backward()
            taken += len(batch)
            needed += flops(model, _positions(batch), counts.depth_frames)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimisation.step()
        return taken, needed

    return timed("ours, checkpointing" if checkpointing else "ours", clips, step, number, device)


def _positions(batch: Sequence[Planned]) -> int:
    return sum(one.positions for one in batch)


def _clip(number: int) -> Clip:
    return Clip(f"{number}", "", "", "0", 1.0, "", "", None, 0.0, 0.0)


def _sample(frames: int, codebooks: int, rng: np.random.Generator) -> Sample:
    tokens = np.concatenate((np.full(_TEXT, 3), np.full(frames + 1, AUDIO))).astype(np.int32)
    codes = np.zeros((len(tokens), codebooks), np.int16)
    codes[_TEXT:-1] = rng.integers(1, 60, (frames, codebooks))
    end = np.arange(len(tokens)) == len(tokens) - 1
    return Sample(tokens, codes, tokens == AUDIO, end)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--report", type=Path)
    args = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    clips = lengths(CLIPS)
    rows = ["| way | clips/s | s per epoch of 1,128 | peak GiB | MFU |", "|---|---|---|---|---|"]
    ways: list[Callable[[], Measured]] = [
        lambda: notebook(clips, args.steps, device, tiny=args.tiny),
        lambda: ours(clips, args.steps, device, tiny=args.tiny, checkpointing=False),
        lambda: ours(clips, args.steps, device, tiny=args.tiny, checkpointing=True),
    ]
    for way in ways:
        m = way()
        rows.append(f"| {m.way} | {m.clips_per_s:.1f} | {m.epoch_s:.0f} | {m.peak_gib:.1f} | {100 * m.mfu:.1f} % |")
        print(rows[-1], flush=True)
        if device.type == "cuda":
            torch.cuda.empty_cache()
    if args.report:
        args.report.parent.mkdir(parents=True, exist_ok=True)
        args.report.write_text("\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
