"""A voice says held-out sentences and a meter writes them down: the last columns of the demonstration's table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from finetune.demo.hearing import spelling
from finetune.demo.sentences import Sentence
from finetune.demo.synthesis import RATE_HZ, Samples
from finetune.evaluation.measures import silence
from finetune.meter.letters import error_rate
from finetune.meter.meter import Meter
from finetune.voice import Voice
from tts_engine.model.sampling import Sampling

_SIDE_BY_SIDE = 64
_FRAMES_PER_S = 12.5


@dataclass(frozen=True, slots=True)
class Said:
    """What a voice made of some sentences, in sums: shares of 1, seconds, and the ratio to the source's seconds."""

    sentences: int
    temperature: float
    stop_rate: float
    error_rate: float
    error_rate_of_stopped: float
    duration_ratio: float
    silent_share: float


@dataclass(frozen=True, slots=True)
class Heard:
    row: Sentence
    samples: Samples
    stopped: bool


def say(voice: Voice, rows: Sequence[Sentence], *, temperature: float, limit_s: float, seed: int = 0) -> list[Heard]:
    """Say sentences, each by its own speaker's number, up to the limit."""
    heard: list[Heard] = []
    limit = round(limit_s * _FRAMES_PER_S)
    for start in range(0, len(rows), _SIDE_BY_SIDE):
        part = rows[start : start + _SIDE_BY_SIDE]
        prompts = [voice.builder.build(row.text, speaker=row.speaker, reserve_frames=limit) for row in part]
        samplings = [Sampling(temperature, temperature, seed=seed + start + n) for n in range(len(part))]
        spoken = voice.speak(prompts, samplings, frames_max=limit)
        sounds = voice.sound([one.codes for one in spoken])
        heard += [Heard(row, s, one.stopped) for row, s, one in zip(part, sounds, spoken, strict=True)]
    return heard


def judged(heard: Sequence[Heard], meter: Meter, source_s: Sequence[float], *, temperature: float) -> Said:
    """Measure what was said against what was meant and how long the source took."""
    written = [meter.read(one.samples) for one in heard]
    meant = [spelling(one.row) for one in heard]
    whole = [n for n, one in enumerate(heard) if one.stopped]
    seconds = [len(one.samples) / RATE_HZ for one in heard]
    return Said(
        sentences=len(heard),
        temperature=temperature,
        stop_rate=len(whole) / len(heard),
        error_rate=error_rate(written, meant),
        error_rate_of_stopped=error_rate([written[n] for n in whole], [meant[n] for n in whole]),
        duration_ratio=median(s / max(wanted, 0.1) for s, wanted in zip(seconds, source_s, strict=True)),
        silent_share=fmean(silence(one.samples).total_s / max(s, 0.01) for one, s in zip(heard, seconds, strict=True)),
    )
