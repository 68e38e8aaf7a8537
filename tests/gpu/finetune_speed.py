"""How long an epoch of 1,128 clips takes, the notebook's way and ours, with peak memory and the share of peak FLOPs.

The notebook's way: two clips a batch and four batches a step in windows of 15 s, sound encoded in every step, the
stock forward, LoRA of rank 32 by bare names. Ours: the product's own feed and step over codes made beforehand, with
what makes them fast switched on one after the other. `plain` is the library's forward over our batches, with masks.

Clips have the lengths of read sentences (log-normal, 1 to 15 s, mean 4 s) and Azerbaijani's 8 text tokens a second;
codes and weights are random; sizes are those of CSM-1B, or `--tiny` for a processor. Ours is timed over two epochs
after one for warmth, of which the better counts; the notebook's way over `--steps` of its 141 steps, gone through
twice: cuDNN makes a plan for every length of sound that the codec has not met, and the row `lengths met first` pays for
those, which an epoch does once. What is compared with ours is the second time.
TORCH_LOGS=recompiles says whether torch compiles anew on the way.

    python -m tests.gpu.finetune_speed --report $OUT/speed.md
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from safetensors.numpy import save_file
from transformers import CsmConfig, CsmForConditionalGeneration

from finetune.config import RunSettings, parse_settings
from finetune.data.clip import Clip
from finetune.data.manifest import Entry, Prepared, write_manifest, write_prepared
from finetune.data.text import NORMALISER
from finetune.training import loss as loss_module
from finetune.training.adaptation import adapt
from finetune.training.batch import Batch
from finetune.training.corpus import TrainingCorpus
from finetune.training.devices import Devices
from finetune.training.feed import Feed, Ready, ahead
from finetune.training.forward import audio_sums
from finetune.training.loss import unwrap
from finetune.training.model import tie_audio_embedding
from finetune.training.step import Learner, make_learner, optimiser_step
from tests.fakes.tiny_csm import write_tokenizer
from tests.unit.finetune.tiny import write_base
from tts_engine.model.prompt import PromptBuilder
from tts_engine.model.tokenizer import TextTokenizer

CLIPS = 1128
PEAK_FLOPS = 989e12  # an H100's and H200's bfloat16, dense
_TOKENS_A_SECOND = 8.2  # 14 letters a second, 6.5 a word, 3.8 tokens a word


@dataclass(frozen=True, slots=True)
class Variant:
    """One of ours; `share` is that of the frames in the depth loss."""

    method: str
    share: float
    positions: int
    compiled: bool = False
    checkpointing: bool = False
    plain: bool = False
    step: int = 16000

    @property
    def name(self) -> str:
        marks = [
            "plain" * self.plain, "compiled" * self.compiled, "checkpointing" * self.checkpointing
        ]  # fmt: skip
        extra = "".join(f", {mark}" for mark in marks if mark)
        return f"ours, {self.method}, depth share {self.share:g}, {self.positions} a batch{extra}"


VARIANTS = (
    # what is wanted most comes first: time may not do for all
    Variant("lora", 1.0, 8000, compiled=True),
    Variant("full", 0.5, 8000, compiled=True),
    Variant("lora", 0.5, 8000),
    Variant("lora", 0.5, 8000, compiled=True),
    Variant("full", 0.5, 8000),
    Variant("full", 1.0, 8000, compiled=True),
    Variant("lora", 1.0, 16000, compiled=True, step=32000),
    Variant("lora", 0.5, 8000, plain=True),
    Variant("full", 0.5, 8000, plain=True),
    Variant("lora", 0.5, 4000, compiled=True, checkpointing=True),
    Variant("full", 0.0625, 8000, compiled=True),
    Variant("full", 0.0625, 8000, compiled=True, checkpointing=True),
)


@dataclass(frozen=True, slots=True)
class Measured:
    """`epoch_s` is of 1,128 clips; `timed_s` is how long the timed part took, `start_s` what came before it."""

    way: str
    epoch_s: float
    peak_gib: float
    mfu: float
    start_s: float
    timed_s: float


def lengths_s(number: int) -> list[float]:
    """Give the seconds of the clips: log-normal as in read sentences, 1 to 15 s, mean 4 s."""
    drawn = np.random.default_rng(0).lognormal(0.0, 0.5, number)
    seconds = np.clip(4.0 * drawn / drawn.mean(), 1.0, 15.0)
    return np.clip(seconds * (4.0 / seconds.mean()), 1.0, 15.0).tolist()


def csm(device: torch.device, *, tiny: bool) -> CsmForConditionalGeneration:
    """Make a model of random weights."""
    if tiny:
        with tempfile.TemporaryDirectory() as folder:
            model = CsmForConditionalGeneration.from_pretrained(write_base(Path(folder)).folder)
    else:
        with device:
            model = CsmForConditionalGeneration(CsmConfig())
    tie_audio_embedding(model, model.depth_decoder.model.embed_tokens.weight)
    return model.to(device).train()


def write_corpus(folder: Path, seconds: Sequence[float], *, codebooks: int, size: int) -> Path:
    """Write a prepared folder of random codes."""
    rng = np.random.default_rng(0)
    (folder / "codes").mkdir(parents=True)
    codes: dict[str, np.ndarray] = {}
    entries: list[Entry] = []
    for number, length in enumerate(seconds):
        name, frames = f"c{number}", round(12.5 * length)
        codes[name] = rng.integers(1, size, (frames, codebooks)).astype(np.int16)
        text = "a" * max(round(_TOKENS_A_SECOND * length), 1)
        clip = Clip(name, "", text, "0", length, name, name, None, 0.0, 12_000)
        entries.append(Entry(clip, "train", 0, "one", frames))
    save_file(codes, folder / "codes/one.safetensors")
    write_manifest(folder, entries)
    write_prepared(folder, Prepared("", codebooks, {"0": 0}, NORMALISER, "keep"), {}, {})
    return folder


def flops(model: Any, *, positions: int, frames: int, depth_frames: int) -> float:
    """Forward and backward: 6 FLOPs a trained weight and position, 4 a frozen one; attention's products left out."""

    def each(weights: Sequence[tuple[str, torch.nn.Parameter]]) -> float:
        return float(sum(p.numel() * (6 if p.requires_grad else 4) for _, p in weights))

    depth = model.depth_decoder
    heads = depth.codebooks_head.weight[0].numel() * 6
    inner = [*depth.model.layers.named_parameters(), *depth.model.inputs_embeds_projector.named_parameters()]
    known = model.config.num_codebooks - 1
    return (
        each(list(model.backbone_model.layers.named_parameters())) * positions
        + each(list(model.lm_head.named_parameters())) * frames
        + each(inner) * depth_frames * (known + 1)
        + heads * depth_frames * known
    )


@contextlib.contextmanager
def plainly() -> Iterator[None]:
    """Put the library's forward, with its masks, in the place of ours."""

    def backbone(model: Any, batch: Batch, kept: torch.Tensor | None = None) -> torch.Tensor:
        text = model.embed_text_tokens(batch.tokens)
        sound = audio_sums(model.backbone_model.embed_tokens, batch.codes).to(text.dtype)
        embedded = text.flatten(0, 1).index_copy(0, batch.places, sound).view_as(text)
        real = torch.zeros(text.shape[0] * text.shape[1], dtype=torch.int64, device=text.device)
        real = real.index_fill(0, batch.places, 1).view(text.shape[:2])
        # all before a row's last frame is real
        mask = real.flip(1).cumsum(1).clamp(max=1).flip(1)
        out = model.backbone_model(inputs_embeds=embedded, attention_mask=mask, use_cache=False)[0]
        return out.flatten(0, 1)

    def depth(model: Any, states: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        decoder, known = model.depth_decoder, codes.shape[1] - 1
        offsets = torch.arange(known, device=codes.device) * model.config.vocab_size
        embedded = decoder.model.embed_tokens(codes[:, :known] + offsets)
        inputs = torch.cat((states[:, None].to(embedded.dtype), embedded), dim=1)
        mask = torch.ones(inputs.shape[:2], dtype=torch.int64, device=inputs.device)
        return decoder.model(inputs_embeds=inputs, attention_mask=mask, use_cache=False)[0][:, 1:]

    ours = loss_module.backbone_states, loss_module.depth_states
    loss_module.backbone_states, loss_module.depth_states = backbone, depth
    try:
        yield
    finally:
        loss_module.backbone_states, loss_module.depth_states = ours


def notebook(seconds: Sequence[float], number: int, device: torch.device, *, tiny: bool, full: bool) -> list[Measured]:
    """Run the stock forward as the notebook does, twice the same steps; `full` trains all but the codec that way."""
    began = time.perf_counter()
    model = csm(device, tiny=tiny)
    config = model.config
    if full:
        model.codec_model.requires_grad_(requires_grad=False)
        wrapped: Any = model
    else:
        # weights in float32 under autocast: in bfloat16 the stock forward refuses what its own codec gives
        names = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
        wrapped = get_peft_model(model, LoraConfig(r=32, lora_alpha=32, target_modules=names))
    trained = [p for p in wrapped.parameters() if p.requires_grad]
    optimisation = torch.optim.AdamW(trained, lr=2e-4, fused=device.type == "cuda")
    frames_of, texts_of = ([round(s * each) for s in seconds] for each in (12.5, _TOKENS_A_SECOND))

    def step(index: int) -> float:
        optimisation.zero_grad()
        needed = 0.0
        for micro in range(4):
            pair = [(8 * index + 2 * micro + n) % len(seconds) for n in range(2)]
            lengths = [texts_of[n] + 5 + frames_of[n] + 1 for n in pair]
            ids = torch.full((2, max(lengths)), 3)  # the class has the audio token for padding
            labels = torch.full((2, max(lengths)), -100)
            mask = torch.zeros(2, max(lengths), dtype=torch.int64)
            for row, n in enumerate(pair):
                audio = [config.audio_token_id] * frames_of[n] + [config.audio_eos_token_id]
                ids[row, : lengths[row]] = torch.tensor([3] * (texts_of[n] + 5) + audio)
                labels[row, texts_of[n] + 5 : lengths[row]] = torch.tensor(audio)
                mask[row, : lengths[row]] = 1
            sound = torch.randn(2, 1, 360_001, device=device) * 0.1
            cutoffs = torch.tensor([[frames_of[n] * 1920] for n in pair], device=device)
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                out = wrapped(
                    input_ids=ids.to(device), attention_mask=mask.to(device), input_values=sound,
                    input_values_cutoffs=cutoffs, labels=labels.to(device),
                )  # fmt: skip
            (out.loss / 4).backward()
            frames = sum(frames_of[n] + 1 for n in pair)
            needed += flops(model, positions=sum(lengths), frames=frames, depth_frames=frames)
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimisation.step()
        return needed

    # warm but for the lengths of sound to come: these clips are not met again
    step(number), step(number + 1)
    found: list[Measured] = []
    for note in (", lengths met first", ""):
        done, taken, peak, start = _timed(lambda: sum(step(index) for index in range(number)), device, began)
        way = f"the notebook's way, {'all weights' if full else 'LoRA'}{note}"
        found.append(Measured(way, taken / (8 * number) * len(seconds), peak, done / taken / PEAK_FLOPS, start, taken))
    if device.type == "cuda":
        _where(lambda: step(0), f"the notebook's way, {'all weights' if full else 'LoRA'}: one step of 8 clips")
    return found


def _where(run: Any, name: str) -> None:
    """Print how much of one step the device works, and in how many kernels: the rest is the host."""
    torch.cuda.synchronize()
    started = time.perf_counter()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        run()
        torch.cuda.synchronize()
    taken = time.perf_counter() - started
    events = profile.key_averages()
    busy = sum(event.self_device_time_total for event in events) / 1e6
    print(f"PROFILE {name}: {busy:.3f} s of {sum(e.count for e in events)} kernels in {taken:.3f} s", flush=True)


def _timed(run: Any, device: torch.device, began: float) -> tuple[Any, float, float, float]:
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    result = run()
    if cuda:
        torch.cuda.synchronize()
    taken = time.perf_counter() - started
    peak = torch.cuda.max_memory_allocated() / 2**30 if cuda else 0.0
    return result, taken, peak, started - began


def ours(variant: Variant, folder: Path, device: torch.device, *, tiny: bool, profile: bool) -> Measured:
    """Run the product's feed and steps over one epoch, after some steps for warmth (and compilation)."""
    began = time.perf_counter()
    model = csm(device, tiny=tiny)
    del model.codec_model
    method: dict[str, Any] = {"type": "full"}
    if variant.method == "lora":
        model.to(torch.bfloat16) if device.type == "cuda" else None
        method = {"type": "lora", "rank": 4 if tiny else 64}
    settings = parse_settings(
        RunSettings,
        {
            "base": "base", "data": str(folder / "data"), "output": "run", "method": method,
            "schedule": {"steps": 1000}, "loss": {"depth_share": variant.share}, "compile": variant.compiled,
            "gradient_checkpointing": variant.checkpointing,
            "batches": {
                "positions_per_step": variant.step, "positions_per_batch": variant.positions, "context_share": 0.0
            },
            "precision": "bf16" if device.type == "cuda" else "fp32",
        },
    )  # fmt: skip
    codebooks = model.config.num_codebooks
    learner = make_learner(settings, Devices(), adapt(model, settings.method, range(3, 260 if tiny else 3000)))
    builder = PromptBuilder(
        TextTokenizer.read(folder), num_codebooks=codebooks, codebook_size=model.config.vocab_size, positions=2048
    )
    corpus = TrainingCorpus(folder / "data", builder, num_codebooks=codebooks, codec="")
    feed = Feed(
        corpus, corpus.items("train"), settings.batches, settings.loss, 0, pinned=device.type == "cuda"
    )  # fmt: skip
    with plainly() if variant.plain else contextlib.nullcontext():
        # a whole epoch for warmth: every shape is compiled and has its place in memory
        _epoch(learner, feed, codebooks, epoch=0)
        again = [_timed(lambda e=epoch: _epoch(learner, feed, codebooks, epoch=e), device, began) for epoch in (1, 2)]
        print(f"{variant.name}: epochs of {again[0][1]:.2f} and {again[1][1]:.2f} s", flush=True)
        done, taken, peak, start = min(again, key=lambda timed: timed[1])
        if profile and device.type == "cuda":
            _profiled(learner, next(feed.steps(epoch=3, place=0)), codebooks, variant.name)
    needed = sum(
        flops(
            unwrap(learner.adaptation.model), positions=ready.positions, frames=ready.counts.frames,
            depth_frames=ready.counts.depth_frames,
        )
        for ready in done
    )  # fmt: skip
    return Measured(variant.name, taken, peak, needed / taken / PEAK_FLOPS, start, taken)


def _epoch(learner: Learner, feed: Feed, codebooks: int, *, epoch: int) -> list[Ready]:
    done: list[Ready] = []
    for ready in ahead(feed.steps(epoch=epoch, place=0)):
        if ready.epoch > epoch:
            break
        optimiser_step(learner, ready, step=2 + len(done), codebooks=codebooks)
        done.append(replace(ready, batches=()))
    return done


def _profiled(learner: Learner, ready: Ready, codebooks: int, name: str) -> None:
    """Print where one step's time goes on the device."""
    kinds = [torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=kinds) as profile:
        optimiser_step(learner, ready, step=500, codebooks=codebooks)
        torch.cuda.synchronize()
    events = sorted(profile.key_averages(), key=lambda event: -event.self_device_time_total)
    total = sum(event.self_device_time_total for event in events)
    print(f"PROFILE {name}: {total / 1000:.1f} ms of kernels in a step of {ready.positions} positions", flush=True)
    for event in events[:40]:
        share = 100 * event.self_device_time_total / total
        print(f"  {share:5.1f} % {event.self_device_time_total / 1000:8.2f} ms {event.count:5d} x {event.key[:110]}")


def let_memory_grow() -> None:
    """Take memory in segments that grow, where the driver allows it: batches differ in size, and giving back waits."""
    name, value = "PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True"
    if name in os.environ or not torch.cuda.is_available():
        return
    probe = "import torch; x = torch.ones(2**28, device='cuda'); print(float(x.sum()))"
    # tried by another process, since this one cannot take it back
    tried = subprocess.run(
        [sys.executable, "-c", probe], env={**os.environ, name: value}, capture_output=True, check=False, timeout=90
    )
    if tried.returncode == 0:
        os.environ[name] = value
    print(f"{name}={value}: {'taken' if tried.returncode == 0 else 'not here'}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=10, help="timed steps of the notebook's way")
    parser.add_argument("--clips", type=int, default=CLIPS)
    parser.add_argument("--limit-s", type=float, default=280.0, help="no variant begins after this")
    parser.add_argument("--only", type=int, nargs="+", help="numbers of our variants")
    parser.add_argument("--ours-only", action="store_true", help="without the notebook's rows, which take 100 s")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--report", type=Path)
    args = parser.parse_args()
    began = time.perf_counter()
    let_memory_grow()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    seconds = lengths_s(args.clips)
    chosen = [VARIANTS[n] for n in args.only] if args.only else VARIANTS
    print(f"{len(seconds)} clips, mean {np.mean(seconds):.2f} s, {sum(seconds) / 60:.0f} minutes", flush=True)
    rows = ["| way | s per epoch of 1,128 clips | peak GiB | MFU | s before it |", "|---|--:|--:|--:|--:|"]
    found: list[Measured] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_tokenizer(folder)
        codebooks, size = (8, 60) if args.tiny else (32, 2048)
        write_corpus(folder / "data", seconds, codebooks=codebooks, size=size)
        kinds = () if args.ours_only else (False, True)
        ways: list[Any] = [
            lambda full=full: notebook(seconds, args.steps, device, tiny=args.tiny, full=full) for full in kinds
        ]
        ways += [
            lambda v=v: [ours(v, folder, device, tiny=args.tiny, profile=v.compiled and not v.checkpointing)]
            for v in chosen
        ]
        for way in ways:
            if time.perf_counter() - began > args.limit_s:
                print("no time for the rest", flush=True)
                break
            try:
                measured = way()
            except Exception:  # noqa: BLE001 - the other rows are wanted all the same
                traceback.print_exc()
                continue
            finally:
                torch._dynamo.reset()
                if device.type == "cuda":
                    torch.cuda.empty_cache()
            found += measured
            for m in measured:
                rows.append(
                    f"| {m.way} | {m.epoch_s:.1f} | {m.peak_gib:.1f} | {100 * m.mfu:.1f} % | {m.start_s:.0f} |"
                )  # fmt: skip
                print(rows[-1], flush=True)
            if args.report:
                args.report.parent.mkdir(parents=True, exist_ok=True)
                args.report.write_text("\n".join(rows) + "\n", encoding="utf-8")
                text = json.dumps([asdict(one) for one in found], indent=1)
                args.report.with_suffix(".json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
