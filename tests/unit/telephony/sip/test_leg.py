"""A SIP call as a leg, over a fake endpoint and fake media."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from dataclasses import dataclass, field, replace

import pytest

from telephony.errors import AudioFormatError, CapacityError, LegEndedError, LocalProtocolError, TransferFailedError
from telephony.leg import (
    INPUT_FRAME_BYTES,
    OUTPUT_FRAME_BYTES,
    AudioReceived,
    CallInfo,
    CallLeg,
    DigitReceived,
    EndCause,
    FramesDropped,
    HoldChanged,
    LegEnded,
    LegEvent,
    LegStats,
    RejectReason,
    Tone,
    ToneHeard,
)
from telephony.media import MediaParameters, MediaTimedOut
from telephony.sip.digit_sender import DigitWay
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
from telephony.sip.leg import SipLeg
from telephony.sip.offer_answer import Direction, LocalAudio
from telephony.sip.transfer import Outcome
from tests.fakes.media import FIRST_PORT, FakeMedia, FakeMediaFactory

AGREED = MediaParameters("192.0.2.1", 4000, "PCMU", 0, 101)
HELD = MediaParameters("192.0.2.1", 4000, "PCMU", 0, 101, send=False)
INFO = CallInfo("c" * 32, "sip", "+994501234567", "bot")
FRAME = bytes(OUTPUT_FRAME_BYTES)


def audio(number: int) -> AudioReceived:
    return AudioReceived(bytes(INPUT_FRAME_BYTES), 20 * number)


@dataclass
class FakeControl:
    """An endpoint whose user agent agrees at once."""

    agree_to: MediaParameters | None = AGREED  # None: the answer comes with ACK, later
    answered: list[LocalAudio] = field(default_factory=list[LocalAudio])
    rejected: list[tuple[int, int | None, EndCause]] = field(default_factory=list[tuple[int, int | None, EndCause]])
    hung_up: list[tuple[EndCause, str]] = field(default_factory=list[tuple[EndCause, str]])
    offered: list[Direction] = field(default_factory=list[Direction])
    transferred: list[tuple[str, str | None]] = field(default_factory=list[tuple[str, str | None]])
    pressed: list[str] = field(default_factory=list[str])
    takes_info: bool = True
    time: float = 0.0
    leg: SipLeg | None = None
    tasks: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])

    def now(self) -> float:
        return self.time

    def answer(self, handle: str, local: LocalAudio) -> None:
        self.answered.append(local)
        if self.agree_to is not None:
            self.tell(MediaAgreed(handle, self.agree_to))

    def reject(self, handle: str, status: int, *, retry_after_s: int | None, cause: EndCause, detail: str = "") -> None:
        self.rejected.append((status, retry_after_s, cause))
        self.tell(CallEnded(handle, cause, detail))

    def hang_up(self, handle: str, cause: EndCause, detail: str = "", *, reason: str = "") -> None:
        if not self.hung_up:
            self.hung_up.append((cause, reason))
            self.tell(CallEnded(handle, cause, detail))

    def reoffer(self, handle: str, direction: Direction) -> None:
        self.offered.append(direction)

    def press(self, handle: str, digits: str) -> bool:
        self.pressed.append(digits)
        return self.takes_info

    def transfer(self, handle: str, target: str, *, consult: str | None) -> None:
        self.transferred.append((target, consult))

    def spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        self.tasks.append(asyncio.get_running_loop().create_task(work))
        return self.tasks[-1]

    def tell(self, event: CallEvent) -> None:
        assert self.leg is not None
        self.leg.signal(event)

    def end(self, cause: EndCause = EndCause.CALLER_HUNG_UP) -> None:
        self.tell(CallEnded(INFO.call_id, cause))

    async def settle(self) -> None:
        await asyncio.gather(*self.tasks, return_exceptions=True)


@dataclass
class Bench:
    control: FakeControl
    factory: FakeMediaFactory
    leg: SipLeg

    async def until_ended(self) -> list[LegEvent]:
        events: list[LegEvent] = []
        while not events or not isinstance(events[-1], LegEnded):
            events.append(await self.leg.receive())
        await self.control.settle()
        return events


def inbound(*, agree_to: MediaParameters | None = AGREED, sessions: int = 1, digits: DigitWay = "auto") -> Bench:
    control, factory = FakeControl(agree_to), FakeMediaFactory(sessions=sessions)
    control.leg = SipLeg(INFO, control, factory, digits=digits)
    return Bench(control, factory, control.leg)


async def outbound() -> Bench:
    control, factory = FakeControl(), FakeMediaFactory()
    control.leg = SipLeg(INFO, control, factory, media=await factory.open())
    return Bench(control, factory, control.leg)


async def started() -> Bench:
    bench = inbound()
    await bench.leg.answer()
    return bench


async def starts(work: Awaitable[None]) -> asyncio.Future[None]:
    """Run a task up to where it waits."""
    task = asyncio.ensure_future(work)
    for _ in range(5):
        await asyncio.sleep(0)
    return task


async def test_media_that_cannot_be_closed_does_not_keep_a_call_from_its_end(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = await started()
    close = FakeMedia.close

    async def fails(media: FakeMedia) -> None:
        await close(media)
        raise OSError("no buffer space")

    monkeypatch.setattr(FakeMedia, "close", fails)
    await bench.leg.hang_up()

    assert await bench.until_ended() == [LegEnded(EndCause.BOT_HUNG_UP)]
    assert "no buffer space" in caplog.text


async def test_an_answered_call_has_media_at_the_port_that_was_opened() -> None:
    bench = await started()

    assert bench.control.answered == [LocalAudio("127.0.0.1", FIRST_PORT)]
    assert bench.factory.opened[0].applied == [AGREED]
    leg: CallLeg = bench.leg
    assert leg.info == INFO
    await leg.hang_up()


async def test_a_caller_that_has_not_proven_itself_is_heard_and_gets_no_sound_yet() -> None:
    control, factory = FakeControl(), FakeMediaFactory()
    control.leg = leg = SipLeg(INFO, control, factory, proven=False)
    await leg.answer()
    media = factory.opened[0]
    assert media.applied == [replace(AGREED, send=False)]

    for _ in range(2):
        leg.signal(CallConfirmed(INFO.call_id))

    assert media.applied == [replace(AGREED, send=False), AGREED]
    media.hear(audio(0))
    assert await leg.receive() == audio(0)  # nothing was taken for a hold
    await leg.hang_up()


async def test_a_late_offer_is_proven_by_the_ack_that_answers_it() -> None:
    control, factory = FakeControl(None), FakeMediaFactory()
    control.leg = leg = SipLeg(INFO, control, factory, proven=False)
    answering = await starts(leg.answer())

    leg.signal(CallConfirmed(INFO.call_id))
    leg.signal(MediaAgreed(INFO.call_id, AGREED))
    await answering

    assert factory.opened[0].applied == [AGREED]
    await leg.hang_up()


async def test_what_the_caller_says_and_presses_comes_in_order() -> None:
    bench = await started()
    media = bench.factory.opened[0]
    media.hear(audio(0), DigitReceived("5", 100), FramesDropped(2), audio(1))

    events = [await bench.leg.receive() for _ in range(4)]

    assert events == [audio(0), DigitReceived("5", 100), FramesDropped(2), audio(1)]
    await bench.leg.hang_up()


async def test_events_wait_in_the_media_while_nobody_takes_them() -> None:
    bench = await started()
    media = bench.factory.opened[0]
    media.hear(*(audio(number) for number in range(100)))
    await asyncio.sleep(0.01)
    assert media.waiting > 80

    taken = [await bench.leg.receive() for _ in range(100)]

    assert taken == [audio(number) for number in range(100)]
    await bench.leg.hang_up()


async def test_audio_is_played_to_the_caller() -> None:
    bench = await started()
    await bench.leg.play(FRAME)
    await bench.leg.drain()

    assert (bench.leg.played_ms, bench.leg.flush(), bench.leg.stats()) == (20, 0, LegStats(sent=1))
    with pytest.raises(AudioFormatError):
        await bench.leg.play(b"short")
    await bench.leg.send_digits("12#")
    assert bench.factory.opened[0].digits == ["12#"]
    bench.leg.tell("{}")
    await bench.leg.hang_up()


async def test_a_leg_that_is_not_answered_has_no_audio_yet() -> None:
    leg = inbound().leg

    for early in (leg.play(FRAME), leg.send_digits("1")):
        with pytest.raises(LocalProtocolError):
            await early
    await leg.drain()
    assert (leg.played_ms, leg.flush(), leg.stats()) == (0, 0, LegStats())


async def test_the_callers_bye_ends_the_leg_once_and_frees_the_port() -> None:
    bench = await started()
    bench.factory.opened[0].hear(audio(0))
    bench.control.end()
    bench.control.end(EndCause.FAILED)

    events = await bench.until_ended()

    assert events[-1] == LegEnded(EndCause.CALLER_HUNG_UP)
    assert (bench.factory.in_use, bench.leg.ended) == (0, True)
    for late in (bench.leg.receive(), bench.leg.play(FRAME), bench.leg.answer(), bench.leg.hold(on_hold=True)):
        with pytest.raises(LegEndedError):
            await late
    await bench.leg.drain()
    await bench.leg.hang_up()


async def test_hanging_up_frees_the_port_before_it_returns() -> None:
    bench = await started()

    await bench.leg.hang_up()
    await bench.leg.hang_up()

    assert bench.factory.in_use == 0
    assert bench.control.hung_up == [(EndCause.BOT_HUNG_UP, "Q.850;cause=16")]
    assert (await bench.until_ended())[-1] == LegEnded(EndCause.BOT_HUNG_UP)


@pytest.mark.parametrize(
    ("reason", "asked", "status", "retry_after_s"),
    [
        (RejectReason.BUSY, None, 486, None),
        (RejectReason.AT_CAPACITY, None, 503, 5),
        (RejectReason.AT_CAPACITY, 30, 503, 30),
        (RejectReason.FORBIDDEN, None, 403, None),
        (RejectReason.NOT_FOUND, None, 404, None),
        (RejectReason.INTERNAL_ERROR, None, 500, None),
    ],
)
async def test_a_refused_call_is_told_why(
    reason: RejectReason, asked: int | None, status: int, retry_after_s: int | None
) -> None:
    bench = inbound()

    await bench.leg.reject(reason, retry_after_s=asked)

    assert bench.control.rejected == [(status, retry_after_s, EndCause.REJECTED)]
    assert await bench.until_ended() == [LegEnded(EndCause.REJECTED)]
    assert not bench.factory.opened


async def test_a_call_is_answered_or_rejected_once() -> None:
    bench = await started()

    with pytest.raises(LocalProtocolError):
        await bench.leg.answer()
    with pytest.raises(LocalProtocolError):
        await bench.leg.reject(RejectReason.BUSY)
    await bench.leg.hang_up()


async def test_without_a_free_port_the_caller_is_told_to_come_again() -> None:
    bench = inbound(sessions=0)

    with pytest.raises(LegEndedError) as caught:
        await bench.leg.answer()

    assert isinstance(caught.value.__cause__, CapacityError)
    assert bench.control.rejected == [(503, 7, EndCause.FAILED)]
    assert await bench.until_ended() == [LegEnded(EndCause.FAILED, "no RTP port is free")]


async def test_media_that_breaks_while_it_is_opened_ends_the_call() -> None:
    bench = inbound()
    bench.factory.fails_to_open = OSError("no such device")

    with pytest.raises(OSError, match="no such device"):
        await bench.leg.answer()

    assert bench.control.rejected == [(500, None, EndCause.FAILED)]


@pytest.mark.parametrize("error", [None, CapacityError("none"), OSError("broken")])
async def test_a_caller_that_gives_up_while_media_is_opened_leaves_no_port_behind(error: Exception | None) -> None:
    bench = inbound()
    bench.factory.gate.clear()
    answering = await starts(bench.leg.answer())

    bench.control.end(EndCause.CANCELLED)
    bench.factory.fails_to_open = error
    bench.factory.gate.set()

    with pytest.raises(OSError if isinstance(error, OSError) else LegEndedError):
        await answering
    assert await bench.until_ended() == [LegEnded(EndCause.CANCELLED)]
    assert (bench.factory.in_use, bench.control.answered, bench.control.rejected) == (0, [], [])


async def test_an_offer_that_fails_at_the_answer_frees_the_port() -> None:
    bench = inbound(agree_to=None)
    answering = await starts(bench.leg.answer())
    bench.control.end(EndCause.FAILED)

    with pytest.raises(LegEndedError):
        await answering
    await bench.control.settle()
    assert bench.factory.in_use == 0


async def test_a_caller_that_offered_nothing_is_waited_for_until_its_ack() -> None:
    bench = inbound(agree_to=None)
    answering = await starts(bench.leg.answer())
    assert not answering.done()

    bench.control.tell(MediaAgreed(INFO.call_id, AGREED))
    await answering

    await bench.leg.play(FRAME)
    await bench.leg.hang_up()


async def test_hold_is_told_once_and_music_is_not_listened_to() -> None:
    bench = await started()
    for parameters in (HELD, HELD, AGREED):
        bench.control.tell(MediaAgreed(INFO.call_id, parameters))

    assert [await bench.leg.receive() for _ in range(2)] == [HoldChanged(True), HoldChanged(False)]
    applied = bench.factory.opened[0].applied
    assert [(each.send, each.receive) for each in applied] == [
        (True, True),
        (False, False),
        (False, False),
        (True, True),
    ]
    await bench.leg.hang_up()


async def test_we_hold_and_resume_the_far_end() -> None:
    bench = await started()

    await bench.leg.hold(on_hold=True)
    await bench.leg.hold(on_hold=False)

    assert bench.control.offered == [Direction.SENDONLY, Direction.SENDRECV]
    await bench.leg.hang_up()


async def test_a_press_that_comes_in_info_and_rtp_is_one_press() -> None:
    bench = await started()
    bench.control.tell(DigitPressed(INFO.call_id, DigitReceived("7", 160)))
    bench.factory.opened[0].hear(DigitReceived("7", 120), DigitReceived("8", 120))

    assert [await bench.leg.receive() for _ in range(2)] == [DigitReceived("7", 160), DigitReceived("8", 120)]
    await bench.leg.hang_up()


async def test_a_flood_of_presses_is_bounded() -> None:
    bench = await started()
    for number in range(1000):
        bench.control.time = 10.0 * number
        bench.control.tell(DigitPressed(INFO.call_id, DigitReceived("7", 160)))
    bench.control.end()

    assert len(await bench.until_ended()) == 65


async def test_a_caller_that_went_silent_is_hung_up() -> None:
    bench = await started()
    bench.factory.opened[0].hear(MediaTimedOut())

    assert await bench.until_ended() == [LegEnded(EndCause.MEDIA_TIMEOUT, "no RTP came")]
    assert bench.control.hung_up == [(EndCause.MEDIA_TIMEOUT, "Q.850;cause=102")]
    assert bench.factory.in_use == 0


async def test_media_that_breaks_ends_the_call(caplog: pytest.LogCaptureFixture) -> None:
    bench = await started()
    bench.factory.opened[0].fail(OSError("cable"))

    assert await bench.until_ended() == [LegEnded(EndCause.FAILED, "media: cable")]
    assert bench.factory.in_use == 0
    assert INFO.call_id in caplog.text


async def test_media_that_closes_by_itself_is_no_failure() -> None:
    bench = await started()
    await bench.factory.opened[0].close()
    await bench.control.settle()

    assert not bench.leg.ended


async def test_a_placed_call_is_answered_by_the_far_end() -> None:
    bench = await outbound()
    answering = await starts(bench.leg.answer())
    bench.control.tell(CallRinging(INFO.call_id, 180))
    assert not answering.done()

    bench.control.tell(MediaAgreed(INFO.call_id, AGREED))
    await answering

    await bench.leg.play(FRAME)
    with pytest.raises(LocalProtocolError):
        await bench.leg.reject(RejectReason.BUSY)
    await bench.leg.hang_up()
    assert bench.factory.in_use == 0


async def test_a_placed_call_that_nobody_takes_frees_its_port() -> None:
    bench = await outbound()
    answering = await starts(bench.leg.answer())
    bench.control.tell(CallEnded(INFO.call_id, EndCause.FAILED, "486 Busy Here"))

    with pytest.raises(LegEndedError):
        await answering
    assert await bench.until_ended() == [LegEnded(EndCause.FAILED, "486 Busy Here")]
    assert bench.factory.in_use == 0


async def test_news_after_the_end_changes_nothing() -> None:
    bench = await started()
    bench.control.end()
    bench.control.tell(MediaAgreed(INFO.call_id, HELD))
    bench.control.tell(DigitPressed(INFO.call_id, DigitReceived("1", 100)))

    assert await bench.until_ended() == [LegEnded(EndCause.CALLER_HUNG_UP)]


async def test_early_media_is_heard_and_what_nobody_took_is_gone_at_the_answer() -> None:
    bench = await outbound()
    media = bench.factory.opened[0]
    answered = await starts(bench.leg.answer())
    bench.control.tell(CallRinging(INFO.call_id, 183))
    bench.control.tell(MediaAgreed(INFO.call_id, AGREED, early=True))
    media.hear(*(audio(number) for number in range(20)))
    await starts(asyncio.sleep(0))

    assert (bench.leg.ringing_status, answered.done()) == (183, False)
    assert await bench.leg.receive() == audio(12)  # the newest eight are kept
    media.hear(ToneHeard(Tone.BEEP, 400))  # of an announcement: no machine that records
    await starts(asyncio.sleep(0))
    bench.control.tell(MediaAgreed(INFO.call_id, AGREED))
    await answered
    media.hear(audio(99))
    assert await bench.leg.receive() == audio(99)
    assert media.applied == [AGREED, AGREED]
    bench.control.end()
    await bench.until_ended()


async def test_a_far_end_that_rings_long_and_silently_is_not_hung_up() -> None:
    bench = await outbound()
    media = bench.factory.opened[0]
    bench.control.tell(MediaAgreed(INFO.call_id, AGREED, early=True))
    media.hear(MediaTimedOut())
    await starts(asyncio.sleep(0))
    assert bench.control.hung_up == []

    bench.control.tell(MediaAgreed(INFO.call_id, AGREED))
    assert [parameters.receive for parameters in media.applied] == [True, False, True]  # the silence counts anew
    bench.control.end()
    await bench.until_ended()


async def test_a_transfer_waits_for_its_end() -> None:
    bench = await started()
    moving = await starts(bench.leg.transfer("sip:op@pbx"))
    with pytest.raises(LocalProtocolError):
        await bench.leg.transfer("sip:other@pbx")
    bench.control.tell(TransferEnded(INFO.call_id, Outcome(True, 200)))
    bench.control.tell(TransferEnded(INFO.call_id, Outcome(False)))
    await moving

    assert bench.control.transferred == [("sip:op@pbx", None)]
    bench.control.tell(TransferEnded(INFO.call_id, Outcome(False)))
    bench.control.end(EndCause.TRANSFERRED)
    await bench.until_ended()


async def test_a_transfer_that_fails_leaves_the_call_up() -> None:
    bench = await started()
    moving = await starts(bench.leg.transfer("sip:op@pbx", consult=bench.leg))
    bench.control.tell(TransferEnded(INFO.call_id, Outcome(False, 486, "Busy Here")))

    with pytest.raises(TransferFailedError, match="486 Busy Here"):
        await moving
    assert (bench.leg.ended, bench.control.transferred) == (False, [("sip:op@pbx", INFO.call_id)])
    bench.control.end()
    await bench.until_ended()


@pytest.mark.parametrize(("cause", "succeeded"), [(EndCause.TRANSFERRED, True), (EndCause.CALLER_HUNG_UP, False)])
async def test_a_call_that_ends_in_the_middle_of_its_transfer(cause: EndCause, succeeded: bool) -> None:
    bench = await started()
    moving = await starts(bench.leg.transfer("sip:op@pbx"))
    bench.control.end(cause)

    if succeeded:
        await moving
    else:
        with pytest.raises(LegEndedError):
            await moving
    await bench.until_ended()


async def test_why_the_network_ended_a_call_is_told() -> None:
    bench = await started()
    bench.control.tell(CallEnded(INFO.call_id, EndCause.CALLER_HUNG_UP, "Q.850;cause=16", 16))

    (end,) = await bench.until_ended()
    assert isinstance(end, LegEnded)
    assert end.q850 == 16


WITHOUT_EVENTS = MediaParameters("192.0.2.1", 4000, "PCMU", 0, None)


async def pressing(digits: DigitWay, *, agreed: MediaParameters = WITHOUT_EVENTS) -> Bench:
    bench = inbound(agree_to=agreed, digits=digits)
    await bench.leg.answer()
    return bench


async def test_keys_go_as_tones_where_the_settings_say_so() -> None:
    bench = await pressing("inband", agreed=AGREED)
    await bench.leg.send_digits("1#")

    assert (bench.factory.opened[0].tones, bench.control.pressed) == (["1#"], [])
    await bench.leg.hang_up()


async def test_keys_go_by_info_where_no_events_were_agreed_and_are_waited_for() -> None:
    bench = await pressing("auto")
    sending = await starts(bench.leg.send_digits("12#"))
    assert not sending.done()
    with pytest.raises(LocalProtocolError, match="await the ones before"):
        await bench.leg.send_digits("3")
    bench.control.tell(KeysSent(INFO.call_id, 3, 200))
    await sending
    bench.control.tell(KeysSent(INFO.call_id, 3, 200))

    assert (bench.control.pressed, bench.factory.opened[0].tones) == (["12#"], [])
    await bench.leg.hang_up()


async def test_what_the_far_end_does_not_take_by_info_it_gets_as_tones() -> None:
    bench = await pressing("auto")
    sending = await starts(bench.leg.send_digits("12#"))
    bench.control.tell(KeysSent(INFO.call_id, 1, 415))
    await sending
    bench.control.takes_info = False
    await bench.leg.send_digits("9")

    assert bench.factory.opened[0].tones == ["2#", "9"]
    await bench.leg.hang_up()


@pytest.mark.parametrize("way", ["rfc4733", "info"])
async def test_a_way_that_is_demanded_and_not_there_is_an_error(way: DigitWay) -> None:
    bench = await pressing(way)
    bench.control.takes_info = False

    with pytest.raises(LocalProtocolError, match="far end"):
        await bench.leg.send_digits("1")
    await bench.leg.hang_up()


async def test_keys_on_their_way_end_with_the_call() -> None:
    bench = await pressing("info")
    sending = await starts(bench.leg.send_digits("1"))
    bench.control.end()

    with pytest.raises(LegEndedError):
        await sending
    await bench.until_ended()
