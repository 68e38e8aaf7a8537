"""`WebRtcLeg`: a WebRTC call as the bot sees it. Its media may live in another thread's event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from telephony.audio.frame import frames_of
from telephony.audio.pacer import Pacer
from telephony.errors import LegEndedError, LocalProtocolError, TransferFailedError
from telephony.leg import CallInfo, CallLeg, EndCause, LegEnded, LegEvent, LegStats, RejectReason
from telephony.settings import WebRtcSettings
from telephony.webrtc.bell import Bell
from telephony.webrtc.inbox import Inbox
from telephony.webrtc.sdp import Description
from telephony.webrtc.session import WebRtcSession
from telephony.webrtc.shared_media import SharedMedia
from telephony.webrtc.texts import DIGITS, digit_text

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Accepted:
    """The bot takes the call."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The bot does not take the call."""

    reason: RejectReason
    retry_after_s: int | None


async def run_in(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, _T]) -> _T:
    """Await work in another thread's event loop, or in this one."""
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))


class WebRtcLeg:
    """A `CallLeg`; made by `open_leg`."""

    def __init__(
        self, info: CallInfo, session: WebRtcSession, media_loop: asyncio.AbstractEventLoop, inbox: Inbox,
        pacer: Pacer[bytes], bell: Bell,
    ) -> None:  # fmt: skip
        self._info = info
        self._session = session
        self._media_loop = media_loop
        self._inbox = inbox
        self._pacer = pacer
        self._bell = bell
        self._decision: Accepted | Refused | None = None
        self._end_taken = False

    @property
    def info(self) -> CallInfo:
        """Who calls whom."""
        return self._info

    @property
    def played_ms(self) -> int:
        """Bot audio sent since the answer, in ms; silence not counted."""
        return self._pacer.played_ms

    @property
    def lead_ms(self) -> int:
        """How far ahead the bot may play."""
        return self._pacer.lead_ms

    @property
    def queued_ms(self) -> int:
        """What was played and has not yet been sent."""
        return self._pacer.queued_ms

    async def answer(self) -> None:
        """Accept the call; returns once media flows. Raises `LegEndedError` if it never will."""
        if self._decision is None:
            self._decide(Accepted())
        await self._bell.until(lambda: self._session.running or self._inbox.ended)
        self._check_alive()

    async def reject(self, reason: RejectReason, *, retry_after_s: int | None = None) -> None:
        """Refuse the call; `LegEnded(REJECTED)` follows. Raises `LocalProtocolError` once it is answered."""
        if isinstance(self._decision, Accepted):
            raise LocalProtocolError("the call is answered already: hang_up() ends it")
        self._decide(Refused(reason, retry_after_s))
        self.end(EndCause.REJECTED)
        await self.wait_closed()

    async def receive(self) -> LegEvent:
        """Wait for the next event. After `LegEnded` it raises `LegEndedError`."""
        if self._end_taken:
            self._check_alive()
        event = self._inbox.take() or await self._bell.until(self._inbox.take)
        self._end_taken = isinstance(event, LegEnded)
        return event

    async def play(self, pcm: bytes) -> None:
        """Queue frames of 20 ms at 24 kHz; waits while the lead is full."""
        frames = frames_of(pcm)
        if self._pacer.is_full:
            await self._bell.until(lambda: not self._pacer.is_full or self._inbox.ended)
        self._check_alive()
        for frame in frames:
            self._pacer.put(frame)

    def flush(self) -> int:
        """Drop what was queued and not yet sent; returns how much that was, in ms."""
        dropped_ms = self._pacer.flush()
        self._bell.ring()
        return dropped_ms

    async def drain(self) -> None:
        """Wait until all that was queued has been sent, or the leg has ended."""
        await self._bell.until(lambda: not self._pacer.queued_ms or self._inbox.ended)

    async def send_digits(self, digits: str) -> None:
        """Send key presses by the data channel, as a page does."""
        if unknown := set(digits) - set(DIGITS):
            raise LocalProtocolError(f"{''.join(sorted(unknown))!r} is on no telephone's keypad")
        for digit in digits:
            self.tell(digit_text(digit))

    async def transfer(self, target: str, *, consult: CallLeg | None = None) -> None:  # noqa: ARG002 - the seam's
        """Refuse: a page has no telephone line that could be handed over."""
        self._check_alive()
        raise TransferFailedError("a call from a page cannot be transferred", status=501)

    def tell(self, text: str) -> None:
        """Send a JSON text to the caller's page; kept (64 at most) until the data channel is open."""
        if self._inbox.ended is None:
            self._media_loop.call_soon_threadsafe(self._session.tell, text)

    async def hang_up(self) -> None:
        """End the call; queued audio is dropped, texts still go out. Idempotent."""
        self._pacer.flush()
        self.end(EndCause.BOT_HUNG_UP)
        await self.wait_closed()

    def stats(self) -> LegStats:
        """Media figures so far."""
        return self._session.stats()

    # What the endpoint and the caller need

    async def decided(self) -> Accepted | Refused:
        """Wait for what the bot makes of the call. Raises `LegEndedError` if it ends before."""
        await self._bell.until(lambda: self._decision or self._inbox.ended)
        if self._decision is None:
            self._check_alive()
        assert self._decision is not None
        return self._decision

    async def describe(self, offer: Description | None = None) -> str:
        """Our SDP: the answer to an offer, or with None our own offer.

        In a call that is connected, an offer is an ICE restart. Raises `LegEndedError` if there is no call to be saved.
        """
        self._check_alive()
        work = self._session.offer() if offer is None else self._session.answer(offer)
        return await run_in(self._media_loop, work)

    def connect(self, remote: Description | None = None, *, candidates: Sequence[str] = ()) -> None:
        """Begin to connect with the far side's description, once it has ours; or take candidates found since."""
        if remote is not None:
            self._media_loop.call_soon_threadsafe(self._session.connect, remote)
        if candidates:
            asyncio.run_coroutine_threadsafe(self._session.add_candidates(candidates), self._media_loop)

    def end(self, cause: EndCause, detail: str = "") -> None:
        """End the leg, unless it has ended already."""
        self._media_loop.call_soon_threadsafe(self._session.end, cause, detail)

    async def wait_closed(self) -> None:
        """Wait until all that the leg held is free."""
        await run_in(self._media_loop, self._session.wait_closed())

    def _decide(self, decision: Accepted | Refused) -> None:
        self._check_alive()
        self._decision = decision
        self._bell.ring()

    def _check_alive(self) -> None:
        if ended := self._inbox.ended:
            raise LegEndedError(f"the call is over: {ended.cause.value}{ended.detail and ': '}{ended.detail}")


async def open_leg(settings: WebRtcSettings, info: CallInfo, *, offering: bool, media: SharedMedia) -> WebRtcLeg:
    """Make a leg for the running loop, with its media in that of `media`."""
    bell, inbox, pacer = Bell(media.doorbell), Inbox(), Pacer[bytes](lead_ms=settings.lead_ms)

    async def make() -> WebRtcSession:
        return WebRtcSession(settings, offering=offering, inbox=inbox, pacer=pacer, notify=bell.ring, media=media)

    return WebRtcLeg(info, await run_in(media.loop, make()), media.loop, inbox, pacer, bell)
