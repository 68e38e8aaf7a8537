"""`zeng finetune evaluate`: a checkpoint says its sentences, each is measured, and a page lets them be heard."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean, median
from typing import Any

import torch
from peft import PeftModel
from torch import nn

from finetune.data.audio import RATE_HZ, Samples, read_clip, write_flac
from finetune.data.clip import letters
from finetune.data.codes import fingerprint
from finetune.data.manifest import read_manifest
from finetune.data.recognition import Recognise
from finetune.errors import ConfigError
from finetune.evaluation.distortion import mel_cepstral_distortion
from finetune.evaluation.ears import Ears, Heard, means, open_ears
from finetune.evaluation.measures import Duration, fit_duration, longest_run, silence
from finetune.training.check import FRAMES_PER_S, held_out
from finetune.training.corpus import Item, TrainingCorpus, fitting
from finetune.training.devices import Devices
from finetune.training.model import load_csm_for_training
from finetune.training.servable import Servable, digest
from finetune.voice import Spoken, Voice
from finetune.whole_file import write_whole
from tts_engine.model.checkpoint import Checkpoint
from tts_engine.model.sampling import Sampling

_SIDE_BY_SIDE = 16
_HELD_OUT = 50
_ENROLLED = 30


@dataclass(frozen=True, slots=True)
class Plan:
    """What is said, how often, and how it is listened to."""

    sentences: tuple[str, ...]
    voice: int
    seeds: int = 3
    limit_s: float = 20.0
    temperature: float = 0.9
    recognise: Recognise | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """One sentence said once; `file` is relative to the evaluation's folder."""

    text: str
    seed: int
    file: str
    stopped: bool
    seconds: float
    expected_s: float
    lead_s: float
    tail_s: float
    inner_s: float
    silent_share: float
    stuck_frames: int
    error_rate: float | None = None
    mos: float | None = None
    speaker_similarity: float | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """`summary` by the name of the measure; perplexities by codebook, of held-out clips.

    `weights` is the `digest` of what was measured; empty if it is of before that was kept.
    """

    summary: dict[str, float]
    perplexities: tuple[float, ...]
    measured: tuple[Measured, ...]
    weights: str = ""


def evaluate(
    servable: Servable, data: Path, plan: Plan, output: Path, tell: Callable[[str], None] = lambda _: None
) -> Evaluation:
    """Measure a checkpoint and write `evaluation.json` and the sounds."""
    (output / "sounds").mkdir(parents=True, exist_ok=True)
    devices = Devices()
    dtype = torch.bfloat16 if devices.device.type == "cuda" else torch.float32
    voice = Voice(servable.folder, adapter=servable.adapter, device=devices.device, dtype=dtype)
    codec = fingerprint(Checkpoint(servable.folder))
    corpus = TrainingCorpus(data, voice.builder, num_codebooks=voice.config.num_codebooks, codec=codec)
    duration = _duration(corpus)
    ears = open_ears(plan.recognise, _recordings(corpus, data, plan.voice))
    asked = [(text, seed) for seed in range(plan.seeds) for text in plan.sentences]
    measured: list[Measured] = []
    for start in range(0, len(asked), _SIDE_BY_SIDE):
        part = asked[start : start + _SIDE_BY_SIDE]
        spoken = _speak(voice, part, plan)
        sounds = voice.sound([one.codes for one in spoken])
        for (text, seed), one, samples in zip(part, spoken, sounds, strict=True):
            file = f"sounds/{len(measured):03d}.flac"
            write_flac(output / file, samples)
            measured.append(_measured(text, seed, file, one, samples, duration, ears))
        tell(f"said {len(measured)} of {len(asked)}")
    validation = fitting(corpus.items("validation"), voice.config.backbone.max_positions)
    floors = _against_recordings(voice, corpus, validation, data, plan, ears)
    del voice
    perplexities = _perplexities(servable, corpus, validation, devices, dtype)
    summary = {**_summary(measured), **floors}
    evaluation = Evaluation(summary, perplexities, tuple(measured), digest(servable.learnt))
    write_whole(output / "evaluation.json", json.dumps(asdict(evaluation), ensure_ascii=False, indent=1))
    return evaluation


def learnt_voice(data: Path) -> int:
    """Give the first voice that is learnt: one that is only heard, or all held out, says nothing of a training."""
    learnt = {e.voice for e in read_manifest(data) if e.split == "train" and e.clip.target}
    return min(learnt, default=0)


def read_evaluation(folder: Path) -> Evaluation:
    """Read what `evaluate` wrote."""
    path = folder / "evaluation.json"
    if not path.exists():
        raise ConfigError(f"{path} is missing; `zeng finetune evaluate` writes it")
    try:
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        measured = tuple(Measured(**one) for one in raw["measured"])
        return Evaluation(raw["summary"], tuple(raw["perplexities"]), measured, raw.get("weights", ""))
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is torn, or of another version; evaluate anew ({error})") from error


def _speak(voice: Voice, asked: Sequence[tuple[str, int]], plan: Plan) -> list[Spoken]:
    limit = round(plan.limit_s * FRAMES_PER_S)
    prompts = [voice.builder.build(text, speaker=plan.voice, reserve_frames=limit) for text, _ in asked]
    samplings = [Sampling(plan.temperature, plan.temperature, seed=seed) for _, seed in asked]
    return voice.speak(prompts, samplings, frames_max=limit)


def _measured(
    text: str, seed: int, file: str, spoken: Spoken, samples: Samples, duration: Duration, ears: Ears
) -> Measured:
    quiet, seconds = silence(samples), len(samples) / RATE_HZ
    return Measured(
        text=text,
        seed=seed,
        file=file,
        stopped=spoken.stopped,
        seconds=round(seconds, 3),
        expected_s=round(duration.expected_s(letters(text)), 3),
        lead_s=quiet.lead_s,
        tail_s=quiet.tail_s,
        inner_s=quiet.inner_s,
        silent_share=round(quiet.total_s / max(seconds, 1e-3), 3),
        stuck_frames=longest_run(spoken.codes),
        **asdict(ears.hear(samples, text)),
    )


def _summary(measured: Sequence[Measured]) -> dict[str, float]:
    ratios = [one.seconds / max(one.expected_s, 1e-3) for one in measured]
    summary = {
        "stop_rate": fmean(one.stopped for one in measured),
        "duration_ratio": median(ratios),
        "duration_within_half_and_double": fmean(0.5 <= ratio <= 2.0 for ratio in ratios),
        "lead_s": fmean(one.lead_s for one in measured),
        "tail_s": fmean(one.tail_s for one in measured),
        "inner_s": fmean(one.inner_s for one in measured),
        "silent_share": fmean(one.silent_share for one in measured),
        "stuck_frames": float(max(one.stuck_frames for one in measured)),
    }
    return {**summary, **means(Heard(one.error_rate, one.mos, one.speaker_similarity) for one in measured)}


def _duration(corpus: TrainingCorpus) -> Duration:
    clips = [entry.clip for item in corpus.items("train") for entry in item.entries if entry.clip.target]
    return fit_duration([letters(clip.text) for clip in clips], [clip.seconds for clip in clips])


def _recordings(corpus: TrainingCorpus, data: Path, voice: int) -> Iterator[Samples]:
    """Give clips of the voice that training has heard, to know it by."""
    own = [e for item in corpus.items("train") for e in item.entries if e.voice == voice and e.clip.target]
    paths = [data / entry.clip.file for entry in own[:_ENROLLED]]
    return (read_clip(path) for path in paths if path.exists())


def _against_recordings(
    voice: Voice, corpus: TrainingCorpus, items: Sequence[Item], data: Path, plan: Plan, ears: Ears
) -> dict[str, float]:
    """Measure held-out recordings and what the codec makes of them: no voice can do better.

    The voice says the same sentences, and its mel cepstral distortion is taken beside the codec's.
    """
    own = [e for item in items for e in item.entries if e.clip.target]
    entries = [e for e in own if (data / e.clip.file).exists()][:_HELD_OUT]
    if not entries:
        return {}
    recorded = [read_clip(data / entry.clip.file) for entry in entries]
    coded = voice.sound([corpus.codes(entry) for entry in entries])
    texts = [entry.clip.text for entry in entries]
    spoken = _speak(voice, [(text, 0) for text in texts[:_SIDE_BY_SIDE]], replace(plan, voice=entries[0].voice))
    said = voice.sound([one.codes for one in spoken])
    distances = [mel_cepstral_distortion(s, r) for s, r in zip(said, recorded, strict=False) if len(s)]
    codec = [mel_cepstral_distortion(c, r) for c, r in zip(coded[:_SIDE_BY_SIDE], recorded, strict=False)]
    return {
        **means((ears.hear(s, text) for s, text in zip(recorded, texts, strict=True)), "_of_recordings"),
        **means((ears.hear(s, text) for s, text in zip(coded, texts, strict=True)), "_of_codec"),
        **({"mel_cepstral_distortion": fmean(distances)} if distances else {}),
        "mel_cepstral_distortion_of_codec": fmean(codec),
    }


def _perplexities(
    servable: Servable, corpus: TrainingCorpus, items: Sequence[Item], devices: Devices, dtype: torch.dtype
) -> tuple[float, ...]:
    model = _scoring_model(servable, dtype).to(devices.device)
    bf16 = dtype == torch.bfloat16
    heard = held_out(model, corpus, items, devices, positions=8_000, bf16=bf16)
    return heard.perplexities


def _scoring_model(servable: Servable, dtype: torch.dtype) -> nn.Module:
    model = load_csm_for_training(servable.folder, dtype=dtype)
    return model if servable.adapter is None else PeftModel.from_pretrained(model, str(servable.adapter))
