"""Phrases that a caller may say, and whether he said one: exactly, declined, or as a weak recogniser spells it.

A phrase is words in their order, up to two others between them. A word matches with any Azerbaijani ending
(`operator` in `operatora`); a word that ends in `*` with any letters after it (`yazıl*` in `yazılmaq`). A phrase that
begins with `=` is all that is said: `=salam`, and not the beginning of a wish.
What no phrase matches so is compared by sound: weighted edits of the whole phrase, written as one word because
recognisers also move the gaps (`GABULAYA ZULMAK` for `qəbula yazılmaq`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from bot.language.fold import plain

_WORD = re.compile(r"[^\W_]+")
_PATTERN_WORD = re.compile(r"[^\W_]+\*?")
_GAP = r"(?: \w+){0,2}? "
_ENDING = (
    r"(?:l[ae]r|[iu]m(?:[iu]z)?|[iu]n(?:[iu]z)?|m[iu]z|n[iu]z|s[iu]|[iu]|[ny]?[ae]|n?d[ae]n?|n?[iu]n|[ny]?[iu]|[iy]?l[ae]"
    r"|d[iu]r|m[iu]|k[iu]|m|n){0,4}"
)
_SOUND = str.maketrans({"q": "g", "k": "g", "x": "h", "w": "v", "y": "i", "j": "c"})
_VOWELS = "aeiou"
_ALIKE = ("sz", "dt", "bp", "vf", "gh", "mn", "sc")
_WHOLE = "="
_HALF = 0.5  # a vowel for a vowel, a consonant for its like: what recognisers confuse most
# Words of any wish (I want, please, to find out): they say nothing of which one, so they do not count by sound.
_LIGHT = frozenset(
    {"isteyirem", "isteyirdim", "isteyirik", "isteyerdim", "oyrenmek", "olar", "zehmet", "olmasa"}
    | {"men", "mene", "meni", "menim"}
)
# The least likeness that counts, by the letters of the phrase; below six two different words are too near. Chosen on
# tests/data/az_misheard.tsv, synthetic speech through a telephone channel and Whisper base, with the three shipped
# flows: of 240 wishes 159 are found (word by word 46) and none is taken for another; of 579 other turns none is
# taken by sound.
_LEAST_LIKENESS = ((16, 0.70), (10, 0.74), (6, 0.85))


@dataclass(frozen=True, slots=True)
class Phrase:
    """One phrase, ready to be matched. `text` is as written in the flow, `length` is in letters.

    A `whole` one is never compared by sound: it would be found within what else is said.
    """

    text: str
    pattern: re.Pattern[str]
    length: int
    sound: str
    pairs: frozenset[str]
    whole: bool = False

    @classmethod
    def of(cls, text: str) -> Phrase:
        """Prepare a phrase; it must have a letter or a digit."""
        words = _PATTERN_WORD.findall(plain(text))
        if not words:
            raise ValueError(f"the phrase {text!r} has no word: write what a caller says")
        whole = text.startswith(_WHOLE)
        pattern = (" " if whole else _GAP).join(_word_pattern(word) for word in words)
        pattern = f"^{pattern}$" if whole else rf"(?<!\w){pattern}(?!\w)"
        weighty = [word for word in words if word not in _LIGHT] or words
        sound = "".join(_sound(word.rstrip("*")) for word in weighty)
        return cls(text, re.compile(pattern), sum(map(len, words)), sound, _pairs(sound), whole)

    @property
    def is_natural(self) -> bool:
        """Whether it is an example of what callers say, not a pattern with `*`, nor what says nothing beside a wish."""
        return "*" not in self.text and not self.whole


@dataclass(frozen=True, slots=True)
class Match:
    """The best phrase; `exact` when it was said word by word, else `likeness` says how near by sound."""

    name: str
    phrase: str
    likeness: float
    exact: bool


def best_match(text: str, named: Mapping[str, Sequence[Phrase]]) -> Match | None:
    """Find whose phrase was said: word by word, or else by sound."""
    return exact_match(text, named) or nearest_match(text, named)


def exact_match(text: str, named: Mapping[str, Sequence[Phrase]]) -> Match | None:
    """Find whose phrase was said word by word; the longest phrase wins, and two as long of two names are no match."""
    joined = " ".join(_WORD.findall(plain(text)))
    longest, names, found = 0, set[str](), ""
    for name, phrase in _each(named):
        if phrase.length >= longest and phrase.pattern.search(joined) is not None:
            if phrase.length > longest:
                longest, names = phrase.length, set()
            names.add(name)
            found = phrase.text
    return Match(names.pop(), found, 1.0, exact=True) if len(names) == 1 else None


def nearest_match(text: str, named: Mapping[str, Sequence[Phrase]]) -> Match | None:
    """Find whose phrase sounds most like what was said, if it is like enough; two equally like are no match."""
    said = _Said.of(text)
    scores: dict[str, tuple[float, Phrase]] = {}
    for name, phrase in _each(named):
        least = _least_likeness(phrase)
        if least is None or 3 * len(phrase.pairs & said.pairs) < len(phrase.pairs):
            continue
        score = _likeness(phrase, said, max(least, scores.get(name, (0.0, phrase))[0]))
        if score is not None:
            scores[name] = score, phrase
    if not scores:
        return None
    ranked = sorted(scores.items(), key=lambda item: -item[1][0])
    (name, (score, phrase)), rest = ranked[0], ranked[1:]
    return None if rest and rest[0][1][0] == score else Match(name, phrase.text, score, exact=False)


@dataclass(frozen=True, slots=True)
class _Said:
    """What was said, by its sound; a phrase may begin where a word does."""

    sound: str
    starts: frozenset[int]
    pairs: frozenset[str]

    @classmethod
    def of(cls, text: str) -> _Said:
        sounds = [_sound(word) for word in _WORD.findall(plain(text))]
        joined = "".join(sounds)
        return cls(joined, frozenset(accumulate(map(len, sounds), initial=0)), _pairs(joined))


def _likeness(phrase: Phrase, said: _Said, least: float) -> float | None:
    """Give the likeness, or None when it is less than `least`."""
    length = len(phrase.sound)
    most = (1 - least) * length
    edits = _edits(phrase.sound, said, most)
    return None if edits > most else 1 - edits / length


def _least_likeness(phrase: Phrase) -> float | None:
    if phrase.whole:
        return None
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


def _edits(phrase: str, said: _Said, most: float) -> float:
    """Count the weighted edits from `phrase` to the nearest stretch of what was said; gives up beyond `most`."""
    unreachable = float(len(phrase) + len(said.sound))
    previous = [0.0 if at in said.starts else unreachable for at in range(len(said.sound) + 1)]
    letters = [(other, _drop(other)) for other in said.sound]
    for letter in phrase:
        changes, drop = _CHANGES.get(letter, _NO_CHANGES), _drop(letter)
        left = previous[0] + drop
        current = [left]
        for at, (other, insert) in enumerate(letters):
            change = 0.0 if other == letter else changes.get(other, 1.0)
            left = min(previous[at + 1] + drop, left + insert, previous[at] + change)
            current.append(left)
        if min(current) > most:
            return most + 1
        previous = current
    return min(previous)


def _drop(letter: str) -> float:
    return _HALF if letter in _VOWELS else 1.0


def _alike() -> Mapping[str, Mapping[str, float]]:
    pairs = [(a, b) for a in _VOWELS for b in _VOWELS] + [pair for a, b in _ALIKE for pair in ((a, b), (b, a))]
    changes: dict[str, dict[str, float]] = {}
    for first, second in pairs:
        changes.setdefault(first, {})[second] = _HALF
    return changes


_CHANGES = _alike()
_NO_CHANGES: Mapping[str, float] = {}
