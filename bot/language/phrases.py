"""Phrases that a caller may say, and whether he said one: exactly, declined, or as a weak recogniser spells it.

A phrase is words in their order, up to two others between them. A word matches with any Azerbaijani ending
(`operator` in `operatora`); a word that ends in `*` with any letters after it (`yazıl*` in `yazılmaq`).
What no phrase matches so is compared by sound: weighted edits of the whole phrase, written as one word because
recognisers also move the gaps (`GABULAYA ZULMAK` for `qəbula yazılmaq`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from bot.language.fold import plain

_WORD = re.compile(r"[^\W_]+")
_PATTERN_WORD = re.compile(r"[^\W_]+\*?")
_GAP = r"(?: \w+){0,2}? "
_ENDING = (
    r"(?:l[ae]r|[iu]m(?:[iu]z)?|[iu]n(?:[iu]z)?|m[iu]z|n[iu]z|s[iu]|[iu]|[ny]?[ae]|n?d[ae]n?|n?[iu]n|[ny]?[iu]|[iy]?l[ae]"
    r"|d[iu]r|m[iu]|k[iu]|m|n){0,4}"
)
_SOUND = str.maketrans({"q": "g", "k": "g", "x": "h", "w": "v", "y": "i", "j": "c"})
_VOWELS = frozenset("aeiou")
_ALIKE = frozenset(frozenset(pair) for pair in ("sz", "dt", "bp", "vf", "gh", "mn", "sc", "iu"))
_HALF = 0.5  # a vowel for a vowel, a consonant for its like: what recognisers confuse most
# The least likeness that counts, by the letters of the phrase; below six two different words are too near. Measured
# on tests/data/az_misheard.tsv (Whisper base over a telephone channel): of 102 utterances 67 found, 15 without; of
# 158 that mean something else none taken by sound.
_LEAST_LIKENESS = ((16, 0.70), (10, 0.76), (6, 0.85))


@dataclass(frozen=True, slots=True)
class Phrase:
    """One phrase, ready to be matched. `text` is as written in the flow."""

    text: str
    pattern: re.Pattern[str]
    sound: str
    pairs: frozenset[str]

    @classmethod
    def of(cls, text: str) -> Phrase:
        """Prepare a phrase; it must have a letter or a digit."""
        words = _PATTERN_WORD.findall(plain(text))
        if not words:
            raise ValueError(f"the phrase {text!r} has no word: write what a caller says")
        pattern = _GAP.join(_word_pattern(word) for word in words)
        sound = "".join(_sound(word.rstrip("*")) for word in words)
        return cls(text, re.compile(rf"(?<!\w){pattern}(?!\w)"), sound, _pairs(sound))

    @property
    def is_natural(self) -> bool:
        """Whether it is what a caller says, not a pattern with `*`."""
        return "*" not in self.text


@dataclass(frozen=True, slots=True)
class Match:
    """The best phrase; `exact` when it was said word by word, else `likeness` says how near by sound."""

    name: str
    phrase: str
    likeness: float
    exact: bool


def best_match(text: str, named: Mapping[str, Sequence[Phrase]]) -> Match | None:
    """Find whose phrase was said; the longest phrase wins, and two that are equally like are no match."""
    said = _WORD.findall(plain(text))
    if not said:
        return None
    joined = " ".join(said)
    exact = [
        (len(phrase.sound), name, phrase)
        for name, phrase in _each(named)
        if phrase.pattern.search(joined) is not None
    ]
    if exact:
        length, name, phrase = max(exact, key=lambda found: found[0])
        rivals = {other for size, other, _ in exact if size == length}
        return Match(name, phrase.text, 1.0, exact=True) if rivals == {name} else None
    return _nearest(said, named)


def likeness(phrase: Phrase, said: Sequence[str]) -> float:
    """Compare a phrase with the most like stretch of the plain words `said`: 1.0 is the same sound."""
    sounds = [_sound(word) for word in said]
    text = "".join(sounds)
    starts: set[int] = set()
    at = 0
    for sound in sounds:
        starts.add(at)
        at += len(sound)
    return 1 - _edits(phrase.sound, text, starts) / len(phrase.sound)


def _nearest(said: Sequence[str], named: Mapping[str, Sequence[Phrase]]) -> Match | None:
    pairs = _pairs("".join(map(_sound, said)))
    scores: dict[str, tuple[float, Phrase]] = {}
    for name, phrase in _each(named):
        least = _least_likeness(phrase)
        if least is None or 3 * len(phrase.pairs & pairs) < len(phrase.pairs):
            continue
        score = likeness(phrase, said)
        if score >= max(least, scores.get(name, (0.0, phrase))[0]):
            scores[name] = score, phrase
    if not scores:
        return None
    ranked = sorted(scores.items(), key=lambda item: -item[1][0])
    (name, (score, phrase)), rest = ranked[0], ranked[1:]
    return None if rest and rest[0][1][0] == score else Match(name, phrase.text, score, exact=False)


def _least_likeness(phrase: Phrase) -> float | None:
    return next((least for letters, least in _LEAST_LIKENESS if len(phrase.sound) >= letters), None)


def _each(named: Mapping[str, Sequence[Phrase]]) -> Iterable[tuple[str, Phrase]]:
    return ((name, phrase) for name, phrases in named.items() for phrase in phrases)


def _word_pattern(word: str) -> str:
    return rf"{re.escape(word[:-1])}\w*" if word.endswith("*") else rf"{re.escape(word)}{_ENDING}"


def _sound(word: str) -> str:
    """Write what sounds alike alike, and a doubled letter once."""
    letters = word.translate(_SOUND)
    return letters[:1] + "".join(second for first, second in pairwise(letters) if first != second)


def _pairs(sound: str) -> frozenset[str]:
    return frozenset(first + second for first, second in pairwise(sound))


def _edits(phrase: str, text: str, starts: set[int]) -> float:
    """Count the weighted edits from `phrase` to the nearest stretch of `text` that begins at a word."""
    unreachable = float(len(phrase) + len(text))
    previous = [0.0 if at in starts else unreachable for at in range(len(text) + 1)]
    for letter in phrase:
        current = [previous[0] + _drop(letter)]
        for at, other in enumerate(text):
            current.append(
                min(
                    previous[at + 1] + _drop(letter),
                    current[at] + _drop(other),
                    previous[at] + _change(letter, other),
                )
            )
        previous = current
    return min(previous)


def _drop(letter: str) -> float:
    return _HALF if letter in _VOWELS else 1.0


def _change(letter: str, other: str) -> float:
    if letter == other:
        return 0.0
    if (letter in _VOWELS and other in _VOWELS) or frozenset((letter, other)) in _ALIKE:
        return _HALF
    return 1.0
