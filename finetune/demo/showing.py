"""What is shown of a packed voice: sentences to listen to, and whether it keeps to its speaker in company."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import soundfile

from finetune.data.codes import Encoder
from finetune.demo.hearing import chosen
from finetune.demo.listening import Heard
from finetune.demo.synthesis import RATE_HZ, Corpus, Samples
from finetune.evaluation.speaker import Embedding, SpeakerEncoder, centroid
from finetune.meter.meter import Meter
from finetune.voice import Voice
from tts_engine.model.prompt import ContextTurn
from tts_engine.model.sampling import Sampling

_FRAMES_PER_S = 12.5
_LIMIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Company:
    """Similarity (0 to 1) to one's own recordings and to the other speaker's, by what stood before in the prompt."""

    context: str
    sentences: int
    own: float
    other: float


def write_samples(folder: Path, heard: Sequence[Heard], meter: Meter) -> str:
    """Write each as Opus and return the table of their texts, with what the meter wrote down."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["| speaker | text | the judge wrote | |", "|--:|---|---|---|"]
    for number, one in enumerate(heard):
        name = f"said-{number:02d}.opus"
        soundfile.write(folder / name, one.samples, RATE_HZ, format="OGG", subtype="OPUS")
        lines.append(f"| {one.row.speaker} | {one.row.text} | {meter.read(one.samples)} | [{name}]({name}) |")
    return "\n".join(lines) + "\n"


def company(
    voice: Voice, encoder: Encoder, ear: SpeakerEncoder, corpus: Corpus, speakers: tuple[int, int], *, count: int
) -> list[Company]:
    """Let two speakers say held-out sentences alone, after a turn of their own, and after one of each.

    In a call both sides are in the prompt, so the last row is the product's case: the caller's voice must not rub off.
    """
    places = {
        one: [n for n in chosen(corpus, "held_out", "az") if corpus.sentences[n].speaker == one] for one in speakers
    }
    known = {
        one: centroid(_vectors(ear, [corpus.clip(n) for n in found[: count + 2]])) for one, found in places.items()
    }
    turns = {one: _turn(encoder, corpus, found[0]) for one, found in places.items()}
    rows: list[Company] = []
    for name in ("none", "own turn", "own and the other's"):
        own: list[float] = []
        other: list[float] = []
        for speaker, stranger in (speakers, speakers[::-1]):
            before = {"none": [], "own turn": [turns[speaker]]}.get(name, [turns[speaker], turns[stranger]])
            for vector in _vectors(ear, _said(voice, corpus, places[speaker][2 : count + 2], before)):
                own.append(float(vector @ known[speaker]))
                other.append(float(vector @ known[stranger]))
        rows.append(Company(name, len(own), fmean(own), fmean(other)))
    return rows


def _turn(encoder: Encoder, corpus: Corpus, index: int) -> ContextTurn:
    (codes,) = encoder.encode([corpus.clip(index)])
    row = corpus.sentences[index]
    return ContextTurn(row.speaker, row.text, codes)


def _said(voice: Voice, corpus: Corpus, indices: Sequence[int], before: Sequence[ContextTurn]) -> list[Samples]:
    limit = round(_LIMIT_S * _FRAMES_PER_S)
    rows = [corpus.sentences[n] for n in indices]
    prompts = [voice.builder.build(r.text, speaker=r.speaker, context=before, reserve_frames=limit) for r in rows]
    samplings = [Sampling(0.6, 0.6, seed=n) for n in range(len(rows))]
    return voice.sound([one.codes for one in voice.speak(prompts, samplings, frames_max=limit)])


def _vectors(ear: SpeakerEncoder, sounds: Sequence[Samples]) -> list[Embedding]:
    found = [ear.embed(np.asarray(sound, np.float32)) for sound in sounds]
    return [vector for vector in found if vector is not None]
