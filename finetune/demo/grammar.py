"""Sentences of the demonstration voice's corpus: patterns filled from word lists, numbers, dates and invented names.

Invented names matter: a voice that has only met a few hundred words learns them by heart instead of learning to read.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from finetune.demo.inflection import Language, inflect
from finetune.demo.numerals import say_number

_SLOT = re.compile(r"\{(\w+)(?:\+(\w+))?\}")
_MONEY = {"az": ("manat", "qəpik"), "tr": ("lira", "kuruş"), "en": ("pounds", "pence")}
_CONSONANTS = {"az": "b d f h x k q l m n p r s ş t v y z c ç g j", "tr": "b d f h k l m n p r s ş t v y z c ç g"}
_ENGLISH = (
    *("bar", "del", "fin", "gor", "hal", "kem", "lin", "mar", "nor", "pel", "ran", "sel", "tor", "vin", "wex", "dan"),
    *("ber", "mol", "sto", "tri", "bra", "klo"),
)
_LISTS = 0.04
_SHORT = 0.03


@dataclass(frozen=True, slots=True)
class Grammar:
    """Word lists, suffixes and patterns of one language."""

    language: Language
    lists: dict[str, list[str]]
    suffixes: dict[str, str]
    templates: list[str]
    short: list[str]

    @classmethod
    def read(cls, language: Language) -> Grammar:
        """Read `words/LANGUAGE.yaml`."""
        text = (Path(__file__).parent / f"words/{language}.yaml").read_text(encoding="utf-8")
        return cls(language, **yaml.safe_load(text))

    def sentences(self, rng: random.Random) -> Iterator[str]:
        """Give different sentences without end, in their written form with all numbers in words."""
        seen: set[str] = set()
        while True:
            text = rng.choice(self.short) if rng.random() < _SHORT else self._sentence(rng)
            if text not in seen:
                seen.add(text)
                yield text
            elif len(text) < 20:
                yield text  # there are few short ones, and they are said often

    def _sentence(self, rng: random.Random) -> str:
        if rng.random() < _LISTS:
            return ", ".join(self._name(rng) for _ in range(rng.randint(1, 4))) + "."
        text = _SLOT.sub(lambda slot: self._fill(slot[1], slot[2], rng), rng.choice(self.templates))
        return text[0].translate(_CAPITAL).upper() + text[1:] if self.language != "en" else text[0].upper() + text[1:]

    def _fill(self, slot: str, suffix: str | None, rng: random.Random) -> str:
        word = rng.choice(self.lists[slot]) if slot in self.lists else self._made_up(slot, rng)
        return inflect(word, self.suffixes[suffix], self.language) if suffix else word

    def _made_up(self, slot: str, rng: random.Random) -> str:
        match slot:
            case "name":
                return self._name(rng)
            case "number":
                return self._number(rng)
            case "digits":
                return " ".join(self._say(rng.randint(0, 9)) for _ in range(4))
            case "phone":
                groups = (
                    rng.choice((50, 51, 55, 70, 77)),
                    rng.randint(100, 999),
                    rng.randint(10, 99),
                    rng.randint(10, 99),
                )
                return f"{self._say(0)} " + ", ".join(self._say(group) for group in groups)
            case "time":
                minutes = rng.choice((0, 5, 10, 15, 20, 30, 40, 45, rng.randint(1, 59)))
                return self._say(rng.randint(1, 23)) + (f" {self._say(minutes)}" if minutes else "")
            case "date":
                return f"{self._say(rng.randint(1, 31))} {rng.choice(self.lists['month'])}"
            case "money":
                whole, part = _MONEY[self.language]
                coins = f" {self._say(rng.randint(1, 99))} {part}" if rng.random() < 0.4 else ""
                return f"{self._number(rng)} {whole}{coins}"
            case _:
                raise ValueError(f"words/{self.language}.yaml: no list is called {slot!r}")

    def _number(self, rng: random.Random) -> str:
        return self._say(rng.randint(0, 10 ** rng.choice((1, 2, 2, 3, 4, 6)) - 1))

    def _say(self, number: int) -> str:
        return say_number(number, self.language)

    def _name(self, rng: random.Random) -> str:
        """Invent a word that could be one: syllables of one vowel harmony, or joined English ones."""
        if self.language == "en":
            return "".join(rng.choice(_ENGLISH) for _ in range(rng.randint(1, 3))).capitalize()
        back = rng.random() < 0.5
        open_vowel = "ə" if self.language == "az" else "e"
        vowels = "aaıou" if back else f"{open_vowel}{open_vowel}eiöü"
        banned = "gk" if back and self.language == "az" else "q"
        letters = [c for c in _CONSONANTS[self.language].split() if c not in banned]
        name = ""
        for syllable in range(rng.randint(1, 3)):
            onset = rng.choice(letters) if syllable or rng.random() < 0.8 else ""
            coda = rng.choice("nrlmstşz") if rng.random() < 0.5 else ""
            name += onset + rng.choice(vowels if not syllable else vowels[:4]) + coda
        return name[0].translate(_CAPITAL).upper() + name[1:]


_CAPITAL = str.maketrans({"i": "İ", "ı": "I"})
