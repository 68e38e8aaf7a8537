"""The old way of fine-tuning and ours, on the same recordings of espeak-ng: who stops, and who learnt to be silent.

The corpus has half of its clips with half a second of silence before and one to two seconds after. A small CSM with a
codec of random weights learns it by the product's own `prepare` and `train`, each way with several seeds:

- `ours`: trimmed, the end frame in the loss;
- `end unlabelled`: the same clips, the end left out of the loss, as transformers 4.52 did;
- `silence kept`: the recordings as they are, the end in the loss;
- `old way`: the recordings filled to windows of 15 s, the end left out of the loss.

    python -m tests.gpu.finetune_cure corpus build/cure --sentences 1200      # where espeak-ng is: corpora, codes, base
    python -m tests.gpu.finetune_cure run build/cure --seeds 3 --parallel 12 --report $OUT/cure.md   # where the GPU is

`corpus` leaves in `build/cure` what `run` needs; the sound stays beside it, in `build/cure-sound`. `run` needs torch,
transformers, peft, accelerate, pydantic, soundfile (with cffi and pycparser) and soxr.

What is counted are frames of codes; a frame is silent if its codes are those of digital silence.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import soundfile
import soxr
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from finetune.config import RunSettings, parse_settings
from finetune.data.audio import RATE_HZ
from finetune.data.codes import Encoder, Shard
from finetune.data.manifest import Entry, read_manifest
from finetune.training.loop import train
from finetune.voice import Voice
from tests.unit.finetune.tiny import write_base
from tts_engine.model.checkpoint import Checkpoint
from tts_engine.model.config import CsmConfig
from tts_engine.model.mimi.encoder import MimiEncoder
from tts_engine.model.mimi.weights import load_encoder
from tts_engine.model.prompt import Codes
from tts_engine.model.sampling import Sampling

DATA = {"ours": "trimmed", "end unlabelled": "trimmed", "silence kept": "whole", "old way": "windows"}
WAYS = tuple(DATA)
_UNLABELLED = ("end unlabelled", "old way")
_WHO = (
    "Əli", "Leyla", "Qonşumuz", "Müəllim", "Uşaqlar", "Günəş xala", "Bu adam", "Həkim", "Nənəm", "Atam",
    "Xanım Məmmədova", "Sürücü", "Satıcı", "Qardaşım",
)  # fmt: skip
_WHEN = (
    "bu gün", "bu axşam", "sabah tezdən", "hər həftə", "indi", "yayda", "səhər erkən", "axşam saat yeddidə",
    "bazar ertəsi", "qışda",
)  # fmt: skip
_WHAT = (
    "bazara gedir", "kitab oxuyur", "şəhərə qayıdır", "bizə zəng vurur", "çörək alır", "işə gecikir", "evdə qalır",
    "dərs deyir", "maşın sürür", "həyətdə işləyir", "su içir", "məktub yazır", "televizora baxır", "yemək bişirir",
)  # fmt: skip
_LENIENT = {
    "seconds_max": 30.0, "letters_per_s_min": 0.1, "rate_z_max": 1e6, "snr_min_db": -100.0, "level_min_dbfs": -100.0,
}  # fmt: skip


def sentences(number: int) -> list[str]:
    """Give different sentences, of 12 to 50 letters."""
    rng = np.random.default_rng(0)
    every = [f"{who} {when} {what}." for who in _WHO for when in _WHEN for what in _WHAT]
    return [every[index] for index in rng.permutation(len(every))[:number]]


def write_corpus(folder: Path, texts: Sequence[str], *, window_s: float = 0.0) -> Path:
    """Say the texts with espeak-ng as an LJSpeech folder; every other one has silence before and after.

    With a window, each recording is filled with zeros to that length.
    """
    rng = np.random.default_rng(1)
    if (folder / "metadata.csv").exists():
        return folder
    (folder / "wavs").mkdir(parents=True, exist_ok=True)
    spoken = folder / "spoken.wav"
    for number, text in enumerate(texts):
        subprocess.run(["espeak-ng", "-v", "az", "-s", "165", "-w", str(spoken), text], check=True)
        sound, source = soundfile.read(spoken, dtype="float32")
        sound = soxr.resample(sound, source, RATE_HZ)
        lead, tail = (0.5, rng.uniform(1.0, 2.0)) if number % 2 == 0 else (0.0, 0.0)
        sound = np.pad(sound, (round(lead * RATE_HZ), round(tail * RATE_HZ)))
        sound = np.pad(sound, (0, max(round(window_s * RATE_HZ) - len(sound), 0)))
        soundfile.write(folder / f"wavs/{number:04d}.flac", sound, RATE_HZ)
    spoken.unlink(missing_ok=True)
    lines = "".join(f"{number:04d}|{text}\n" for number, text in enumerate(texts))
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
            # the first is never the nearest: no frame of sound may read as the end
            table = torch.cat((torch.full_like(rest[:1], 1e3), _centres(rest, part.size - 1, generator)))
            name = f"codec_model.quantizer.{kind}_residual_vector_quantizer.layers.{layer}.codebook"
            tensors[f"{name}.embed_sum"] = table
            tensors[f"{name}.cluster_usage"] = torch.ones(part.size)
            rest = rest - table[torch.cdist(rest, table).argmin(-1)]
    save_file(tensors, base / "model.safetensors", metadata={"format": "pt"})


def _centres(points: Tensor, number: int, generator: torch.Generator) -> Tensor:
    """Begin apart (k-means++), so that silence, which is most alike, has one code and not many; then settle."""
    chosen = points[:1]
    for _ in range(number - 1):
        distances = torch.cdist(points, chosen).amin(1) ** 2 + 1e-12
        chosen = torch.cat((chosen, points[torch.multinomial(distances, 1, generator=generator)]))
    for _ in range(5):
        nearest = torch.cdist(points, chosen).argmin(1)
        sums = torch.zeros_like(chosen).index_add(0, nearest, points)
        counts = nearest.bincount(minlength=number)[:, None]
        chosen = torch.where(counts > 0, sums / counts.clamp(min=1), chosen)
    return chosen


@dataclass(frozen=True, slots=True)
class Budget:
    """What each way is given; a step has about as many clips whatever the way, since silence is not work."""

    steps: int
    learning_rate: float
    window_s: float
    limit_s: float
    clips: int = 48
    depth_share: float = 0.25
    temperature: float = 0.9


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of the sentences of one split: shares, and frames out for each frame that the trimmed recording has."""

    way: str
    seed: int
    split: str
    sentences: int
    stop_rate: float
    frames_per_expected: float
    silent_share: float
    loss: float
    seconds: float
    steps: int


def make_ready(
    folder: Path, texts: Sequence[str], *, hidden: int = 64, layers: int = 2, window_s: float = 15.0
) -> Path:
    """Write corpora, base and what `prepare` makes of them; the sound goes beside the folder."""
    from rich.console import Console  # noqa: PLC0415 - the GPU host needs neither

    from finetune.data.prepare import prepare  # noqa: PLC0415 - as above
    from finetune.data.settings import PrepareSettings  # noqa: PLC0415 - as above

    sound = folder.with_name(f"{folder.name}-sound")
    corpora = {
        "trimmed": write_corpus(sound / "whole-corpus", texts),
        "whole": sound / "whole-corpus",
        "windows": write_corpus(sound / "windows-corpus", texts, window_s=window_s),
    }
    base = write_base(folder / "base", hidden=hidden, layers=layers).folder
    files = sorted((sound / "whole-corpus/wavs").iterdir())[:200]
    fit_codebooks(base, [soundfile.read(path, dtype="float32")[0] for path in files])
    for name, corpus in corpora.items():
        untrimmed = {"trim": {"vad": "none"}, "filters": _LENIENT} if name != "trimmed" else {}
        settings = parse_settings(
            PrepareSettings,
            {
                "corpus": corpus, "output": sound / name, "codec": str(base), "workers": 1,
                "split": {"validation_share": 0.1}, **untrimmed,
            },
        )  # fmt: skip
        prepare(settings, Console(quiet=True))
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir(parents=True)
        for part in ("prepared.json", "manifest.jsonl"):
            shutil.copy(sound / name / part, folder / name / part)
        shutil.copytree(sound / name / "codes", folder / name / "codes")
    return folder


def run_settings(folder: Path, way: str, seed: int, budget: Budget, *, precision: str) -> RunSettings:
    """Say what the product's `train` is told: the same for every way but its clips and its ends."""
    entries = list(read_manifest(folder / DATA[way]))
    # a position a letter or frame; padding takes a little more
    mean = fmean(entry.frames + len(entry.clip.text.encode()) + 8 for entry in entries)
    positions = round(budget.clips * mean)
    return parse_settings(
        RunSettings,
        {
            "base": str(folder / "base"), "data": str(folder / DATA[way]),
            "output": str(folder / f"runs/{way} {seed}"), "precision": precision, "seed": seed,
            "method": {"type": "full", "learning_rate": budget.learning_rate},
            "schedule": {"steps": budget.steps, "weight_decay": 0.1},
            "loss": {
                "depth_share": budget.depth_share, "ends": "unlabelled" if way in _UNLABELLED else "labelled",
            },
            "batches": {"positions_per_step": positions, "positions_per_batch": positions, "context_share": 0.0},
            "checks": {"every_steps": budget.steps, "sentences": 0, "patience": 100},
            "checkpoints": {"every_steps": budget.steps},
        },
    )  # fmt: skip


def silent(codes: Codes, silence: Codes) -> np.ndarray:
    """[frames] bool: at least half of a frame's codes are those of one of the frames of silence."""
    return ((codes[:, None] == silence[None]).mean(axis=2) >= 0.5).any(axis=1)


def silence_of(base: Path, limit_s: float) -> Codes:
    """Codes of digital silence; the codec's transformer knows its position, so later ones are others."""
    zeros = np.zeros(round(limit_s * RATE_HZ), np.float32)
    return np.unique(Encoder(base, device=torch.device("cpu")).encode([zeros])[0][2:], axis=0)


def learn_and_judge(
    folder: Path, way: str, seed: int, budget: Budget, *, enough_s: float = float("inf")
) -> list[Outcome]:
    """Train one way with one seed and say sentences of both splits, with the server's own sampling.

    After `enough_s` the training ends where it is.
    """
    started = time.perf_counter()
    cuda = torch.cuda.is_available()
    device = torch.device("cuda" if cuda else "cpu")
    settings = run_settings(folder, way, seed, budget, precision="bf16" if cuda else "fp32")
    learnt = train(settings, lambda _: None, lambda: time.perf_counter() - started > enough_s)
    lines = (settings.output / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    loss = float(next((row["loss"] for row in map(json.loads, reversed(lines)) if row["kind"] == "check"), "nan"))
    voice = Voice(settings.output / "last", adapter=None, device=device, dtype=torch.float32)
    silence = silence_of(folder / "base", budget.limit_s)
    seconds = time.perf_counter() - started
    outcomes: list[Outcome] = []
    for split in ("validation", "train"):
        # what is expected is what is in the trimmed clip, whatever the way
        entries = [entry for entry in read_manifest(folder / "trimmed") if entry.split == split]
        found = _judged(voice, entries[:120], seed, budget, silence)
        outcomes.append(Outcome(way, seed, split, len(entries[:120]), *found, loss, seconds, learnt.steps))
    return outcomes


def _judged(
    voice: Voice, entries: Sequence[Entry], seed: int, budget: Budget, silence: Codes
) -> tuple[float, float, float]:
    """Say the entries' texts: share that stopped, frames out for each expected, share of silent frames."""
    limit = round(budget.limit_s * 12.5)
    prompts = [voice.builder.build(entry.clip.text, speaker=0, reserve_frames=limit) for entry in entries]
    heat = budget.temperature
    samplings = [Sampling(heat, heat, seed=1000 * seed + n) for n in range(len(prompts))]
    spoken = voice.speak(prompts, samplings, frames_max=limit)
    frames = sum(len(one.codes) for one in spoken)
    quiet = sum(int(silent(one.codes, silence).sum()) for one in spoken)
    stopped = sum(one.stopped for one in spoken) / len(spoken)
    return stopped, frames / sum(entry.frames for entry in entries), quiet / max(frames, 1)


def compare(folder: Path, ways: Sequence[str], budget: Budget, *, seeds: int = 1) -> list[Outcome]:
    """Train and judge each way from the same base, one after the other, in a folder that `make_ready` has filled."""
    return [one for way in ways for seed in range(seeds) for one in learn_and_judge(folder, way, seed, budget)]


def recorded(folder: Path, limit_s: float) -> dict[str, float]:
    """Share of silent frames in what each way learns from."""
    silence = silence_of(folder / "base", limit_s)
    shares: dict[str, float] = {}
    for name in ("trimmed", "whole", "windows"):
        shards: dict[str, Shard] = {}
        frames = quiet = 0
        for entry in read_manifest(folder / name):
            if entry.shard not in shards:
                shards[entry.shard] = Shard(folder / name / f"codes/{entry.shard}.safetensors")
            found = silent(shards[entry.shard].codes(entry.clip.id), silence)
            frames, quiet = frames + len(found), quiet + int(found.sum())
        shares[name] = quiet / frames
    return shares


def markdown(outcomes: Sequence[Outcome], recordings: dict[str, float]) -> str:
    """Lay the outcomes out as a table: the mean over the seeds, and the lowest and highest."""
    head = [
        "| way | sentences | stops | frames out per expected | silent | in its clips | held-out loss | steps | s |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    rows: list[str] = []
    for split in ("validation", "train"):
        for way in WAYS:
            own = [o for o in outcomes if o.way == way and o.split == split]
            if own:
                name = "held out" if split == "validation" else "learnt"
                rows.append(
                    f"| {way} | {name} | {_spread([100 * o.stop_rate for o in own], 1)} % "
                    f"| {_spread([o.frames_per_expected for o in own], 2)} "
                    f"| {_spread([100 * o.silent_share for o in own], 1)} % | {100 * recordings[DATA[way]]:.0f} % "
                    f"| {_spread([o.loss for o in own], 2)} | {min(o.steps for o in own)} "
                    f"| {fmean(o.seconds for o in own):.0f} |"
                )
    return "\n".join([*head, *rows]) + "\n"


def _spread(values: Sequence[float], digits: int) -> str:
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{fmean(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def _run_all(args: argparse.Namespace) -> list[Outcome]:
    """Run every way and seed as a process of its own, several at a time on the one GPU."""
    waiting = [(way, seed) for seed in range(args.seeds) for way in args.ways]
    running: dict[subprocess.Popen[bytes], Path] = {}
    outcomes: list[Outcome] = []
    while waiting or running:
        while waiting and len(running) < args.parallel:
            way, seed = waiting.pop(0)
            out = args.folder / f"outcome {way} {seed}.json"
            command = [
                sys.executable, "-m", "tests.gpu.finetune_cure", "one", str(args.folder), "--ways", way, "--seed",
                str(seed), "--steps", str(args.steps), "--rate", str(args.rate), "--limit-s", str(args.limit_s),
                "--clips", str(args.clips), "--enough-s", str(args.enough_s), "--report", str(out),
            ]  # fmt: skip
            running[subprocess.Popen(command)] = out
        for process in [process for process in running if process.poll() is not None]:
            out = running.pop(process)
            if process.returncode:
                print(f"{out.stem} failed with {process.returncode}", flush=True)
                continue
            own = [Outcome(**row) for row in json.loads(out.read_text(encoding="utf-8"))]
            outcomes += own
            print(*own, sep="\n", flush=True)
            _write_report(args, outcomes)
        time.sleep(0.5)
    return outcomes


def _write_report(args: argparse.Namespace, outcomes: Sequence[Outcome]) -> None:
    if args.report is None:
        return
    args.report.parent.mkdir(parents=True, exist_ok=True)
    args.report.write_text(markdown(outcomes, recorded(args.folder, args.limit_s)), encoding="utf-8")
    rows = [asdict(outcome) for outcome in outcomes]
    args.report.with_suffix(".json").write_text(json.dumps(rows, indent=1), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("corpus", "run", "one"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sentences", type=int, default=1200)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--window-s", type=float, default=15.0)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--limit-s", type=float, default=20.0)
    parser.add_argument("--clips", type=int, default=48)
    parser.add_argument("--enough-s", type=float, default=300.0, help="a training ends after so many seconds")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--parallel", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0, help="of `one`")
    parser.add_argument("--ways", nargs="+", default=WAYS, choices=WAYS)
    parser.add_argument("--report", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.command == "corpus":
        make_ready(
            args.folder, sentences(args.sentences), hidden=args.hidden, layers=args.layers, window_s=args.window_s
        )
    elif args.command == "one":
        budget = Budget(args.steps, args.rate, args.window_s, args.limit_s, args.clips)
        rows = learn_and_judge(args.folder, args.ways[0], args.seed, budget, enough_s=args.enough_s)
        args.report.write_text(json.dumps([asdict(row) for row in rows]), encoding="utf-8")
    else:
        outcomes = _run_all(args)
        print(markdown(outcomes, recorded(args.folder, args.limit_s)))


if __name__ == "__main__":
    main()
