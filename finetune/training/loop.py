"""The run: plan, forward, backward, step; check and save now and then; stop when it no longer helps."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from finetune.config import RunSettings, read_settings, write_settings
from finetune.data.codes import fingerprint
from finetune.errors import ConfigError, TrainingError
from finetune.training.adaptation import Adaptation, adapt, text_rows
from finetune.training.check import HeldOut, held_out, say, with_texts_swapped
from finetune.training.checkpoint import (
    Best,
    Progress,
    checkpoints,
    optimiser_state,
    put_back,
    read_progress,
    restore,
    write_checkpoint,
)
from finetune.training.corpus import Item, TrainingCorpus, fitting
from finetune.training.devices import Devices
from finetune.training.feed import Feed, ahead
from finetune.training.model import load_csm_for_training
from finetune.training.record import Record
from finetune.training.schedule import Deadline
from finetune.training.servable import Servable, write_servable
from finetune.training.sharding import gathered
from finetune.training.step import Learner, make_learner, optimiser_step
from finetune.voice import prompt_builder
from finetune.whole_file import write_whole
from tts_engine.model.checkpoint import Checkpoint, resolve
from tts_engine.model.config import CsmConfig
from tts_engine.model.tokenizer import TextTokenizer

LeftSeconds = Callable[[], float]


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
    corpus: TrainingCorpus
    feed: Feed
    held_out: Sequence[Item]
    learner: Learner
    record: Record | None
    deadline: Deadline
    left_s: LeftSeconds | None

    @property
    def devices(self) -> Devices:
        return self.learner.devices

    @property
    def adaptation(self) -> Adaptation:
        return self.learner.adaptation

    def place(self, step: int) -> float:
        """Where in the schedule it is after so many steps, the same on every process."""
        if self.left_s is None:
            return step
        place = self.deadline.place(step, left_s=self.left_s())
        if self.devices.count == 1:
            return place
        first = torch.tensor(place if self.devices.first else 0.0, device=self.devices.device)
        return float(self.devices.sum(first))


Tell = Callable[[str], None]


def train(
    settings: RunSettings,
    tell: Tell,
    interrupted: Callable[[], bool] = lambda: False,
    left_s: LeftSeconds | None = None,
) -> Result:
    """Train from the beginning, or go on from the newest checkpoint in the run's folder.

    `left_s` says how much time is left for steps, if there is a deadline: the schedule is stretched to it. Raises
    ConfigError, CorpusError or TrainingError.
    """
    run, progress = _begin(settings, tell, left_s)
    try:
        result = _steps(run, progress, tell, interrupted)
    except torch.OutOfMemoryError as error:
        batch = settings.batches.positions_per_batch
        raise TrainingError(
            f"the device has no memory left for a batch: lower batches.positions_per_batch ({batch}), or set "
            f"gradient_checkpointing: true, under a new output ({error})"
        ) from error
    finally:
        if run.record is not None:
            run.record.close()
    weights = _weights(run)
    if run.devices.first:
        _write_servable(run, weights, "last")
        report = {
            "reason": result.reason,
            "steps": result.steps,
            "best": asdict(result.best) if result.best else None,
        }
        text = (settings.output / "run.yaml").read_text(encoding="utf-8")
        lines = "".join(f"#   {name}: {value}\n" for name, value in report.items())
        write_whole(settings.output / "result.yaml", f"# what came of it:\n{lines}{text}")
    run.devices.wait()
    return result


def _begin(settings: RunSettings, tell: Tell, left_s: LeftSeconds | None) -> tuple[Run, Progress]:
    devices = Devices(sharded=settings.sharding == "layers")
    base = resolve(settings.base)
    config = CsmConfig.read(base)
    corpus = TrainingCorpus(
        settings.data,
        prompt_builder(base, config),
        num_codebooks=config.num_codebooks,
        codec=fingerprint(Checkpoint(base)),
    )
    _claim(settings, devices)  # now that its names are right: a claimed folder holds the run to them
    torch.manual_seed(settings.seed)
    model = load_csm_for_training(base, dtype=torch.bfloat16 if settings.precision == "bf16" else torch.float32)
    which = settings.method.text_rows if settings.method.type == "lora" else "none"
    rows = text_rows(TextTokenizer.read(base), corpus.texts("train"), which)
    adaptation = adapt(model, settings.method, rows)
    adaptation.model.to(devices.device)
    learner = make_learner(settings, devices, adaptation)
    progress = Progress(corpus=corpus.digest)
    if saved := checkpoints(settings.output / "checkpoints"):
        if read_progress(saved[-1]).corpus not in {"", corpus.digest}:
            raise ConfigError(
                f"{settings.data} is not what {saved[-1]} learnt from: name a new output, or prepare it as it was",
                field="data",
            )
        progress = restore(saved[-1], adaptation.parameters(), learner.optimiser)
        tell(f"goes on from {saved[-1].name}")
    room = min(settings.batches.positions_max, config.backbone.max_positions)
    given = [corpus.items(split) for split in ("train", "validation")]
    items, validation = (fitting(own, room) for own in given)
    if left_out := sum(map(len, given)) - len(items) - len(validation):
        tell(f"{left_out} of {sum(map(len, given))} samples have more than {room} positions and are left out")
    feed = Feed(
        corpus, items, settings.batches, settings.loss, settings.seed,
        devices.rank, devices.count, pinned=devices.device.type == "cuda", in_step=devices.sharded,
    )  # fmt: skip
    record = None
    if devices.first:
        record = Record(settings.output, step=progress.step, tensorboard=settings.tensorboard)
        for name in ("best", "last"):
            put_back(settings.output / name)
    deadline = Deadline(steps=settings.schedule.steps)
    return Run(settings, base, corpus, feed, validation, learner, record, deadline, left_s), progress


def _claim(settings: RunSettings, devices: Devices) -> None:
    """Make the folder this run's; a folder of another run is refused."""
    path = settings.output / "run.yaml"
    if devices.first:
        if not path.exists():
            settings.output.mkdir(parents=True, exist_ok=True)
            write_settings(settings, path)
        elif (before := read_settings(RunSettings, path)) != settings:
            pairs = zip(before, settings, strict=True)
            changed = next(name for (name, old), (_, new) in pairs if old != new)
            raise ConfigError(f"{path} has another value: name a new output, or take that one", field=changed)
    devices.wait()


def _steps(run: Run, progress: Progress, tell: Tell, interrupted: Callable[[], bool]) -> Result:
    settings = run.settings
    steps, place = settings.schedule.steps, run.place(progress.step)
    if progress.step >= steps or progress.stale >= settings.checks.patience:
        return _result(run, progress)
    started = time.perf_counter()
    for ready in ahead(run.feed.steps(epoch=progress.epoch, place=progress.step_in_epoch)):
        codebooks = run.corpus.prepared.num_codebooks
        values = optimiser_step(run.learner, ready, step=progress.step, codebooks=codebooks, place=place)
        progress = replace(progress, step=progress.step + 1, epoch=ready.epoch, step_in_epoch=ready.place + 1)
        place = run.place(progress.step)
        last = place >= steps
        if run.record is not None:
            run.record.add("step", progress.step, {**values, "seconds": round(time.perf_counter() - started, 4)})
            of = f"/{steps}" if run.left_s is None else f" ({min(place / steps, 1.0):.1%})"
            tell(f"step {progress.step}{of} loss {values['loss']:.4f}")
        if last or progress.step % settings.checks.every_steps == 0:
            progress = _check(run, progress, tell)
        # agreed upon: a process that stops alone leaves the others waiting for it
        stop, stale = run.devices.any(interrupted()), progress.stale >= settings.checks.patience
        if last or stop or stale or progress.step % settings.checkpoints.every_steps == 0:
            _save(run, progress)
        if stop:
            return Result("interrupted", progress.step, progress.best)
        if last:
            return Result("finished", progress.step, progress.best)
        if stale:
            break
        started = time.perf_counter()
    return _result(run, progress)


def _result(run: Run, progress: Progress) -> Result:
    finished = progress.step >= run.settings.schedule.steps
    return Result("finished" if finished else "stale", progress.step, progress.best)


def _check(run: Run, progress: Progress, tell: Tell) -> Progress:
    """Measure, keep the best as `best/`, and count checks without a better one."""
    settings, checks = run.settings, run.settings.checks
    positions = settings.batches.positions_per_batch

    def measured(items: Sequence[Item]) -> HeldOut:
        model, bf16 = run.adaptation.model, run.learner.bf16
        return held_out(model, run.corpus, items, run.devices, positions=positions, bf16=bf16)

    heard, other = measured(run.held_out), measured(with_texts_swapped(run.held_out))
    reading = other.codebook0 - heard.codebook0
    rate_now = torch.ones(1, device=run.devices.device) / run.devices.count
    weights = _weights(run)
    if checks.sentences:
        rate_now.zero_()
        if run.devices.first:
            trial = _write_servable(run, weights, "trial")
            said = say(trial, run.held_out, checks, run.devices)
            rate_now += said.stop_rate
            assert run.record is not None
            run.record.sounds(progress.step, said.texts, said.sounds)
    stops = float(run.devices.sum(rate_now))
    found = Best(progress.step, heard.loss, stops >= checks.stop_rate_min - 1e-6)
    better = progress.best is None or progress.best.worse_than(found)
    if run.record is not None:
        values = {"loss": heard.loss, "codebook0": heard.codebook0, "depth": heard.depth, "ends": heard.ends}
        perplexities = [round(value, 3) for value in heard.perplexities]
        more = {"reading": reading, "stop_rate": stops, "perplexities": perplexities}
        run.record.add("check", progress.step, {**values, **more})
        mark = ", best" if better else ""
        tell(f"check {progress.step}: held-out loss {heard.loss:.4f}, reads {reading:.3f}, stop rate {stops:.2f}{mark}")
        if better:
            _write_servable(run, weights, "best")
    if better:
        return replace(progress, best=found, stale=0)
    return replace(progress, stale=progress.stale + 1)


def _save(run: Run, progress: Progress) -> None:
    weights, first = _weights(run), run.devices.first
    state = optimiser_state(run.learner.optimiser, run.adaptation.parameters(), keep=first)
    if first:
        keep = run.settings.checkpoints.keep
        write_checkpoint(run.settings.output / "checkpoints", progress, weights, state, keep=keep)
    run.devices.wait()


def _weights(run: Run) -> dict[str, Tensor]:
    """Give all that is trained to the first process; every process must call it."""
    return gathered(run.adaptation.parameters(), keep=run.devices.first)


def _write_servable(run: Run, weights: Mapping[str, Tensor], name: str) -> Servable:
    return write_servable(run.adaptation, weights, run.settings.method, run.base, run.settings.output / name)
