"""Yes and no. Never guessed: what says both, or neither, is None, and no word is matched by nearness."""

from __future__ import annotations

import re
from itertools import pairwise

from bot.language.inverse.tokens import plains, tokens

_YES = re.compile(r"bel[iy]|beley|he+|heri|evet|duz|duzdur?|dogru|dogrudur?|tesdiq\w*|eledir|elbette|yes")
_AGREED = re.compile(r"tamam|tamamdir|olar|olsun|oldu|raziyam|okey|ok|mutleq|isteyirem|yaxsi|duzgun\w*|eyle")
_NO = re.compile(r"xeyi?r|xeir|heyi?r|hayir|yoh|yok|yox|yoxdur?|olmaz|olmasin|istemirem|istemirik|net|legv\w*")
_WRONG = re.compile(r"seh[vf]\w*|yanlis\w*|problem")
_NOT = re.compile(r"deyil\w*|deil|degil\w*")


def parse_yes_no(text: str) -> bool | None:
    """Read yes as True, no as False, and what is unsaid or contradictory as None.

    `düz deyil` is a no; `səhv yoxdur` (nothing is wrong) is neither.
    """
    said = plains(tokens(text))
    yes, agreed, no, wrong, negated = (
        any(pattern.fullmatch(word) for word in said) for pattern in (_YES, _AGREED, _NO, _WRONG, _NOT)
    )
    if negated:
        return None if any(word in {"beli", "he"} for word in said) or wrong else False
    if no or wrong:
        return None if yes or _is_nothing_wrong(said) else False
    return True if yes or agreed else None


def _is_nothing_wrong(said: tuple[str, ...]) -> bool:
    return any(_WRONG.fullmatch(word) and _NO.fullmatch(after) for word, after in pairwise(said))
