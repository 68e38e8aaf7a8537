"""Texts of the data channel: what the caller's page sends, as events (see docs/page-protocol.md). Sans I/O."""

from __future__ import annotations

import json
from typing import Any, Final

from telephony.leg import DigitReceived, MessageReceived

DIGITS: Final = "0123456789*#ABCD"
_DIGIT_MS: Final = 100  # a page does not say; what its own tones would last (W3C WebRTC, insertDTMF)


def event_of(text: str) -> DigitReceived | MessageReceived:
    """Read a key press, or pass the text on as it is."""
    try:
        message: Any = json.loads(text)
    except (ValueError, RecursionError):
        return MessageReceived(text)
    match message:
        case {"type": "digit", "digit": str(digit)} if len(digit) == 1 and digit in DIGITS:
            return DigitReceived(digit, _DIGIT_MS)
        case _:
            return MessageReceived(text)


def digit_text(digit: str) -> str:
    """Write a key press as the page does."""
    return json.dumps({"type": "digit", "digit": digit})
