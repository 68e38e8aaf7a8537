"""`SipLeg`: a SIP call as a `CallLeg`."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import replace

from telephony.errors import CapacityError, LegEndedError, LocalProtocolError, TransferFailedError
from telephony.leg import (
    AudioReceived,
    CallInfo,
    CallLeg,
    DigitReceived,
    EndCause,
    HoldChanged,
    LegEnded,
    LegEvent,
    LegStats,
    RejectReason,
    ToneHeard,
)
from telephony.media import InbandDigit, Media, MediaFactory, MediaParameters, MediaTimedOut
from telephony.sip.call_control import CallControl
from telephony.sip.digit_sender import DigitSender, DigitWay
from telephony.sip.dtmf import DigitMerger, DigitSource
from telephony.sip.events import (
    CallConfirmed,
    CallEnded,
    CallEvent,
    CallRinging,
    DigitPressed,
    KeysSent,
    MediaAgreed,
    TransferEnded,
)
from telephony.sip.offer_answer import Direction, LocalAudio
from telephony.sip.transfer import Outcome

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


class SipLeg:
    """One call. An inbound one opens its media at the answer; an outbound one comes with it."""

    def __init__(
        self,
        info: CallInfo,
        control: CallControl,
        factory: MediaFactory,
        *,
        media: Media | None = None,
        digits: DigitWay = "auto",
        proven: bool = True,
    ) -> None:
        """Until `proven` to be where it says, a far end gets no sound to where its offer would have it."""
        self._info = info
        self._control = control
        self._factory = factory
        self._placed_here = media is not None
        self._media = media
        self._answering = False
        self._proven = proven
        self._agreed = asyncio.Event()  # media runs, or never will
        self._started = False
        self._early = False  # media runs, and the far end has not answered yet
        self._early_timed_out = False
        self._transferring: asyncio.Future[Outcome] | None = None
        self.ringing_status = 0  # of the last 101 to 199 to a call that we placed
        self._held = False
        self._merger = DigitMerger()
        self._sender = DigitSender(digits, by_info=lambda keys: control.press(info.call_id, keys))
        self._parameters: MediaParameters | None = None
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
    def lead_ms(self) -> int:
        """How far ahead the bot may play."""
        return 0 if self._media is None else self._media.lead_ms

    @property
    def queued_ms(self) -> int:
        """What was played and has not yet been sent."""
        return 0 if self._media is None else self._media.queued_ms

    @property
    def answered(self) -> bool:
        """Whether the call was answered and media agreed on."""
        return self._started and self._agreed.is_set()

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

    async def transfer(self, target: str, *, consult: CallLeg | None = None) -> None:
        """Hand the caller over by REFER, and wait for what becomes of it."""
        self._running()
        if self._transferring is not None:
            raise LocalProtocolError("the call is being transferred already")
        outcome = self._transferring = asyncio.get_running_loop().create_future()
        try:
            self._control.transfer(
                self._info.call_id, target, consult=None if consult is None else consult.info.call_id
            )
            result = await outcome
        finally:
            self._transferring = None
        if not result.succeeded:
            self._need_alive()
            raise TransferFailedError(f"{result.status} {result.detail}".strip(), status=result.status)

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
            case MediaAgreed(parameters=parameters, early=early):
                self._apply(parameters, early=early)
            case CallConfirmed() if not self._proven:
                self._proven = True
                if self._parameters is not None:
                    self._apply(self._parameters, early=False)
            case CallRinging(status=status):
                self.ringing_status = status
            case TransferEnded(outcome=outcome):
                if self._transferring is not None and not self._transferring.done():
                    self._transferring.set_result(outcome)
            case DigitPressed(digit=digit):
                self._press(digit, "info")
            case KeysSent():
                self._sender.told(event)
            case CallEnded(cause=cause, detail=detail, q850=q850):
                self._finish(LegEnded(cause, detail, q850))
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

    def _apply(self, parameters: MediaParameters, *, early: bool) -> None:
        media = self._media
        if media is None or self._ended is not None:
            return
        held = not parameters.send
        self._parameters = parameters
        if self._early and not early and self._early_timed_out:
            media.apply(replace(parameters, receive=False))  # so that the silence is counted from now on
        self._early = early
        # Music on hold is not speech, and its absence is not a broken call.
        sends, receives = parameters.send and self._proven, parameters.receive and not held
        media.apply(replace(parameters, send=sends, receive=receives))
        if not self._started:
            self._started = True
            self._pump = self._control.spawn(self._pump_media(media))
        if early:
            return
        if not self._agreed.is_set():
            # A tone or an announcement that nobody took is no beginning for a conversation.
            kept = [event for event in self._events if not isinstance(event, (AudioReceived, ToneHeard))]
            self._events.clear()
            self._events.extend(kept)
            self._room.set()
            self._agreed.set()
        if held != self._held:
            self._held = held
            self._put(HoldChanged(held))

    async def _pump_media(self, media: Media) -> None:
        try:
            while True:
                event = await media.receive()
                match event:
                    case MediaTimedOut() if self._early:
                        self._early_timed_out = True  # a far end that rings need not send anything
                    case AudioReceived() if self._early:
                        self._put_early(event)
                        continue
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

    def _put_early(self, event: AudioReceived) -> None:
        """Keep the newest: before the answer there may be nobody who takes it."""
        if len(self._events) >= _QUEUED_EVENTS and isinstance(self._events[0], AudioReceived):
            self._events.popleft()
        self._put(event)

    async def _make_room(self) -> None:
        while len(self._events) >= _QUEUED_EVENTS:
            self._room.clear()
            await self._room.wait()

    def _finish(self, event: LegEnded) -> None:
        if self._ended is not None:
            return
        self._ended = event
        if self._transferring is not None and not self._transferring.done():
            self._transferring.set_result(Outcome(event.cause is EndCause.TRANSFERRED, detail="the call ended"))
        self._sender.end()
        self._events.append(event)
        self._arrived.set()
        self._agreed.set()
        self._room.set()
        if self._media is not None:
            self._closing = self._control.spawn(self._close(self._media))

    async def _close(self, media: Media) -> None:
        if self._pump is not None:
            self._pump.cancel()
        try:
            await media.close()
        except Exception:
            # The bot waits for this in its pipeline's end: raised there, it would keep the call's place for ever.
            _logger.exception("the media of call %s did not close cleanly", self._info.call_id)

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
        """Queue frames for the caller."""
        await self._running().play(pcm)

    def flush(self) -> int:
        """Drop what was queued and not yet sent, in ms."""
        return 0 if self._media is None else self._media.flush()

    async def drain(self) -> None:
        """Wait until all that was queued has been sent, or the call has ended."""
        if self._media is not None and self._ended is None:
            await self._media.drain()

    async def send_digits(self, digits: str) -> None:
        """Send key presses, as `[sip] send_digits` says."""
        media = self._running()
        assert self._parameters is not None, "media runs, so it was agreed"
        await self._sender.send(digits, media, self._parameters)

    def tell(self, text: str) -> None:
        """Do nothing: a telephone has no page."""

    def stats(self) -> LegStats:
        """Media figures so far."""
        return LegStats() if self._media is None else self._media.stats()
