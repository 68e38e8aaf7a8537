"""The old way of fine-tuning and ours, on the same sentences of espeak-ng: who stops, and who learnt to be silent.

A small CSM with a codec of random weights learns a few sentences, four times:

- `ours`: trimmed as `prepare` does, the end frame in the loss;
- `end unlabelled`: the same clips, the end left out of the loss, as transformers 4.52 did;
- `silence kept`: the recordings as they are, the end in the loss;
- `old way`: the recordings as they are and filled to a window, the end left out.

    python -m tests.gpu.finetune_cure corpus build/cure --sentences 60 --hidden 512     # where espeak-ng is installed
    python -m tests.gpu.finetune_cure run build/cure --steps 1500 --report $OUT/cure.md   # where the GPU is

The second needs torch, transformers, peft, accelerate, pydantic, soundfile (with cffi and pycparser) and soxr; for a
host without a registry, `pip download --only-binary :all: --no-deps` them into a folder that goes along.

What is counted are frames of codes; a frame is silent if its codes are those of digital silence.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from finetune.config import Full, LossSettings, ScheduleSettings
from finetune.data.audio import RATE_HZ
from finetune.data.codes import Encoder
from finetune.data.manifest import read_manifest
from finetune.training.adaptation import adapt
from finetune.training.batch import collate
from finetune.training.corpus import TrainingCorpus
from finetune.training.loss import count, loss_parts, total
from finetune.training.model import load_csm_for_training
from finetune.training.sample import Sample, TrainingTurn, build_sample, depth_mask
from finetune.training.schedule import rate
from finetune.training.servable import write_servable
from finetune.voice import Voice, prompt_builder
from tests.unit.finetune.tiny import write_base
from tts_engine.model.checkpoint import Checkpoint
from tts_engine.model.config import CsmConfig
from tts_engine.model.mimi.encoder import MimiEncoder
from tts_engine.model.mimi.weights import load_encoder
from tts_engine.model.prompt import Codes
from tts_engine.model.sampling import Sampling

WAYS = ("ours", "end unlabelled", "silence kept", "old way")
_WHO = ("Əli", "Leyla", "Qonşumuz", "Müəllim", "Uşaqlar", "Günəş xala", "Bu adam", "Həkim")
_WHEN = ("bu gün", "dünən axşam", "sabah tezdən", "hər həftə", "indi", "yayda")
_WHAT = (
    "bazara gedir",
    "kitab oxuyur",
    "şəhərə qayıdır",
    "bizə zəng vurur",
    "çörək alır",
    "işə gecikir",
    "evdə qalır",
)


def sentences(number: int) -> list[str]:
    """Give different sentences, of 15 to 40 letters."""
    rng = np.random.default_rng(0)
    every = [f"{who} {when} {what}." for who in _WHO for when in _WHEN for what in _WHAT]
    return [every[index] for index in rng.permutation(len(every))[:number]]


def write_corpus(folder: Path, texts: Sequence[str]) -> Path:
    """Say the texts with espeak-ng as an LJSpeech folder: half a second before, one to two seconds after."""
    rng = np.random.default_rng(1)
    (folder / "wavs").mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(texts):
        path = folder / f"wavs/{number:03d}.wav"
        subprocess.run(["espeak-ng", "-v", "az", "-s", "165", "-w", str(path), text], check=True)
        sound, source = soundfile.read(path, dtype="float32")
        sound = soxr.resample(sound, source, RATE_HZ)
        silence = [np.zeros(round(seconds * RATE_HZ)) for seconds in (0.5, rng.uniform(1.0, 2.0))]
        soundfile.write(path, np.concatenate((silence[0], sound, silence[1])), RATE_HZ)
    lines = "".join(f"{number:03d}|{text}\n" for number, text in enumerate(texts))
    (folder / "metadata.csv").write_text(lines, encoding="utf-8")
    return folder


class _Latents(nn.Module):
    """Stands in for the quantizer and keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def encode(self, x: Tensor) -> Tensor:
        self.seen.append(x)
        return torch.zeros(len(x), 1, dtype=torch.int64)


@torch.no_grad()
def fit_codebooks(base: Path, sounds: Sequence[np.ndarray]) -> None:
    """Take the codebooks of a random codec from sound, so that its codes tell speech from silence."""
    encoder = MimiEncoder(CsmConfig.read(base).mimi)
    load_encoder(encoder, Checkpoint(base))
    quantizer, latents = encoder.quantizer, _Latents()
    encoder.quantizer = latents
    for sound in sounds:
        encoder(torch.from_numpy(sound)[None].float())
    seen = torch.cat(latents.seen)
    tensors = load_file(base / "model.safetensors")
    generator = torch.Generator().manual_seed(0)
    for kind, part in (("semantic", quantizer.semantic), ("acoustic", quantizer.acoustic)):
        rest = seen @ part.input.T
        for layer in range(part.count):
            table = rest[torch.randperm(len(rest), generator=generator)[: part.size]]
            # a code that is never the nearest: no frame of sound may read as the end
            table = torch.cat((torch.full_like(table[:1], 1e3), table))[: part.size]
            table = torch.cat((table, torch.full((part.size - len(table), table.shape[1]), 1e3)))
            name = f"codec_model.quantizer.{kind}_residual_vector_quantizer.layers.{layer}.codebook"
            tensors[f"{name}.embed_sum"] = table
            tensors[f"{name}.cluster_usage"] = torch.ones(part.size)
            rest = rest - table[torch.cdist(rest, table).argmin(-1)]
    save_file(tensors, base / "model.safetensors", metadata={"format": "pt"})


@dataclass(frozen=True, slots=True)
class Budget:
    """What each way is given."""

    steps: int
    learning_rate: float
    window_s: float
    limit_s: float
    batch: int = 16
    depth_share: float = 0.25


@dataclass(frozen=True, slots=True)
class Outcome:
    way: str
    stop_rate: float
    frames_per_expected: float
    silent_share: float
    loss: float
    seconds: float


def make_ready(folder: Path, texts: Sequence[str], *, hidden: int = 64) -> Path:
    """Write corpus, base and prepared clips below the folder."""
    from rich.console import Console  # noqa: PLC0415 - the GPU host needs none of these

    from finetune.data.prepare import prepare  # noqa: PLC0415 - as above
    from finetune.data.settings import PrepareSettings  # noqa: PLC0415 - as above

    corpus, base = write_corpus(folder / "corpus", texts), write_base(folder / "base", hidden=hidden).folder
    fit_codebooks(base, [soundfile.read(path, dtype="float32")[0] for path in sorted((corpus / "wavs").iterdir())])
    settings = PrepareSettings(corpus=corpus, output=folder / "prepared", codec=str(base), workers=1)
    prepare(settings, Console(quiet=True))
    return folder


def samples_of(way: str, corpus: Path, prepared: Path, base: Path, budget: Budget) -> list[Sample]:
    """Make what one way trains on."""
    config = CsmConfig.read(base)
    builder = prompt_builder(base, config)
    if way in ("ours", "end unlabelled"):
        clips = TrainingCorpus(prepared, builder, num_codebooks=config.num_codebooks)
        samples = [clips.sample(item) for split in ("train", "validation") for item in clips.items(split)]
    else:
        encoder = Encoder(base, device=torch.device("cpu"))
        samples = []
        for line in (corpus / "metadata.csv").read_text(encoding="utf-8").splitlines():
            name, text = line.split("|")
            sound, _ = soundfile.read(corpus / f"wavs/{name}.wav", dtype="float32")
            if way == "old way":
                sound = np.pad(sound, (0, max(round(budget.window_s * RATE_HZ) - len(sound), 0)))
            samples.append(build_sample(builder, [TrainingTurn(0, text, encoder.encode([sound])[0])]))
    if way in ("end unlabelled", "old way"):
        samples = [replace(sample, target=sample.target & ~sample.end) for sample in samples]
    return samples


def learn(samples: Sequence[Sample], base: Path, output: Path, budget: Budget, device: torch.device) -> float:
    """Train every weight on the samples and write what serves; returns the last loss."""
    torch.manual_seed(0)
    method = Full(type="full", learning_rate=budget.learning_rate)
    adaptation = adapt(load_csm_for_training(base, dtype=torch.float32), method, ())
    adaptation.model.to(device)
    parameters = list(adaptation.parameters().values())
    optimiser = torch.optim.AdamW(parameters, lr=budget.learning_rate, betas=(0.9, 0.95), weight_decay=0.0)
    settings = LossSettings(depth_share=budget.depth_share)
    schedule = ScheduleSettings(steps=budget.steps)
    rng, value = np.random.default_rng(0), float("nan")
    for step in range(budget.steps):
        chosen = rng.choice(len(samples), min(budget.batch, len(samples)), replace=False)
        masks = [depth_mask(samples[i], share=budget.depth_share, rng=rng) for i in chosen]
        batch = collate([samples[i] for i in chosen], masks)
        counts = count(batch)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = total(loss_parts(adaptation.model, batch.to(device), settings), counts, settings)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        for group in optimiser.param_groups:
            group["lr"] = budget.learning_rate * rate(step, schedule)
        optimiser.step()
        if step == budget.steps - 1:
            value = float(loss.detach())
    write_servable(adaptation, method, base, output)
    return value


def silent(codes: Codes, silence: Codes) -> np.ndarray:
    """[frames] bool: at least half of a frame's codes are those of one of the frames of silence."""
    return ((codes[:, None] == silence[None]).mean(axis=2) >= 0.5).any(axis=1)


def judge(way: str, voice_folder: Path, prepared: Path, budget: Budget, device: torch.device) -> Outcome:
    """Say every sentence, greedily, up to the limit."""
    voice = Voice(voice_folder, adapter=None, device=device, dtype=torch.float32)
    entries = list(read_manifest(prepared))
    limit = round(budget.limit_s * 12.5)
    prompts = [voice.builder.build(entry.clip.text, speaker=0, reserve_frames=limit) for entry in entries]
    greedy = Sampling(temperature=0.0, depth_temperature=0.0)
    spoken = voice.speak(prompts, [greedy] * len(prompts), frames_max=limit)
    # the codec's transformer knows its position, so silence has other codes later on
    zeros = np.zeros(round(budget.limit_s * RATE_HZ), np.float32)
    silence = Encoder(voice_folder, device=torch.device("cpu")).encode([zeros])[0][2:]
    frames = sum(len(one.codes) for one in spoken)
    quiet = sum(int(silent(one.codes, silence).sum()) for one in spoken)
    return Outcome(
        way,
        stop_rate=float(np.mean([one.stopped for one in spoken])),
        frames_per_expected=frames / sum(entry.frames for entry in entries),
        silent_share=quiet / max(frames, 1),
        loss=0.0,
        seconds=0.0,
    )


def compare(folder: Path, ways: Sequence[str], budget: Budget, device: torch.device) -> list[Outcome]:
    """Train and judge each way from the same base, in a folder that `make_ready` has filled."""
    corpus, base, prepared = (folder / name for name in ("corpus", "base", "prepared"))
    outcomes: list[Outcome] = []
    for way in ways:
        started = time.perf_counter()
        samples = samples_of(way, corpus, prepared, base, budget)
        loss = learn(samples, base, folder / f"voice {way}", budget, device)
        outcome = judge(way, folder / f"voice {way}", prepared, budget, device)
        outcomes.append(replace(outcome, loss=loss, seconds=time.perf_counter() - started))
    return outcomes


def markdown(outcomes: Sequence[Outcome]) -> str:
    """Lay the outcomes out as a table."""
    rows = [
        f"| {o.way} | {100 * o.stop_rate:.0f} % | {o.frames_per_expected:.2f} | {100 * o.silent_share:.0f} % "
        f"| {o.loss:.2f} | {o.seconds:.0f} |"
        for o in outcomes
    ]
    head = ["| way | stops | frames out per expected | silent frames | last loss | s |", "|---|---|---|---|---|---|"]
    return "\n".join([*head, *rows]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("corpus", "run"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sentences", type=int, default=60)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--window-s", type=float, default=15.0)
    parser.add_argument("--limit-s", type=float, default=20.0)
    parser.add_argument("--report", type=Path)
    args = parser.parse_args()
    if args.command == "corpus":
        make_ready(args.folder, sentences(args.sentences), hidden=args.hidden)
        return
    budget = Budget(args.steps, args.rate, args.window_s, args.limit_s)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    outcomes = compare(args.folder, WAYS, budget, device)
    table = markdown(outcomes)
    print(table)
    if args.report:
        args.report.parent.mkdir(parents=True, exist_ok=True)
        args.report.write_text(table, encoding="utf-8")
        rows = [{name: getattr(o, name) for name in Outcome.__slots__} for o in outcomes]
        args.report.with_suffix(".json").write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
