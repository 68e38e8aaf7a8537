"""`DigitSender`: the way that key presses of ours take to the far end: RFC 4733, INFO, or tones in the sound."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal, TypeAlias

from telephony.errors import LegEndedError, LocalProtocolError
from telephony.media import Media, MediaParameters
from telephony.sip.events import KeysSent

DigitWay: TypeAlias = Literal["auto", "rfc4733", "info", "inband"]


class DigitSender:
    """Sends for one leg, as `[sip] send_digits` says; "auto" takes the first way that the far end has."""

    def __init__(self, way: DigitWay, *, by_info: Callable[[str], bool]) -> None:
        """`by_info` begins to send by INFO; False where the far end says that it takes none."""
        self._way: DigitWay = way
        self._by_info = by_info
        self._sending: asyncio.Future[KeysSent] | None = None

    async def send(self, digits: str, media: Media, agreed: MediaParameters) -> None:
        """Send, and wait until it is done. Raises `LocalProtocolError` where the far end has no such way."""
        events = agreed.dtmf_payload_type is not None
        match self._way:
            case "inband":
                await media.send_digits(digits, tones=True)
            case "rfc4733" if not events:
                raise LocalProtocolError("the far end takes no telephone-event (RFC 4733)")
            case "rfc4733" | "auto" if events:
                await media.send_digits(digits)
            case _:
                left = digits[await self._send_by_info(digits) :]
                if left and self._way == "info":
                    raise LocalProtocolError("the far end does not take keys by INFO")
                if left:
                    await media.send_digits(left, tones=True)

    async def _send_by_info(self, digits: str) -> int:
        """Tell how many the far end has taken."""
        if self._sending is not None:
            raise LocalProtocolError("keys are being sent already: await the ones before")
        sending = self._sending = asyncio.get_running_loop().create_future()
        try:
            return (await sending).sent if self._by_info(digits) else 0
        finally:
            self._sending = None

    def told(self, keys: KeysSent) -> None:
        """Take what became of them."""
        if self._sending is not None and not self._sending.done():
            self._sending.set_result(keys)

    def end(self) -> None:
        """The call is over: nobody will tell."""
        if self._sending is not None and not self._sending.done():
            self._sending.set_exception(LegEndedError("the call is over"))
