"""`OutboundPolicy`: whom we may call, or have called for us; nobody, unless the settings name them.

A pattern is `user@host` with `*` for any run of characters, such as `+994*@sip.provider.example`; one that begins
with `!` forbids, whatever the others allow. What does not match is not called: not by the API, not by a flow's
transfer, not by a redirect.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from telephony.errors import LocalProtocolError
from telephony.sip.uri import SipUri, unbracketed


class OutboundPolicy:
    """Patterns of destinations. Raises `LocalProtocolError` for one that is none."""

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        self._allowed: list[re.Pattern[str]] = []
        self._forbidden: list[re.Pattern[str]] = []
        for pattern in patterns:
            forbids = pattern.startswith("!")
            (self._forbidden if forbids else self._allowed).append(_compile(pattern.removeprefix("!")))

    def allows(self, uri: SipUri) -> bool:
        """Whether this destination may be called. Ports and parameters are not looked at."""
        # "+994;isub=1" is the number +994; a visual separator changes nothing either (RFC 3966 section 5.1.1).
        user = re.sub(r"[\-.()]", "", uri.user.partition(";")[0]) if _NUMBER.match(uri.user) else uri.user
        name = f"{user}@{unbracketed(uri.host)}"
        if any(pattern.fullmatch(name) for pattern in self._forbidden):
            return False
        return any(pattern.fullmatch(name) for pattern in self._allowed)


_NUMBER = re.compile(r"\+?[0-9\-.()]+(?:;|$)")


def _compile(pattern: str) -> re.Pattern[str]:
    user, at, host = pattern.rpartition("@")
    if not at or not host:
        raise LocalProtocolError(f"[sip] outbound_allowed: {pattern!r} is not of the form user@host")
    parts = (re.escape(part).replace(r"\*", ".*") for part in (user, host.lower()))
    return re.compile("@".join(parts))
