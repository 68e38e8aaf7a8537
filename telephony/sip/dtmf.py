"""Key presses: those in INFO bodies, and one press that is reported by INFO, by RTP events and by its tone."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import Literal, TypeAlias

from telephony.errors import LocalProtocolError, SipParseError
from telephony.leg import DigitReceived

DTMF_RELAY = "application/dtmf-relay"
DTMF = "application/dtmf"

DigitSource: TypeAlias = Literal["info", "rtp", "inband"]

PAIR_WINDOW_S = 1.5
"""How far apart the two reports of one press may come: INFO waits for its first retransmissions (0.5 and 1 s)."""

_DEFAULT_DURATION_MS = 160
_MAX_DURATION_MS = 10_000
_SIGNAL = re.compile(r"^[ \t]*signal[ \t]*=[ \t]*([^\s]+)[ \t]*$", re.IGNORECASE | re.MULTILINE)
_DURATION = re.compile(r"^[ \t]*duration[ \t]*=[ \t]*([0-9]{1,5})[ \t]*$", re.IGNORECASE | re.MULTILINE)
_NAMED = {"10": "*", "11": "#", "12": "A", "13": "B", "14": "C", "15": "D"}  # event codes of RFC 4733
_DIGIT = re.compile(r"[0-9*#A-D]")


def read_digit(kind: str, body: bytes) -> DigitReceived:
    """Read an INFO body of type `DTMF_RELAY` or `DTMF`; raises `SipParseError`."""
    text = body.decode("ascii", "replace").replace("\r\n", "\n").replace("\r", "\n")
    duration = None
    if kind == DTMF_RELAY:
        signal, duration = _SIGNAL.search(text), _DURATION.search(text)
        written = signal.group(1) if signal else ""
    else:
        written = text.strip()
    digit = _NAMED.get(written, written.upper())
    if not _DIGIT.fullmatch(digit):
        raise SipParseError("INFO holds no key that is known")
    duration_ms = int(duration.group(1)) if duration else _DEFAULT_DURATION_MS
    return DigitReceived(digit, min(duration_ms, _MAX_DURATION_MS))


def relay_body(digit: str, duration_ms: int) -> bytes:
    """Write an INFO body of type `DTMF_RELAY`; raises `LocalProtocolError` for what is no key."""
    if not _DIGIT.fullmatch(digit):
        raise LocalProtocolError(f"cannot press {digit!r}: use 0-9, *, # and A-D")
    return f"Signal={digit}\r\nDuration={duration_ms}\r\n".encode()


@dataclass(slots=True)
class _Press:
    digit: str
    at: float
    sources: set[DigitSource]  # that have reported it


class DigitMerger:
    """Drops further reports of a press that a gateway sends several ways; "11" stays two presses."""

    def __init__(self) -> None:
        self._recent: deque[_Press] = deque(maxlen=32)

    def accept(self, digit: str, source: DigitSource, *, now: float) -> bool:
        """Whether this report is a press of its own. `now` in seconds."""
        while self._recent and now - self._recent[0].at > PAIR_WINDOW_S:
            self._recent.popleft()
        for press in self._recent:
            if press.digit == digit and source not in press.sources:
                press.sources.add(source)
                return False
        self._recent.append(_Press(digit, now, {source}))
        return True
