"""The run: plan, forward, backward, step; check and save now and then; stop when it no longer helps."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from finetune.config import RunSettings, read_settings, write_settings
from finetune.errors import ConfigError, TrainingError
from finetune.training.adaptation import Adaptation, adapt, optimiser, text_rows
from finetune.training.batch import collate
from finetune.training.check import HeldOut, held_out, stop_rate
from finetune.training.checkpoint import Best, Progress, checkpoints, restore, write_checkpoint
from finetune.training.corpus import Item, TrainingCorpus, fitting
from finetune.training.devices import Devices
from finetune.training.loss import Counts, loss_parts, total
from finetune.training.model import load_csm_for_training
from finetune.training.plan import Planned, Step, steps
from finetune.training.record import Record
from finetune.training.sample import depth_mask
from finetune.training.schedule import rate
from finetune.training.servable import write_servable
from finetune.voice import prompt_builder
from tts_engine.model.checkpoint import resolve
from tts_engine.model.config import CsmConfig
from tts_engine.model.tokenizer import TextTokenizer


@dataclass(frozen=True, slots=True)
class Result:
    """How a run ended; `reason` is `finished`, `stale` or `interrupted`."""

    reason: str
    steps: int
    best: Best | None


@dataclass(frozen=True, slots=True)
class Run:
    """All parts of a run, put together by `train`."""

    settings: RunSettings
    base: Path
    devices: Devices
    corpus: TrainingCorpus
    items: Sequence[Item]
    held_out: Sequence[Item]
    adaptation: Adaptation
    optimiser: torch.optim.Optimizer
    record: Record | None

    @property
    def bf16(self) -> bool:
        return self.settings.precision == "bf16"


Tell = Callable[[str], None]


def train(settings: RunSettings, tell: Tell, interrupted: Callable[[], bool] = lambda: False) -> Result:
    """Train from the beginning, or go on from the newest checkpoint in the run's folder."""
    run, progress = _begin(settings, tell)
    try:
        result = _steps(run, progress, tell, interrupted)
    finally:
        if run.record is not None:
            run.record.close()
    if run.devices.first:
        write_servable(run.adaptation, settings.method, run.base, settings.output / "last")
        report = {
            "reason": result.reason,
            "steps": result.steps,
            "best": asdict(result.best) if result.best else None,
        }
        text = (settings.output / "run.yaml").read_text(encoding="utf-8")
        lines = "".join(f"#   {name}: {value}\n" for name, value in report.items())
        (settings.output / "result.yaml").write_text(f"# what came of it:\n{lines}{text}", encoding="utf-8")
    run.devices.wait()
    return result


def _begin(settings: RunSettings, tell: Tell) -> tuple[Run, Progress]:
    devices = Devices()
    _claim(settings, devices)
    base = resolve(settings.base)
    torch.manual_seed(settings.seed)
    config = CsmConfig.read(base)
    corpus = TrainingCorpus(settings.data, prompt_builder(base, config), num_codebooks=config.num_codebooks)
    model = load_csm_for_training(base, dtype=torch.bfloat16 if settings.precision == "bf16" else torch.float32)
    which = settings.method.text_rows if settings.method.type == "lora" else "none"
    rows = text_rows(TextTokenizer.read(base), corpus.texts("train"), which)
    adaptation = adapt(model, settings.method, rows)
    adaptation.model.to(devices.device)
    if settings.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    fused = devices.device.type == "cuda"
    optimisation = optimiser(adaptation, weight_decay=settings.schedule.weight_decay, fused=fused)
    progress = Progress()
    if saved := checkpoints(settings.output / "checkpoints"):
        progress = restore(saved[-1], adaptation.parameters(), optimisation)
        tell(f"goes on from {saved[-1].name}")
    room = min(settings.batches.positions_max, config.backbone.max_positions)
    items, validation = (fitting(corpus.items(split), room) for split in ("train", "validation"))
    record = None
    if devices.first:
        record = Record(settings.output, step=progress.step, tensorboard=settings.tensorboard)
    return Run(settings, base, devices, corpus, items, validation, adaptation, optimisation, record), progress


def _claim(settings: RunSettings, devices: Devices) -> None:
    """Make the folder this run's; a folder of another run is refused."""
    path = settings.output / "run.yaml"
    if devices.first:
        if path.exists() and (before := read_settings(RunSettings, path)) != settings:
            pairs = zip(before, settings, strict=True)
            changed = next(name for (name, old), (_, new) in pairs if old != new)
            raise ConfigError(f"{path} has another value: name a new output, or take that one", field=changed)
        settings.output.mkdir(parents=True, exist_ok=True)
        write_settings(settings, path)
    devices.wait()


def _steps(run: Run, progress: Progress, tell: Tell, interrupted: Callable[[], bool]) -> Result:
    settings, best = run.settings, progress.best
    planned = _plan(run, progress.epoch)
    while progress.step < settings.schedule.steps and progress.stale < settings.checks.patience:
        if progress.step_in_epoch >= len(planned):
            progress = replace(progress, epoch=progress.epoch + 1, step_in_epoch=0)
            planned = _plan(run, progress.epoch)
        started = time.perf_counter()
        values = _step(run, planned[progress.step_in_epoch], progress)
        progress = replace(progress, step=progress.step + 1, step_in_epoch=progress.step_in_epoch + 1)
        last = progress.step == settings.schedule.steps
        if run.record is not None:
            run.record.add("step", progress.step, {**values, "seconds": round(time.perf_counter() - started, 4)})
            tell(f"step {progress.step}/{settings.schedule.steps} loss {values['loss']:.4f}")
        if last or progress.step % settings.checks.every_steps == 0:
            progress = _check(run, progress, tell)
            best = progress.best
        stop, stale = interrupted(), progress.stale >= settings.checks.patience
        if last or stop or stale or progress.step % settings.checkpoints.every_steps == 0:
            _save(run, progress)
        if stop:
            return Result("interrupted", progress.step, best)
    finished = progress.step == settings.schedule.steps
    return Result("finished" if finished else "stale", progress.step, best)


def _plan(run: Run, epoch: int) -> list[Step]:
    return steps(run.items, run.settings.batches, seed=run.settings.seed, epoch=epoch)


def _step(run: Run, step: Step, progress: Progress) -> dict[str, float]:
    """One optimiser step; returns its numbers, the same on every process."""
    settings, share = run.settings, run.settings.loss.depth_share
    # dropout is a function of the step, so that a run that goes on draws what it would have drawn
    torch.manual_seed(settings.seed * 1_000_003 + progress.step * 1_009 + run.devices.rank)
    counts = sum((run.items[s.item].counts(share) for batch in step for s in batch), Counts(0, 0, 0))
    parameters = list(run.adaptation.parameters().values())
    run.optimiser.zero_grad(set_to_none=True)
    sums = torch.zeros(run.corpus.prepared.num_codebooks + 2, device=run.devices.device)
    for batch in step[run.devices.rank :: run.devices.count]:
        sums += _backward(run, batch, counts, progress.epoch)
    run.devices.sum_gradients(parameters)
    norm = torch.nn.utils.clip_grad_norm_(parameters, settings.schedule.clip_norm)
    factor = rate(progress.step, settings.schedule)
    for group in run.optimiser.param_groups:
        group["lr"] = group["peak"] * factor
    numbers = run.devices.sum(sums).tolist()
    if not all(math.isfinite(number) for number in (*numbers, float(norm))):
        raise TrainingError(
            f"step {progress.step + 1} has no finite loss: lower the learning rates, or go on with precision=fp32"
        )
    run.optimiser.step()
    first, *depth, ends, loss = numbers
    return {
        "loss": loss,
        "codebook0": first / counts.frames,
        "depth": sum(depth) / max(counts.depth_frames * len(depth), 1),
        "ends": ends / max(counts.ends, 1),
        "gradient_norm": float(norm),
        "rate": factor,
        "positions": sum(sample.positions for batch in step for sample in batch),
    }


def _backward(run: Run, batch: Sequence[Planned], counts: Counts, epoch: int) -> Tensor:
    """Add a batch's gradients; returns the sums by codebook, of the ends, and its part of the loss."""
    settings = run.settings
    contexts = [None if s.context is None else run.items[s.context] for s in batch]
    samples = [run.corpus.sample(run.items[s.item], context) for s, context in zip(batch, contexts, strict=True)]
    masks = [
        depth_mask(
            sample,
            share=settings.loss.depth_share,
            rng=np.random.default_rng([settings.seed, epoch, planned.item]),
        )
        for sample, planned in zip(samples, batch, strict=True)
    ]
    tensors = collate(samples, masks).to(run.devices.device)
    with torch.autocast(run.devices.device.type, torch.bfloat16, enabled=run.bf16):
        parts = loss_parts(run.adaptation.model, tensors, settings.loss)
        loss = total(parts, counts, settings.loss)
    loss.backward()
    return torch.cat((parts.codebooks, parts.ends[None], loss.detach()[None]))


def _check(run: Run, progress: Progress, tell: Tell) -> Progress:
    """Measure, keep the best as `best/`, and count checks without a better one."""
    settings, checks = run.settings, run.settings.checks
    positions = settings.batches.positions_per_batch
    heard: HeldOut = held_out(
        run.adaptation.model, run.corpus, run.held_out, run.devices, positions=positions, bf16=run.bf16
    )
    rate_now = torch.ones(1, device=run.devices.device) / run.devices.count
    if checks.sentences:
        rate_now.zero_()
        if run.devices.first:
            trial = write_servable(run.adaptation, settings.method, run.base, settings.output / "trial")
            rate_now += stop_rate(trial, run.held_out, checks, run.devices)
    stops = float(run.devices.sum(rate_now))
    found = Best(progress.step, heard.loss, stops >= checks.stop_rate_min - 1e-6)
    better = progress.best is None or progress.best.worse_than(found)
    if run.record is not None:
        values = {"loss": heard.loss, "codebook0": heard.codebook0, "depth": heard.depth, "ends": heard.ends}
        perplexities = [round(value, 3) for value in heard.perplexities]
        run.record.add("check", progress.step, {**values, "stop_rate": stops, "perplexities": perplexities})
        mark = ", best" if better else ""
        tell(f"check {progress.step}: held-out loss {heard.loss:.4f}, stop rate {stops:.2f}{mark}")
        if better:
            write_servable(run.adaptation, settings.method, run.base, settings.output / "best")
    if better:
        return replace(progress, best=found, stale=0)
    return replace(progress, stale=progress.stale + 1)


def _save(run: Run, progress: Progress) -> None:
    if run.devices.first:
        write_checkpoint(
            run.settings.output / "checkpoints",
            progress,
            run.adaptation.parameters(),
            run.optimiser,
            keep=run.settings.checkpoints.keep,
        )
    run.devices.wait()
