"""Text as the server gets it: the bot's own normaliser, after a look for what it cannot repair."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

from bot.language.fold import fold
from bot.language.speakable import speakable
from finetune.data.reasons import Reason, Rejected

NORMALISER = "bot.language.speakable"
LETTERS = frozenset("abcçdeəfgğhxıijkqlmnoöprsştuüvyzwâîû")
MARKS = frozenset(" .,!?;:…-–—'’‘ʼ\"“”„«»()")

# UTF-8 of Azerbaijani letters read as Latin-1 or Windows-1252: a lead byte's sign, then what its tail byte became
_MOJIBAKE = re.compile("[ÃÄÅÉÆ][\u0080-\u00bf™œžšŸ‡†€ƒ‰‹›•˜]|\ufffd")
_WORD = re.compile(r"[^\W_]+")
_APOSTROPHES = str.maketrans("", "", "'’‘ʼ`´")
_TAG = re.compile(r"</?[a-zA-Z][^>]*>|\{\\|\[[a-zA-Z_]+\]|<\|")


def words(text: str) -> tuple[str, ...]:
    """Give the folded words of a text; marks part words, apostrophes do not."""
    return tuple(_WORD.findall(fold(text).translate(_APOSTROPHES)))


def spoken_form(raw: str, *, case: Literal["keep", "lower"]) -> str:
    """Write a transcript as the voice will be given it: NFC, numbers in words; raises Rejected with the reason."""
    # a capital İ that a program lowered by another language's rule is two letters, i and a dot above
    text = " ".join(unicodedata.normalize("NFC", raw).replace("i\u0307", "i").split())
    if not text:
        raise Rejected(Reason.TEXT_MISSING)
    for reason, fault in ((Reason.TEXT_MOJIBAKE, _MOJIBAKE), (Reason.TEXT_MARKUP, _TAG)):
        if match := fault.search(text):
            raise Rejected(reason, repr(match.group()))
    if cyrillic := sorted({c for c in text if "CYRILLIC" in unicodedata.name(c, "")}):
        raise Rejected(Reason.TEXT_CYRILLIC, "".join(cyrillic))
    spoken = as_served(text, case=case)
    _check(spoken)
    return spoken


def as_served(text: str, *, case: str) -> str:
    """Write any text as the bot does before it sends it; `case` `lower` is for a voice that learnt no capitals."""
    spoken = speakable(text)
    return fold(spoken) if case == "lower" else spoken


def _check(spoken: str) -> None:
    if not any(character.isalpha() for character in spoken):
        raise Rejected(Reason.TEXT_EMPTY)
    strange = sorted({c for c in spoken if fold(c) not in LETTERS and c not in MARKS})
    if not strange:
        return
    letters = any(c.isalpha() for c in strange)
    raise Rejected(Reason.TEXT_CHARSET if letters else Reason.TEXT_NOT_WORDS, "".join(strange))
