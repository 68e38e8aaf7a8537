"""`PeerHandlers`: what a peer tells its call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PeerHandlers:
    """What a peer calls, in its own event loop; none may block."""

    rtp: Callable[[bytes, float], None]  # one decrypted packet, and when it came (monotonic)
    rtcp: Callable[[bytes], None]
    channel_open: Callable[[], None]
    text: Callable[[str], None]  # from the data channel
    hung_up: Callable[[], None]  # the far side closed the connection
    lost: Callable[[], None]  # it is not to be reached any more
