"""Vowel harmony: which form a suffix takes after a word.

Two-way suffixes have a or ə, four-way ones ı, i, u or ü; the last vowel of the word decides.
A buffer letter keeps two vowels apart: y in the dative, n in the accusative and genitive.
"""

from __future__ import annotations

import re

from bot.language.fold import fold

_VOWELS = "aıoueəiöü"
_BACK = "aıou"
_FOUR = {"a": "ı", "ı": "ı", "o": "u", "u": "u", "e": "i", "ə": "i", "i": "i", "ö": "ü", "ü": "ü"}
_SOFTENED = {"k": "y", "q": "ğ"}

_ORDINAL = re.compile(r"[ıiuü]?n?c[ıiuü](.*)")
_UNTIL = re.compile(r"(?:[yn]?[aə])?(?:c[aə])?d[əa]k")
_DATIVE = re.compile(r"y?[aə]")
_POSSESSED = re.compile(r"n[aə]|nd[aə]n?")  # ayın 15-nə: on beşinə
_PREDICATE = re.compile(r"(.+)d[ıiuü]r")
_GENITIVE = re.compile(r"n?[ıiuü]n")
_ACCUSATIVE = re.compile(r"n?[ıiuü]")
# Suffixes that begin with a consonant, or a possessive and what may follow it: only their vowels change.
_REGULAR = re.compile(
    r"d[aə]n?|d[ıiuü]r|l[aə]r(?:[ıiuü]n?)?(?:d[aə]n?|[aə])?|l[ıiuü](?:q|k|ğ[ıiuü]|y[iü])?|l[aə]|yl[aə]|s[ıiuü]z"
    r"|s?[ıiuü](?:n[aə]|nd[aə]n?|n[ıiuü]n?)|s[ıiuü]|ş?[aə]r|c[aə]|d[aə]k[ıiuü]|k[ıiuü]"
    r"|[ıiuü]?(?:n[ıiuü]z|m(?:[ıiuü]z)?)(?:d[aə]n?|[ıiuü]n?|[aə]|l[aə])?"
)


def last_vowel(word: str) -> str:
    """Find the vowel that decides the harmony of what follows."""
    return next((letter for letter in reversed(fold(word)) if letter in _VOWELS), "ə")


def ends_in_vowel(word: str) -> bool:
    return fold(word)[-1:] in _VOWELS and bool(word)


def ordinal_form(words: str) -> str:
    """Add the ordinal suffix to the last word: iki, ikinci; qırx, qırxıncı; dörd, dördüncü."""
    vowel = _FOUR[last_vowel(words)]
    return f"{words}nc{vowel}" if ends_in_vowel(words) else f"{words}{vowel}nc{vowel}"


def attach(words: str, suffix: str) -> str:
    """Add a written suffix (of `9-dan`, `18:00-dək`, `5 AZN-ə`) to spoken words, in the form they ask for.

    What is no suffix becomes a word of its own: `5-mərtəbəli` is `beş mərtəbəli`.
    """
    if not suffix:
        return words
    return _attached(words, fold(suffix)) or f"{words} {suffix}"


def _attached(words: str, written: str) -> str | None:
    if found := _ORDINAL.fullmatch(written):
        return attach(ordinal_form(words), found[1])
    if _UNTIL.fullmatch(written):
        return f"{_dative(words)}dək"
    if _POSSESSED.fullmatch(written):
        written = f"{'s' if ends_in_vowel(words) else ''}ı{written}"
    if _DATIVE.fullmatch(written):
        return _dative(words)
    if _GENITIVE.fullmatch(written):
        return _harmonise(words, "nın" if ends_in_vowel(words) else "ın")
    if _ACCUSATIVE.fullmatch(written):
        return _harmonise(words, "nı" if ends_in_vowel(words) and written[0] == "n" else _possessive(words, written))
    if _REGULAR.fullmatch(written):
        return _harmonise(words, written)
    if (found := _PREDICATE.fullmatch(written)) and (inner := _attached(words, found[1])):
        return _harmonise(inner, "dır")
    return None


def locative(words: str) -> str:
    """At, in: ikidə, onda."""
    return _harmonise(words, "da")


def ablative(words: str) -> str:
    """From: ikidən, ondan."""
    return _harmonise(words, "dan")


def until(words: str) -> str:
    """Up to: ikiyədək, onadək."""
    return f"{_dative(words)}dək"


def _possessive(words: str, written: str) -> str:
    return "sı" if ends_in_vowel(words) else written[-1]


def _dative(words: str) -> str:
    return _harmonise(words, "ya" if ends_in_vowel(words) else "a")


def _harmonise(words: str, suffix: str) -> str:
    stem = words
    if suffix[0] in _VOWELS and _is_polysyllabic(words):
        stem = words[:-1] + _SOFTENED.get(words[-1], words[-1])
    spoken = stem
    for letter in suffix:
        if letter in "aə":
            spoken += "a" if last_vowel(spoken) in _BACK else "ə"
        elif letter in "ıiuü":
            spoken += _FOUR[last_vowel(spoken)]
        else:
            spoken += letter
    return spoken


def _is_polysyllabic(words: str) -> bool:
    return sum(letter in _VOWELS for letter in fold(words).rpartition(" ")[2]) > 1
