"""Where a training step's time goes, before a run is begun.

Steps over batches of shapes that were not met before, and over the same batches again: what only the former pay is
plans, compilation and memory. Then the parts of a step, its kernels and launches, and the same with layers compiled.
The last line of the report says whether compiling pays; `--choice` writes it as an option for `finetune.demo learn`.
What is compiled is kept in TORCHINDUCTOR_CACHE_DIR for the run that follows.

    python -m tests.gpu.step_time RECIPE --set base=... --set data=... --set output=none
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import fmean, median
from typing import Any

import torch

from finetune.config import RunSettings, read_settings
from finetune.data.codes import fingerprint
from finetune.training.adaptation import adapt, text_rows
from finetune.training.corpus import TrainingCorpus, fitting
from finetune.training.devices import Devices
from finetune.training.feed import Feed, Ready, ahead
from finetune.training.loss import loss_parts, total
from finetune.training.model import load_csm_for_training
from finetune.training.step import Learner, make_learner, optimiser_step
from finetune.voice import prompt_builder
from tts_engine.model.checkpoint import Checkpoint, resolve
from tts_engine.model.config import CsmConfig
from tts_engine.model.tokenizer import TextTokenizer

_TOP = 15
_PAYS = 0.9
"""Compiled steps must be so much shorter: a run tries nothing that hardly helps."""


@dataclass(frozen=True, slots=True)
class Stand:
    """A recipe on its data; learners are made anew, each from the same weights."""

    settings: RunSettings
    corpus: TrainingCorpus
    feed: Feed
    devices: Devices

    def learner(self, *, compiled: bool) -> Learner:
        settings = self.settings.model_copy(update={"compile": compiled})
        base = resolve(settings.base)
        torch.manual_seed(settings.seed)
        dtype = torch.bfloat16 if settings.precision == "bf16" else torch.float32
        which = settings.method.text_rows if settings.method.type == "lora" else "none"
        rows = text_rows(TextTokenizer.read(base), self.corpus.texts("train"), which)
        adaptation = adapt(load_csm_for_training(base, dtype=dtype), settings.method, rows)
        adaptation.model.to(self.devices.device)
        return make_learner(settings, self.devices, adaptation)

    def step(self, learner: Learner, ready: Ready) -> None:
        optimiser_step(learner, ready, step=100, codebooks=self.corpus.prepared.num_codebooks)


def stand(settings: RunSettings) -> Stand:
    base, devices = resolve(settings.base), Devices()
    config = CsmConfig.read(base)
    codec = fingerprint(Checkpoint(base))
    corpus = TrainingCorpus(
        settings.data, prompt_builder(base, config), num_codebooks=config.num_codebooks, codec=codec
    )
    items = fitting(corpus.items("train"), min(settings.batches.positions_max, config.backbone.max_positions))
    pinned = devices.device.type == "cuda"
    return Stand(settings, corpus, Feed(corpus, items, settings.batches, settings.loss, 0, pinned=pinned), devices)


def wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def timed(work: Callable[[], Any]) -> float:
    """Milliseconds of some work, the device's included."""
    wait()
    began = time.perf_counter()
    work()
    wait()
    return 1000 * (time.perf_counter() - began)


def steps_ms(made: Stand, learner: Learner, *, epoch: int, count: int) -> list[float]:
    """Milliseconds of each step, fed as in a run; the last sum of a step waits for the device."""
    took: list[float] = []
    began = time.perf_counter()
    for ready in islice(ahead(made.feed.steps(epoch=epoch, place=0)), count):
        made.step(learner, ready)
        took.append(1000 * (time.perf_counter() - began))
        began = time.perf_counter()
    return took


def allocations() -> int:
    return torch.cuda.memory_stats().get("num_device_alloc", 0) if torch.cuda.is_available() else 0


def compare(name: str, made: Stand, learner: Learner, *, epoch: int, count: int) -> float:
    """Tell of steps over new shapes and over the same again; returns the mean of the new in ms."""
    before = allocations()
    new = steps_ms(made, learner, epoch=epoch, count=count)
    taken = allocations() - before
    again = steps_ms(made, learner, epoch=epoch, count=count)
    tell(
        f"{name}: a step of new shapes {fmean(new):.1f} ms (median {median(new):.1f}, longest {max(new):.1f}, "
        f"{taken / count:.1f} pieces of memory taken), the same again {fmean(again):.1f} ms "
        f"(median {median(again):.1f})"
    )
    return fmean(new)


def parts_ms(made: Stand, learner: Learner, readies: Sequence[Ready]) -> dict[str, float]:
    """Mean milliseconds of the parts of a step, the device waited for after each."""
    device, settings = made.devices.device, made.settings
    parameters = list(learner.adaptation.parameters().values())
    sums = dict.fromkeys(("moving", "forward", "backward", "clipping", "optimiser"), 0.0)
    for ready in readies:
        learner.optimiser.zero_grad(set_to_none=True)
        for batch in ready.batches:
            held: dict[str, Any] = {}

            def forward(held: dict[str, Any] = held, ready: Ready = ready) -> None:
                with torch.autocast(device.type, torch.bfloat16, enabled=learner.bf16):
                    found = loss_parts(learner.adaptation.model, held["batch"], settings.loss, learner.nll)
                    held["loss"] = total(found, ready.counts, settings.loss)

            sums["moving"] += timed(lambda held=held, batch=batch: held.update(batch=batch.to(device)))
            sums["forward"] += timed(forward)
            sums["backward"] += timed(held["loss"].backward)
        sums["clipping"] += timed(lambda: made.devices.clip(parameters, settings.schedule.clip_norm))
        sums["optimiser"] += timed(learner.optimiser.step)
    return {name: value / len(readies) for name, value in sums.items()}


def profiled(made: Stand, learner: Learner, ready: Ready) -> None:
    """Tell of one step's kernels and of what its host does."""
    kinds = [torch.profiler.ProfilerActivity.CPU]
    if torch.cuda.is_available():
        kinds.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=kinds) as profile:
        made.step(learner, ready)
        wait()
    events = profile.key_averages()
    on_device = [e for e in events if e.self_device_time_total and e.device_type != torch.autograd.DeviceType.CPU]
    kernels, times = sum(e.self_device_time_total for e in on_device) / 1000, sum(e.count for e in on_device)
    launches = sum(e.count for e in events if "LaunchKernel" in e.key)
    operations = sum(e.count for e in events if e.key.startswith("aten::"))
    tell(f"one step: {kernels:.1f} ms of {times} kernels, {launches} launches, {operations} ATen operations")
    for title, found, cost in (
        ("on the device", on_device, lambda e: e.self_device_time_total),
        ("on the host", events, lambda e: e.self_cpu_time_total),
    ):
        for event in sorted(found, key=lambda e: -cost(e))[:_TOP]:
            tell(f"  {title} {cost(event) / 1000:8.2f} ms {event.count:5d} x {event.key[:100]}")


def tell(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--count", type=int, default=16, help="steps of each kind")
    parser.add_argument("--limit-s", type=float, default=40.0, help="compiling does not begin after half of it")
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--choice", type=Path, help="file for the option that pays, or nothing")
    args = parser.parse_args()
    began = time.perf_counter()
    made = stand(read_settings(RunSettings, args.recipe, args.overrides))
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "a processor"
    tell(f"{name}, torch {torch.__version__}; {made.settings.batches.positions_per_step} positions a step")
    readies: list[Ready] = []
    source = made.feed.steps(epoch=100, place=0)
    next(source)  # which plans the epoch
    feed_ms = timed(lambda: readies.extend(islice(source, args.count))) / args.count
    tell(f"feed: {feed_ms:.1f} ms a step of {fmean(sum(len(b.tokens) for b in r.batches) for r in readies):.0f} clips")
    learner = made.learner(compiled=False)
    steps_ms(made, learner, epoch=101, count=3)
    if torch.cuda.is_available():
        torch.backends.cuda.enable_cudnn_sdp(True)
        compare("with cuDNN's attention", made, learner, epoch=102, count=min(args.count, 8))
        torch.backends.cuda.enable_cudnn_sdp(False)
    plain = compare("without it", made, learner, epoch=103, count=args.count)
    shares = parts_ms(made, learner, readies[: args.count // 2 + 1])
    tell(f"parts: feed {feed_ms:.1f} ms, " + ", ".join(f"{part} {value:.1f} ms" for part, value in shares.items()))
    profiled(made, learner, readies[-1])
    spent = time.perf_counter() - began
    compiled = None
    if not args.no_compile and spent < args.limit_s / 2:
        learner = made.learner(compiled=True)
        first = timed(lambda: steps_ms(made, learner, epoch=104, count=4)) / 1000
        tell(f"compiling took {first:.1f} s")
        compiled = compare("compiled", made, learner, epoch=103, count=args.count)
        profiled(made, learner, readies[-1])
    pays = compiled is not None and compiled < _PAYS * plain
    if args.choice:
        args.choice.write_text("--set compile=true" if pays else "", encoding="utf-8")
    tell(json.dumps({"plain_ms": plain, "compiled_ms": compiled, "compiling_pays": pays, "seconds": spent}))


if __name__ == "__main__":
    main()
