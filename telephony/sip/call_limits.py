"""`CallLimits`: how long things of a call may take, beyond what RFC 3261's own timers say."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CallLimits:
    """All in seconds."""

    session_s: int = 0  # RFC 4028: how often a session shows that it lives; 0: we ask for no such thing
    min_session_s: int = 90  # the least that we let a peer ask for (RFC 4028 section 5: never under 90)
    transfer_s: float = 60.0  # how long the far end may take to reach whom we transfer to
    failover_s: float = 4.0  # how long a server may be silent, where there is another to ask


DEFAULT_LIMITS = CallLimits()
