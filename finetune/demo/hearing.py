"""What the meters hear: of the clips of a corpus, and of what a codec makes of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from finetune.codec.model import FRAME_SAMPLES, Codec
from finetune.demo.inflection import Language
from finetune.demo.sentences import Sentence, Split
from finetune.demo.synthesis import Corpus, Samples
from finetune.meter.letters import error_rate, spelt
from finetune.meter.meter import Meter
from finetune.meter.training import Spoken


@dataclass(frozen=True, slots=True)
class Heard:
    """Letter error rates of one meter on one language: of the source, and after the codec."""

    meter: str
    language: Language
    clips: int
    source: float
    codec: float


def spelling(row: Sentence) -> str:
    return spelt(row.text, english=row.language == "en")


def chosen(corpus: Corpus, split: Split, language: Language | None = None, limit: int | None = None) -> list[int]:
    """Give the places of clips of a split, in the corpus's order."""
    rows = enumerate(corpus.sentences)
    found = [n for n, row in rows if row.split == split and language in (None, row.language)]
    return found[:limit]


def base_clips(corpus: Corpus) -> list[int]:
    """Give the places of Turkish and English to train on, mixed so that the last ones, held out, are of both."""
    found = [n for n in chosen(corpus, "train") if corpus.sentences[n].language != "az"]
    random.Random(0).shuffle(found)  # noqa: S311 - an order, not a secret
    return found


def spoken(corpus: Corpus, indices: Sequence[int], sound: Tensor) -> Spoken:
    """Make what the meter is trained on or measured by."""
    return Spoken(sound, corpus.places[list(indices)], [spelling(corpus.sentences[n]) for n in indices])


@torch.inference_mode()
def resynthesised(codec: Codec, clips: Sequence[Samples], *, batch: int = 16) -> list[Samples]:
    """Send clips through the codec; causal, so each comes out as it would alone."""
    device = next(codec.parameters()).device
    made: list[Samples] = []
    for start in range(0, len(clips), batch):
        part = clips[start : start + batch]
        longest = max(len(clip) for clip in part)
        filled = np.zeros((len(part), -(-longest // FRAME_SAMPLES) * FRAME_SAMPLES), np.float32)
        for row, clip in enumerate(part):
            filled[row, : len(clip)] = clip
        out = codec(torch.from_numpy(filled).to(device))[0].cpu().numpy()
        made += [out[row, : len(clip)] for row, clip in enumerate(part)]
    return made


def hear(
    meters: dict[str, Meter], codec: Codec, corpus: Corpus, language: Language, limit: int
) -> tuple[list[Heard], list[tuple[Sentence, Samples]]]:
    """Measure held-out clips of a language; also gives what the codec made of them."""
    indices = chosen(corpus, "held_out", language, limit)
    clips = [corpus.clip(n) for n in indices]
    made = resynthesised(codec, clips)
    meant = [spelling(corpus.sentences[n]) for n in indices]
    rates = [
        Heard(
            name,
            language,
            len(clips),
            error_rate(meter.read_all(clips), meant),
            error_rate(meter.read_all(made), meant),
        )
        for name, meter in meters.items()
    ]
    return rates, [(corpus.sentences[n], sound) for n, sound in zip(indices, made, strict=True)]
