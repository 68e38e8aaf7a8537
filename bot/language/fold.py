"""Azerbaijani case folding: I and İ are different letters, so `str.lower` and `casefold` are wrong here."""

from __future__ import annotations

import unicodedata

_DOT_ABOVE = "\u0307"
_PLAIN = str.maketrans("əı", "ei")


def fold(text: str) -> str:
    """Lower-case as Azerbaijani does (İ to i, I to ı), composed (NFC)."""
    composed = unicodedata.normalize("NFC", text).replace("İ", "i").replace("I", "ı")
    return composed.lower().replace(_DOT_ABOVE, "")


def plain(text: str) -> str:
    """Fold, then drop what recognisers drop or invent: the marks of ə ğ ı ö ü ş ç, and of â, ñ, ō."""
    letters = unicodedata.normalize("NFD", fold(text).translate(_PLAIN))
    return "".join(letter for letter in letters if not unicodedata.combining(letter))
