"""The list of what is said, by whom, and what for: trained on, or kept apart because it has words kept apart."""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from finetune.data.text import words
from finetune.demo.grammar import Grammar
from finetune.demo.inflection import Language

Split = Literal["train", "held_out"]
_KEPT_APART = 25
_LETTERS_MIN = 5


@dataclass(frozen=True, slots=True)
class Speaker:
    """An espeak-ng voice variant at a pitch (0 to 99) and a rate; its place in `SPEAKERS` is its number."""

    variant: str
    pitch: int
    words_per_minute: int


SPEAKERS = (Speaker("f2", 50, 160), Speaker("m3", 45, 165), Speaker("Annie", 55, 155), Speaker("m7", 40, 160))
_SHARES = (0.4, 0.3, 0.15, 0.15)


@dataclass(frozen=True, slots=True)
class Sentence:
    """One clip to be; `id` is its place in the list."""

    id: int
    language: Language
    speaker: int
    split: Split
    text: str


def kept_apart(word: str) -> bool:
    """Is this (folded) word never trained on: one in 25 of those of five letters or more, by its checksum."""
    return len(word) >= _LETTERS_MIN and zlib.crc32(word.encode()) % _KEPT_APART == 0


def sentences(counts: dict[Language, int], held_out: int, *, seed: int = 0) -> Iterator[Sentence]:
    """Give `counts` sentences to train on for each language, and `held_out` that have words kept apart."""
    number = 0
    for language, count in counts.items():
        rng = random.Random(f"{seed} {language}")  # noqa: S311 - a corpus, not a secret
        wanted: dict[Split, int] = {"train": count, "held_out": held_out}
        for text in Grammar.read(language).sentences(rng):
            split: Split = "held_out" if any(kept_apart(word) for word in words(text)) else "train"
            if wanted[split]:
                wanted[split] -= 1
                speaker = rng.choices(range(len(SPEAKERS)), _SHARES)[0]
                yield Sentence(number, language, speaker, split, text)
                number += 1
            if not any(wanted.values()):
                break


def write_sentences(path: Path, rows: Iterable[Sentence]) -> None:
    """Write a line a sentence."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def read_sentences(path: Path) -> list[Sentence]:
    return [Sentence(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
