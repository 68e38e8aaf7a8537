"""Retry-After: how long a server asks to be left alone (RFC 3261 section 20.33)."""

from __future__ import annotations

from telephony.sip.message import Response


def retry_after_s(response: Response | None, *, longest_s: float) -> float:
    """Read it without its comment and parameters; 0 where there is none, and never beyond `longest_s`."""
    text = "" if response is None else response.headers.first("Retry-After") or ""
    digits = text.split(";")[0].split("(")[0].strip()
    return min(float(digits), longest_s) if digits.isascii() and digits.isdigit() else 0.0
