"""Whom a call can be handed over to: a SIP address (RFC 3261 section 19.1), not a number alone."""

from __future__ import annotations

import re

from telephony.settings import WRITTEN_ADDRESS

_SIP = re.compile(rf"{WRITTEN_ADDRESS}(?:[;?][^\s<>\"]*)?", re.IGNORECASE)


def is_sip_address(text: str) -> bool:
    """Whether a call can be transferred there."""
    return _SIP.fullmatch(text) is not None


def as_sip_address(text: str, *, host: str) -> str:
    """Write what was meant: the scheme before it, and a host behind a number that has none."""
    bare = re.sub(r"[\s<>\"]", "", text.removeprefix("tel:").rpartition("//")[2])
    bare = bare[4:] if bare.lower().startswith("sip:") else bare
    if "@" in bare or "." in bare:
        return f"sip:{bare}"
    return f"sip:{bare or '200'}@{host}"
