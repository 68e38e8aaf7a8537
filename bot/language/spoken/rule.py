"""What a rule of spoken Azerbaijani is."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """Where `pattern` matches, `speak` gives the words, or None to leave the place to the other rules."""

    pattern: re.Pattern[str]
    speak: Callable[[re.Match[str]], str | None]
