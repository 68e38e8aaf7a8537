"""What the meter writes: small letters of Azerbaijani, Turkish and English, and spaces."""

from __future__ import annotations

from bot.language.fold import fold
from finetune.data.recognition import distance

ALPHABET = " abcçdeəfgğhxıijkqlmnoöprsştuüvwyz"
BLANK = 0
_PLAIN = str.maketrans("âîû", "aiu")


def spelt(text: str, *, english: bool = False) -> str:
    """Fold a text to the alphabet; what is not in it parts words."""
    folded = text.lower() if english else fold(text)
    kept = "".join(letter if letter in ALPHABET else " " for letter in folded.translate(_PLAIN).replace("'", ""))
    return " ".join(kept.split())


def encode(spelling: str) -> list[int]:
    return [ALPHABET.index(letter) + 1 for letter in spelling]


def decode(best: list[int]) -> str:
    """Read the best class of each step as CTC has it: repeats once, blanks not at all."""
    merged = [now for before, now in zip([BLANK, *best], best, strict=False) if now not in (before, BLANK)]
    return "".join(ALPHABET[index - 1] for index in merged).strip()


def error_rate(heard: list[str], meant: list[str]) -> float:
    """Letters wrong of letters meant, over all texts together."""
    wrong = sum(distance(one, other) for one, other in zip(heard, meant, strict=True))
    return wrong / max(sum(len(text) for text in meant), 1)
