"""Suffixes of Azerbaijani and Turkish words, as the corpus of the demonstration voice needs them.

A suffix is written with `a` for the two-way vowel, `ı` for the four-way one, and a buffer letter in parentheses: a
consonant that stands after vowels only, a vowel that stands after consonants only. `(y)a` gives bazara and qapıya.
"""

from __future__ import annotations

from typing import Literal

Language = Literal["az", "tr", "en"]

_BACK = "aıouâ"
_ROUND = "oöuü"
_VOWELS = "aıoueəiöüâ"
_FRONT_OPEN = {"az": "ə", "tr": "e", "en": "e"}
_SOFTENED = {"az": {"k": "y", "q": "ğ"}, "tr": {"k": "ğ", "ç": "c", "p": "b"}, "en": {}}
_VOICELESS = "çfhkpsşt"


def inflect(word: str, suffix: str, language: Language) -> str:
    """Attach a suffix to a word (or to the last word of several)."""
    buffer, _, rest = suffix[1:].partition(")") if suffix.startswith("(") else ("", "", suffix)
    after_vowel = word[-1].lower() in _VOWELS
    if buffer and (buffer in _VOWELS) != after_vowel:
        rest = buffer + rest
    stem = word
    if rest[0] in "aı" and sum(letter in _VOWELS for letter in word.lower()) > 1:
        stem = word[:-1] + _SOFTENED[language].get(word[-1], word[-1])
    if language == "tr" and rest[0] == "d" and word[-1] in _VOICELESS:
        rest = "t" + rest[1:]
    spoken = stem
    for letter in rest:
        spoken += _harmonised(spoken, letter, language)
    return spoken


def _harmonised(before: str, letter: str, language: Language) -> str:
    if letter not in "aı":
        return letter
    last = next((one for one in reversed(before.lower()) if one in _VOWELS), "e")
    back = last in _BACK
    if letter == "a":
        return "a" if back else _FRONT_OPEN[language]
    return ("u" if back else "ü") if last in _ROUND else ("ı" if back else "i")
