"""`WebRtcEndpoint`: offers in, answers out, and a leg for each call."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from telephony.audio.opus import libopus
from telephony.errors import CapacityError, LegEndedError
from telephony.leg import CallInfo, CallLeg, EndCause, RejectReason
from telephony.settings import WebRtcSettings
from telephony.webrtc.leg import Refused, WebRtcLeg, open_leg
from telephony.webrtc.sdp import parse_description
from telephony.webrtc.shared_media import SharedMedia

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_RETRY_AFTER_S: Final = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """What the page is given for its offer."""

    sdp: str
    call_id: str


class WebRtcEndpoint:
    """Takes calls from pages. Used in the bot's event loop; media runs in `media`'s, or in the same where None.

    `on_call` is told of each call, not yet answered, and must not block; the offer waits for its `answer()` or
    `reject()`. Raises `OpusNotFoundError` on a machine without libopus.
    """

    def __init__(
        self,
        settings: WebRtcSettings,
        on_call: Callable[[CallLeg], None],
        *,
        max_legs: int,
        media: SharedMedia | None = None,
    ) -> None:
        libopus()
        self._settings = settings
        self._on_call = on_call
        self._max_legs = max_legs
        self._media = media or SharedMedia()
        self._legs: dict[str, WebRtcLeg | None] = {}  # None: being made
        self._watchers: set[asyncio.Task[None]] = set()
        self._open = True

    @property
    def legs(self) -> int:
        """Calls that take a place now."""
        return len(self._legs)

    async def offer(self, sdp: str, *, caller: str = "web", variables: Mapping[str, str] = _NOTHING) -> Answer:
        """Take a page's offer; returns once the bot has answered the call.

        Raises `SdpError` for what is no call, `CapacityError` where no place is free or the bot says so, and
        `LegEndedError` where the bot refuses for another reason.
        """
        if not self._open:
            raise CapacityError("no more calls are taken", retry_after_s=_RETRY_AFTER_S)
        if len(self._legs) >= self._max_legs:
            places = f"all {self._max_legs} places for WebRTC calls are taken"
            raise CapacityError(places, retry_after_s=_RETRY_AFTER_S)
        description = parse_description(sdp)
        info = CallInfo(uuid.uuid4().hex, "webrtc", caller, "bot", dict(variables))
        self._legs[info.call_id] = None
        try:
            leg = await open_leg(self._settings, info, offering=False, media=self._media)
        except BaseException:
            del self._legs[info.call_id]
            raise
        self._legs[info.call_id] = leg
        watcher = asyncio.create_task(self._free_place(leg))
        self._watchers.add(watcher)
        watcher.add_done_callback(self._watchers.discard)
        try:
            answer = await leg.describe(description)
            self._on_call(leg)
            await self._wait_for_the_bot(leg)
        except asyncio.CancelledError:
            leg.end(EndCause.CANCELLED)
            raise
        except Exception as error:
            leg.end(EndCause.FAILED, str(error))
            raise
        leg.connect(description)
        return Answer(answer, info.call_id)

    async def renew(self, call_id: str, candidates: Sequence[str] = (), *, restart: str = "") -> str:
        """Take what a page tells of its call: candidates found after its offer, or the offer of an ICE restart.

        Gives our SDP for the restart, else "". Raises `SdpError` for what is no offer, and `LegEndedError` for a call
        that is not here, or not connected.
        """
        leg = self._legs.get(call_id)
        if leg is None:
            raise LegEndedError("there is no such call here")
        answer = await leg.describe(parse_description(restart)) if restart else ""
        leg.connect(candidates=candidates)
        return answer

    async def close(self) -> None:
        """Take no more calls, hang up all there are and free what they hold."""
        self._open = False
        await asyncio.gather(*(leg.hang_up() for leg in self._legs.values() if leg is not None))
        await asyncio.gather(*self._watchers)

    async def _wait_for_the_bot(self, leg: WebRtcLeg) -> None:
        try:
            async with asyncio.timeout(self._settings.connect_timeout_s):
                decision = await leg.decided()
        except TimeoutError:
            raise CapacityError("the bot did not answer the call in time", retry_after_s=_RETRY_AFTER_S) from None
        if isinstance(decision, Refused):
            raise _refusal(decision)

    async def _free_place(self, leg: WebRtcLeg) -> None:
        await leg.wait_closed()
        del self._legs[leg.info.call_id]


def _refusal(refused: Refused) -> CapacityError | LegEndedError:
    if refused.reason in (RejectReason.AT_CAPACITY, RejectReason.BUSY):
        return CapacityError(
            f"the call was refused: {refused.reason.value}", retry_after_s=refused.retry_after_s or _RETRY_AFTER_S
        )
    return LegEndedError(f"the call was refused: {refused.reason.value}")
