"""`CallControl`: what a leg needs of the endpoint that it belongs to."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Protocol

from telephony.leg import EndCause
from telephony.sip.offer_answer import Direction, LocalAudio


class CallControl(Protocol):
    """What a leg needs of its endpoint."""

    def now(self) -> float:
        """Seconds on the loop's monotonic clock."""
        ...

    def answer(self, handle: str, local: LocalAudio) -> None:
        """See `UserAgent.answer`."""
        ...

    def reject(self, handle: str, status: int, *, retry_after_s: int | None, cause: EndCause, detail: str = "") -> None:
        """See `UserAgent.reject`."""
        ...

    def hang_up(self, handle: str, cause: EndCause, detail: str = "", *, reason: str = "") -> None:
        """See `UserAgent.hang_up`."""
        ...

    def reoffer(self, handle: str, direction: Direction) -> None:
        """See `UserAgent.reoffer`."""
        ...

    def press(self, handle: str, digits: str) -> bool:
        """See `UserAgent.press`."""
        ...

    def transfer(self, handle: str, target: str, *, consult: str | None) -> None:
        """See `SipEndpoint.transfer`."""
        ...

    def spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run a task that `close()` of the endpoint waits for."""
        ...
