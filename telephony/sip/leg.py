"""`SipLeg`: a SIP call as a `CallLeg`."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine
from dataclasses import replace
from typing import Protocol

from telephony.errors import CapacityError, LegEndedError, LocalProtocolError
from telephony.leg import (
    CallInfo,
    DigitReceived,
    EndCause,
    HoldChanged,
    LegEnded,
    LegEvent,
    LegStats,
    RejectReason,
)
from telephony.media import InbandDigit, Media, MediaFactory, MediaParameters, MediaTimedOut
from telephony.sip.dtmf import DigitMerger, DigitSource
from telephony.sip.events import CallEnded, CallEvent, DigitPressed, MediaAgreed
from telephony.sip.offer_answer import Direction, LocalAudio

_STATUS = {
    RejectReason.BUSY: 486,
    RejectReason.AT_CAPACITY: 503,
    RejectReason.FORBIDDEN: 403,
    RejectReason.NOT_FOUND: 404,
    RejectReason.INTERNAL_ERROR: 500,
}
_DEFAULT_RETRY_AFTER_S = 5
_NORMAL_CLEARING = "Q.850;cause=16"
_NO_MEDIA = "Q.850;cause=102"  # recovery on timer expiry
_MAX_EVENTS = 64
_QUEUED_EVENTS = 8
"""Beyond these, events wait in the media, which drops old audio and says so."""

_logger = logging.getLogger(__name__)


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

    def spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run a task that `close()` of the endpoint waits for."""
        ...


class SipLeg:
    """One call. An inbound one opens its media at the answer; an outbound one comes with it."""

    def __init__(
        self, info: CallInfo, control: CallControl, factory: MediaFactory, *, media: Media | None = None
    ) -> None:
        self._info = info
        self._control = control
        self._factory = factory
        self._placed_here = media is not None
        self._media = media
        self._answering = False
        self._agreed = asyncio.Event()  # media runs, or never will
        self._started = False
        self._held = False
        self._merger = DigitMerger()
        self._events: deque[LegEvent] = deque()
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._ended: LegEnded | None = None
        self._over = False  # `LegEnded` was handed out
        self._pump: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None

    @property
    def info(self) -> CallInfo:
        """Who calls whom."""
        return self._info

    @property
    def played_ms(self) -> int:
        """Bot audio that has left towards the caller, in ms."""
        return 0 if self._media is None else self._media.played_ms

    @property
    def ended(self) -> bool:
        """Whether the call is over, though `LegEnded` may still wait in the queue."""
        return self._ended is not None

    # Setting up and ending

    async def answer(self) -> None:
        """Accept the call and start media; of a call that we placed, wait until the far end accepts it."""
        self._need_alive()
        if not self._placed_here:
            if self._answering:
                raise LocalProtocolError("the call is answered already")
            self._answering = True
            await self._accept()
        # A caller that offered nothing gives its SDP only with ACK.
        await self._agreed.wait()
        self._need_alive()

    async def _accept(self) -> None:
        handle = self._info.call_id
        try:
            media = await self._factory.open()
        except CapacityError as error:
            if self._ended is None:
                self._control.reject(
                    handle, 503, retry_after_s=error.retry_after_s, cause=EndCause.FAILED, detail=str(error)
                )
            raise LegEndedError(str(error)) from error
        except Exception as error:
            if self._ended is None:
                self._control.reject(handle, 500, retry_after_s=None, cause=EndCause.FAILED, detail=str(error))
            raise
        self._media = media
        if self._ended is not None:  # the caller gave up meanwhile
            await self._release()
            return
        self._control.answer(handle, LocalAudio(media.local_host, media.local_port, media.abilities))

    async def reject(self, reason: RejectReason, *, retry_after_s: int | None = None) -> None:
        """Refuse a call that was not answered."""
        self._need_alive()
        if self._placed_here or self._answering:
            raise LocalProtocolError("only a call that rings here can be rejected")
        if reason is RejectReason.AT_CAPACITY and retry_after_s is None:
            retry_after_s = _DEFAULT_RETRY_AFTER_S
        self._control.reject(self._info.call_id, _STATUS[reason], retry_after_s=retry_after_s, cause=EndCause.REJECTED)

    async def hang_up(self) -> None:
        """End the call. Idempotent; returns once the RTP port is free."""
        self._control.hang_up(self._info.call_id, EndCause.BOT_HUNG_UP, reason=_NORMAL_CLEARING)
        await self._release()

    async def hold(self, *, on_hold: bool) -> None:
        """Put the far end on hold, or take it off, by a re-INVITE."""
        self._need_alive()
        self._control.reoffer(self._info.call_id, Direction.SENDONLY if on_hold else Direction.SENDRECV)

    def _need_alive(self) -> None:
        if self._ended is not None:
            raise LegEndedError(f"the call is over: {self._ended.cause.value}")

    # Events

    async def receive(self) -> LegEvent:
        """Wait for the next event."""
        while not self._events:
            if self._over:
                raise LegEndedError("the call is over")
            self._arrived.clear()
            await self._arrived.wait()
        event = self._events.popleft()
        self._over = isinstance(event, LegEnded)
        if len(self._events) < _QUEUED_EVENTS:
            self._room.set()
        return event

    def signal(self, event: CallEvent) -> None:
        """Take what the user agent says of this call."""
        match event:
            case MediaAgreed(parameters=parameters):
                self._apply(parameters)
            case DigitPressed(digit=digit):
                self._press(digit, "info")
            case CallEnded(cause=cause, detail=detail):
                self._finish(LegEnded(cause, detail))
            case _:
                pass

    def _put(self, event: LegEvent) -> None:
        # What comes by signalling has no queue of its own to wait in: a flood of it is dropped.
        if self._ended is None and len(self._events) < _MAX_EVENTS:
            self._events.append(event)
            self._arrived.set()

    def _press(self, digit: DigitReceived, source: DigitSource) -> None:
        if self._merger.accept(digit.digit, source, now=self._control.now()):
            self._put(digit)

    def _apply(self, parameters: MediaParameters) -> None:
        media = self._media
        if media is None or self._ended is not None:
            return
        held = not parameters.send
        # Music on hold is not speech, and its absence is not a broken call.
        media.apply(replace(parameters, receive=parameters.receive and not held))
        if not self._started:
            self._started = True
            self._pump = self._control.spawn(self._pump_media(media))
            self._agreed.set()
        if held != self._held:
            self._held = held
            self._put(HoldChanged(held))

    async def _pump_media(self, media: Media) -> None:
        try:
            while True:
                event = await media.receive()
                match event:
                    case MediaTimedOut():
                        detail = "no RTP came"
                        self._control.hang_up(self._info.call_id, EndCause.MEDIA_TIMEOUT, detail, reason=_NO_MEDIA)
                        return
                    case DigitReceived():
                        self._press(event, "rtp")
                    case InbandDigit(digit):
                        self._press(digit, "inband")
                    case _:
                        self._put(event)
                await self._make_room()
        except LegEndedError:
            return  # closed
        except Exception as error:
            _logger.exception("the media of call %s failed", self._info.call_id)
            self._control.hang_up(self._info.call_id, EndCause.FAILED, f"media: {error}")

    async def _make_room(self) -> None:
        while len(self._events) >= _QUEUED_EVENTS:
            self._room.clear()
            await self._room.wait()

    def _finish(self, event: LegEnded) -> None:
        if self._ended is not None:
            return
        self._ended = event
        self._events.append(event)
        self._arrived.set()
        self._agreed.set()
        self._room.set()
        if self._media is not None:
            self._closing = self._control.spawn(self._close(self._media))

    async def _close(self, media: Media) -> None:
        if self._pump is not None:
            self._pump.cancel()
        await media.close()

    async def _release(self) -> None:
        """Wait until the port is free."""
        if self._closing is None and self._ended is not None and self._media is not None:
            self._closing = self._control.spawn(self._close(self._media))
        if self._closing is not None:
            await asyncio.shield(self._closing)

    # Audio

    def _running(self) -> Media:
        self._need_alive()
        if self._media is None or not self._started:
            raise LocalProtocolError("answer the call first")
        return self._media

    async def play(self, pcm: bytes) -> None:
        """Queue one frame for the caller."""
        await self._running().play(pcm)

    def flush(self) -> int:
        """Drop what was queued and not yet sent, in ms."""
        return 0 if self._media is None else self._media.flush()

    async def drain(self) -> None:
        """Wait until all that was queued has been sent, or the call has ended."""
        if self._media is not None and self._ended is None:
            await self._media.drain()

    async def send_digits(self, digits: str) -> None:
        """Send key presses by RFC 4733."""
        await self._running().send_digits(digits)

    def tell(self, text: str) -> None:
        """Do nothing: a telephone has no page."""

    def stats(self) -> LegStats:
        """Media figures so far."""
        return LegStats() if self._media is None else self._media.stats()
