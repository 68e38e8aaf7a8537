"""`Redirection`: where a call that we place may go instead, without end or circle (RFC 3261 section 8.1.3.4)."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import replace

from telephony.errors import SipParseError
from telephony.sip.grammar import find_parameter
from telephony.sip.message import Response, addresses
from telephony.sip.uri import SipUri, transport_of

MAX_TARGETS = 5
"""How many other targets one call tries in all."""

_QUALITY = re.compile(r"[01](?:\.[0-9]{0,3})?")


class Redirection:
    """Targets that were tried, and those that are left."""

    def __init__(self, first: SipUri) -> None:
        self._seen = {_name(first)}
        self._waiting: deque[SipUri] = deque()
        self._tried = 0

    def add(self, response: Response) -> None:
        """Take the Contacts of a 300, 301 or 302, the preferred one first; they come before those of an earlier one."""
        try:
            contacts = addresses(response, "Contact")
        except SipParseError:
            return
        ranked = sorted(contacts, key=lambda contact: -_quality(find_parameter(contact.parameters, "q") or "1"))
        # Headers in a URI would let the far end write our INVITE (RFC 3261 section 19.1.5).
        targets = [replace(c.uri, headers="") for c in ranked if isinstance(c.uri, SipUri)]
        new: list[SipUri] = []
        for target in targets:
            if _name(target) not in self._seen:
                self._seen.add(_name(target))
                new.append(target)
        self._waiting.extendleft(reversed(new))

    def next(self) -> SipUri | None:
        """Take the next target; None when there is none, or the call has tried enough."""
        if not self._waiting or self._tried >= MAX_TARGETS:
            return None
        self._tried += 1
        return self._waiting.popleft()


def _name(uri: SipUri) -> tuple[str, str, int | None, str]:
    """What tells targets apart (section 19.1.4), less the parameters that a circle could vary without end."""
    return uri.userinfo, uri.host, uri.port, transport_of(uri)


def _quality(text: str) -> float:
    return float(text) if _QUALITY.fullmatch(text) else 0.0
