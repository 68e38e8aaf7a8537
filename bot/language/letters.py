"""The names of the letters, for what is spelt: abbreviations, IBAN, FIN."""

from __future__ import annotations

from bot.language.fold import fold

_NAMES = {
    "a": "a", "b": "be", "c": "ce", "ç": "çe", "d": "de", "e": "e", "ə": "ə", "f": "fe", "g": "ge", "ğ": "ğe",
    "h": "he", "x": "xe", "ı": "ı", "i": "i", "j": "je", "k": "ka", "q": "qe", "l": "el", "m": "em", "n": "en",
    "o": "o", "ö": "ö", "p": "pe", "r": "er", "s": "es", "ş": "şe", "t": "te", "u": "u", "ü": "ü", "v": "ve",
    "y": "ye", "z": "ze", "w": "dublve",
}  # fmt: skip


def letter_name(letter: str, *, latin: bool = False) -> str:
    """Name a letter. In codes of Latin letters (`latin`) I is i, in words it is ı."""
    return _NAMES.get("i" if latin and letter == "I" else fold(letter), letter)


def spell(letters: str, *, latin: bool = False) -> str:
    """Name all letters of a word: ABŞ is `a be şe`."""
    return " ".join(letter_name(letter, latin=latin) for letter in letters)
