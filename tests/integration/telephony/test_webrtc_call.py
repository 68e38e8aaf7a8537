"""Whole WebRTC calls over loopback: our caller, our leg, real ICE, DTLS and SRTP between them."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise

import pytest
import uvloop

from telephony.errors import AudioFormatError, CapacityError, LegEndedError, LocalProtocolError, SdpError
from telephony.leg import CallInfo, CallLeg, DigitReceived, EndCause, LegEnded, MessageReceived, RejectReason
from telephony.settings import WebRtcSettings
from telephony.webrtc.aiortc_seam import Peer
from telephony.webrtc.caller import place_call
from telephony.webrtc.endpoint import WebRtcEndpoint
from telephony.webrtc.leg import WebRtcLeg, open_leg
from telephony.webrtc.session import WebRtcSession
from tests.fakes.webrtc import SETTINGS, Call, Ears, call, loudness, pitch, play, tone

HASTY = SETTINGS.model_copy(update={"connect_timeout_s": 0.3, "silence_timeout_s": 0.3})


@pytest.fixture
async def connected() -> AsyncIterator[Call]:
    made = await call()
    yield made
    await made.close()


async def an_offer() -> tuple[WebRtcLeg, str]:
    """A caller's leg and its offer, of which nothing more will come."""
    leg = await open_leg(SETTINGS, CallInfo("0" * 32, "webrtc", "caller", "bot"), offering=True, media_loop=None)
    return leg, await leg.write_offer()


# --- sound ----------------------------------------------------------------------------------------------------------


async def test_a_tone_goes_both_ways_at_its_pitch_and_level(connected: Call) -> None:
    sending = asyncio.gather(play(connected.caller, tone(440, 75)), play(connected.bot, tone(660, 75)))
    at_bot, at_caller = await asyncio.gather(connected.at_bot.hear_loud(60), connected.at_caller.hear_loud(60))
    await sending
    assert pitch(at_bot[10:]) == pytest.approx(440, abs=2)
    assert pitch(at_caller[10:]) == pytest.approx(660, abs=2)
    assert loudness(at_bot[10:]) == pytest.approx(5657, rel=0.15)
    assert loudness(at_caller[10:]) == pytest.approx(5657, rel=0.15)


async def test_frames_come_in_one_unbroken_time(connected: Call) -> None:
    await connected.at_bot.hear(50)
    times = connected.at_bot.media_times_ms
    steps = {later - earlier for earlier, later in pairwise(times)}
    assert times[0] == 0
    assert steps == {20}
    assert {len(frame) for frame in connected.at_bot.frames} == {640}


async def test_the_sound_is_heard_within_a_quarter_of_a_second(connected: Call) -> None:
    """Some 60 ms on an idle machine; the bound leaves room for a busy one."""
    await connected.at_bot.hear(25)
    before = len(connected.at_bot.frames)
    sending = asyncio.create_task(play(connected.caller, tone(440, 25)))
    await connected.at_bot.hear_loud(5)
    first_loud = next(n for n in range(before, before + 100) if loudness([connected.at_bot.frames[n]]) > 1000)
    await sending
    assert (first_loud - before) * 20 <= 250


def silent(frames: list[bytes]) -> int:
    return sum(loudness([frame]) < 1000 for frame in frames)


async def test_with_one_packet_in_twenty_lost_each_costs_one_concealed_frame_and_no_lasting_delay() -> None:
    dropped: list[int] = []

    def lossy(leg: CallLeg) -> None:
        assert isinstance(leg, WebRtcLeg)
        peer = leg._session._peer
        handlers, dice = peer._handlers, random.Random(20)

        def rtp(packet: bytes) -> None:
            if dice.random() < 0.05:
                dropped.append(len(packet))
            else:
                handlers.rtp(packet)

        peer._handlers = replace(handlers, rtp=rtp)

    lost_some, whole = await call(on_leg=lossy), await call()
    sending = [asyncio.create_task(play(made.caller, tone(440, 300))) for made in (lost_some, whole)]
    heard, heard_whole = await asyncio.gather(lost_some.at_bot.hear_loud(250), whole.at_bot.hear_loud(250))
    await asyncio.gather(*sending)
    stats, clean = lost_some.bot.stats(), whole.bot.stats()
    await asyncio.gather(lost_some.close(), whole.close())
    assert len(dropped) >= 8
    assert stats.lost == pytest.approx(len(dropped), abs=2)
    # What the machine itself delays is made up too, in both calls alike.
    assert stats.concealed_ms <= 20 * len(dropped) + clean.concealed_ms + 60
    assert silent(heard) <= silent(heard_whole) + 4
    assert stats.playout_delay_ms <= clean.playout_delay_ms + 60


async def test_packets_that_are_no_rtp_or_of_another_codec_are_passed_over(connected: Call) -> None:
    peer = connected.caller._session._peer
    header = bytes([0xA0, 111, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1])  # says that it is padded
    before = connected.bot.stats().received
    for _ in range(5):
        assert peer.send_rtp(header + b"padding of none\x00")
        assert peer.send_rtp(bytes([0x80, 13]) + header[2:] + b"comfort noise")
    sending = asyncio.create_task(play(connected.caller, tone(440, 40)))
    assert pitch((await connected.at_bot.hear_loud(25))[5:]) == pytest.approx(440, abs=3)
    await sending
    assert connected.bot.stats().received - before < 100


async def test_media_may_run_in_another_threads_loop() -> None:
    loop = uvloop.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        made = await call(media_loop=loop)
        sending = asyncio.gather(play(made.caller, tone(440, 50)), play(made.bot, tone(660, 50)))
        at_bot, at_caller = await asyncio.gather(made.at_bot.hear_loud(40), made.at_caller.hear_loud(40))
        made.bot.tell('{"type":"hello"}')
        await made.caller.send_digits("5")
        await made.at_caller.until(lambda: made.at_caller.others)
        await made.at_bot.until(lambda: made.at_bot.others)
        await sending
        await made.bot.drain()
        await made.close()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
    assert pitch(at_bot[10:]) == pytest.approx(440, abs=2)
    assert pitch(at_caller[10:]) == pytest.approx(660, abs=2)
    assert made.at_caller.others == [MessageReceived('{"type":"hello"}')]
    assert made.at_bot.others == [DigitReceived("5", 100)]


# --- playing, flushing, draining ------------------------------------------------------------------------------------


async def test_play_waits_while_the_lead_is_full_and_what_was_sent_is_counted_exactly(connected: Call) -> None:
    await play(connected.bot, tone(440, 40))
    assert connected.bot.played_ms >= 800 - 200  # the lead
    await connected.bot.drain()
    assert connected.bot.played_ms == 800


async def test_a_flush_takes_effect_at_once_and_tells_what_was_dropped(connected: Call) -> None:
    await play(connected.bot, tone(440, 30))
    dropped_ms = connected.bot.flush()
    played_ms = connected.bot.played_ms
    assert 0 < dropped_ms <= 200
    assert played_ms + dropped_ms == 600
    await connected.bot.drain()
    await connected.at_caller.hear(15)
    silence = await connected.at_caller.hear(10)
    assert loudness(silence) < 50
    assert connected.bot.played_ms == played_ms


async def test_a_flush_lets_a_play_that_waits_go_on(connected: Call) -> None:
    waiting = asyncio.create_task(play(connected.bot, tone(440, 100)))
    await connected.at_caller.hear_loud(1)
    assert not waiting.done()
    while not waiting.done():
        connected.bot.flush()
        await connected.at_caller.hear(1)
    await connected.bot.drain()


async def test_a_frame_of_another_size_is_refused(connected: Call) -> None:
    with pytest.raises(AudioFormatError, match="640 bytes; 20 ms at 24 kHz are 960"):
        await connected.bot.play(bytes(640))


async def test_the_pace_of_two_seconds_does_not_drift(connected: Call) -> None:
    loop = asyncio.get_running_loop()
    await play(connected.bot, tone(440, 10))
    await connected.bot.drain()
    began, sent = loop.time(), connected.bot.stats().sent
    await connected.at_caller.hear(100)
    took_ms, packets = 1000 * (loop.time() - began), connected.bot.stats().sent - sent
    assert packets * 20 == pytest.approx(took_ms, abs=60)


# --- texts and key presses ------------------------------------------------------------------------------------------


async def test_texts_go_both_ways_and_key_presses_are_digits(connected: Call) -> None:
    connected.bot.tell('{"type":"call.started"}')
    connected.caller.tell("anything")
    await connected.caller.send_digits("1#")
    await connected.at_bot.until(lambda: len(connected.at_bot.others) == 3)
    await connected.at_caller.until(lambda: connected.at_caller.others)
    assert connected.at_caller.others == [MessageReceived('{"type":"call.started"}')]
    assert connected.at_bot.others == [MessageReceived("anything"), DigitReceived("1", 100), DigitReceived("#", 100)]


async def test_a_digit_of_no_keypad_is_refused(connected: Call) -> None:
    with pytest.raises(LocalProtocolError, match="'x'"):
        await connected.bot.send_digits("1x")


async def test_texts_told_before_the_channel_is_open_arrive_in_order_and_no_more_than_64() -> None:
    def chatter(leg: CallLeg) -> None:
        for number in range(100):
            leg.tell(str(number))

    made = await call(on_leg=chatter)
    await made.at_caller.until(lambda: made.at_caller.others)
    made.bot.tell("last")
    await made.at_caller.until(lambda: MessageReceived("last") in made.at_caller.others)
    await made.close()
    assert made.at_caller.others == [*(MessageReceived(str(number)) for number in range(64)), MessageReceived("last")]


async def test_a_text_that_is_too_long_is_dropped(connected: Call) -> None:
    connected.caller.tell("x" * 20_000)
    connected.caller.tell("short")
    await connected.at_bot.until(lambda: connected.at_bot.others)
    assert connected.at_bot.others == [MessageReceived("short")]


async def test_the_last_text_before_a_hang_up_arrives() -> None:
    made = await call()
    await made.at_bot.hear(5)
    text = json.dumps({"type": "call.ended", "cause": "bot_hung_up"})
    made.bot.tell(text)
    await made.bot.hang_up()
    await made.at_caller.end()
    assert MessageReceived(text) in made.at_caller.others
    await made.close()


# --- ends -----------------------------------------------------------------------------------------------------------


async def test_a_caller_that_hangs_up_ends_the_leg_once() -> None:
    made = await call()
    await made.caller.hang_up()
    assert await made.at_caller.end() == LegEnded(EndCause.BOT_HUNG_UP)
    assert await made.at_bot.end() == LegEnded(EndCause.CALLER_HUNG_UP)
    with pytest.raises(LegEndedError, match="caller_hung_up"):
        await made.bot.receive()
    with pytest.raises(LegEndedError):
        await made.bot.play(bytes(960))
    with pytest.raises(LegEndedError):
        await made.bot.answer()
    await made.bot.drain()
    await made.bot.hang_up()
    made.bot.tell("nobody hears this")
    await made.endpoint.close()


async def test_a_bot_that_hangs_up_twice_ends_the_leg_once() -> None:
    made = await call()
    await play(made.bot, tone(440, 5))
    await asyncio.gather(made.bot.hang_up(), made.bot.hang_up())
    assert await made.at_bot.end() == LegEnded(EndCause.BOT_HUNG_UP)
    assert await made.at_caller.end() == LegEnded(EndCause.CALLER_HUNG_UP)
    await made.endpoint.close()
    assert made.endpoint.legs == 0


async def test_a_play_that_waits_when_the_call_ends_raises() -> None:
    made = await call()
    waiting = asyncio.create_task(made.bot.drain())
    playing = asyncio.create_task(play(made.bot, tone(440, 1000)))
    await made.at_caller.hear_loud(1)
    await made.caller.hang_up()
    await asyncio.wait_for(asyncio.gather(waiting, playing), 10)
    await made.close()


async def test_a_caller_that_falls_silent_altogether_ends_the_leg_by_media_timeout() -> None:
    made = await call(settings=HASTY.model_copy(update={"connect_timeout_s": 10.0}))
    await made.at_bot.hear(5)
    timer = made.caller._session._timer
    assert timer is not None
    timer.cancel()
    assert await made.at_bot.end() == LegEnded(EndCause.MEDIA_TIMEOUT, "no media for 0.3 s")
    await made.close()


async def test_a_fault_in_a_calls_audio_ends_this_call_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    made = await call()
    made.bot._pacer.put(b"not a frame")
    ended = await made.at_bot.end()
    assert ended.cause is EndCause.FAILED
    assert "internal error" in ended.detail
    assert "a WebRTC call broke" in caplog.text
    await made.close()


# --- calls that do not come about -----------------------------------------------------------------------------------


async def answered(leg: CallLeg) -> LegEnded:
    with pytest.raises(LegEndedError):
        await leg.answer()
    return await Ears(leg).end()


async def test_a_caller_that_never_connects_ends_the_leg_in_time() -> None:
    answers: list[asyncio.Task[LegEnded]] = []
    endpoint = WebRtcEndpoint(HASTY, lambda leg: answers.append(asyncio.create_task(answered(leg))), max_legs=1)
    caller, offer = await an_offer()
    answer = await endpoint.offer(offer)
    assert len(answer.call_id) == 32
    assert await answers[0] == LegEnded(EndCause.FAILED, "no connection within 0.3 s")
    await endpoint.close()
    assert endpoint.legs == 0
    await caller.hang_up()


async def test_an_offer_with_a_false_fingerprint_ends_failed() -> None:
    answers: list[asyncio.Task[LegEnded]] = []
    endpoint = WebRtcEndpoint(SETTINGS, lambda leg: answers.append(asyncio.create_task(answered(leg))), max_legs=1)

    async def send_forged(sdp: str) -> str:
        head, tail = sdp.split("a=fingerprint:sha-256 ", 1)
        forged = f"{head}a=fingerprint:sha-256 {'00' if tail[:2] != '00' else '11'}{tail[2:]}"
        return (await endpoint.offer(forged)).sdp

    caller = await place_call(send_forged, SETTINGS)  # whose own check is of our fingerprint, which is right
    ended = await answers[0]
    assert ended.cause is EndCause.FAILED
    assert "DTLS is failed" in ended.detail
    await endpoint.close()
    await caller.hang_up()


async def test_no_more_calls_than_places_and_a_place_is_free_again_after_a_call() -> None:
    made = await call()
    made.endpoint._max_legs = 1
    caller, offer = await an_offer()
    with pytest.raises(CapacityError, match="all 1 places") as caught:
        await made.endpoint.offer(offer)
    assert caught.value.retry_after_s > 0
    await made.caller.hang_up()
    await asyncio.gather(made.at_bot.end(), made.at_caller.end())
    await made.bot.wait_closed()
    with pytest.raises(SdpError):
        await made.endpoint.offer("v=0")
    await made.endpoint.close()
    with pytest.raises(CapacityError, match="no more calls"):
        await made.endpoint.offer(offer)
    await caller.hang_up()


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        (RejectReason.AT_CAPACITY, CapacityError),
        (RejectReason.BUSY, CapacityError),
        (RejectReason.FORBIDDEN, LegEndedError),
    ],
)
async def test_a_call_that_the_bot_rejects_is_refused_and_ends_rejected(
    reason: RejectReason, error: type[Exception]
) -> None:
    ends: list[asyncio.Task[LegEnded]] = []

    async def refuse(leg: CallLeg) -> LegEnded:
        await leg.reject(reason, retry_after_s=9)
        with pytest.raises(LegEndedError):
            await leg.answer()
        return await Ears(leg).end()

    endpoint = WebRtcEndpoint(SETTINGS, lambda leg: ends.append(asyncio.create_task(refuse(leg))), max_legs=1)
    caller, offer = await an_offer()
    with pytest.raises(error, match=reason.value) as caught:
        await endpoint.offer(offer)
    assert getattr(caught.value, "retry_after_s", 9) == 9
    assert await ends[0] == LegEnded(EndCause.REJECTED)
    await endpoint.close()
    await caller.hang_up()


async def test_an_answered_call_cannot_be_rejected(connected: Call) -> None:
    with pytest.raises(LocalProtocolError, match="answered already"):
        await connected.bot.reject(RejectReason.BUSY)


async def test_a_bot_that_does_not_answer_costs_the_caller_no_more_than_the_timeout() -> None:
    legs: list[CallLeg] = []
    endpoint = WebRtcEndpoint(HASTY, legs.append, max_legs=1)
    caller, offer = await an_offer()
    with pytest.raises(CapacityError, match="did not answer"):
        await endpoint.offer(offer)
    assert (await Ears(legs[0]).end()).cause is EndCause.FAILED
    await endpoint.close()
    await caller.hang_up()


async def test_a_bot_that_hangs_up_instead_of_answering_refuses_the_call() -> None:
    endpoint = WebRtcEndpoint(SETTINGS, lambda leg: ends.append(asyncio.create_task(hang_up(leg))), max_legs=1)
    ends: list[asyncio.Task[LegEnded]] = []

    async def hang_up(leg: CallLeg) -> LegEnded:
        await leg.hang_up()
        return await Ears(leg).end()

    caller, offer = await an_offer()
    with pytest.raises(LegEndedError, match="bot_hung_up"):
        await endpoint.offer(offer)
    assert await ends[0] == LegEnded(EndCause.BOT_HUNG_UP)
    await endpoint.close()
    await caller.hang_up()


async def test_a_bot_that_hangs_up_while_the_call_connects_ends_it_at_once() -> None:
    legs: list[CallLeg] = []
    answers: list[asyncio.Task[LegEnded]] = []

    def on_call(leg: CallLeg) -> None:
        legs.append(leg)
        answers.append(asyncio.create_task(answered(leg)))

    endpoint = WebRtcEndpoint(SETTINGS, on_call, max_legs=1)
    caller, offer = await an_offer()
    await endpoint.offer(offer)
    await legs[0].hang_up()
    assert await answers[0] == LegEnded(EndCause.BOT_HUNG_UP)
    await endpoint.close()
    assert endpoint.legs == 0
    await caller.hang_up()


async def test_a_connection_that_does_not_close_cleanly_frees_its_place(caplog: pytest.LogCaptureFixture) -> None:
    made = await call()
    close = made.bot._session._peer.close

    async def broken() -> None:
        await close()
        raise RuntimeError("odd")

    made.bot._session._peer.close = broken  # type: ignore[method-assign] - a fault of aiortc's
    await made.bot.hang_up()
    assert "did not close cleanly" in caplog.text
    await made.close()
    assert made.endpoint.legs == 0


async def test_a_page_that_goes_before_the_answer_cancels_the_call() -> None:
    legs: asyncio.Queue[CallLeg] = asyncio.Queue()
    endpoint = WebRtcEndpoint(SETTINGS, legs.put_nowait, max_legs=1)
    caller, offer = await an_offer()
    request = asyncio.create_task(endpoint.offer(offer))
    leg = await legs.get()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert (await Ears(leg).end()).cause is EndCause.CANCELLED
    await endpoint.close()
    assert endpoint.legs == 0
    await caller.hang_up()


async def test_a_bot_that_breaks_on_a_call_frees_its_place() -> None:
    def on_call(leg: CallLeg) -> None:
        raise RuntimeError("no bot today")

    endpoint = WebRtcEndpoint(SETTINGS, on_call, max_legs=1)
    caller, offer = await an_offer()
    with pytest.raises(RuntimeError, match="no bot today"):
        await endpoint.offer(offer)
    await endpoint.close()
    assert endpoint.legs == 0
    await caller.hang_up()


async def test_a_refused_caller_gets_the_refusal_and_leaves_nothing_behind() -> None:
    async def refuse(sdp: str) -> str:
        raise CapacityError("full")

    with pytest.raises(CapacityError):
        await place_call(refuse, SETTINGS)


async def test_a_machine_without_an_address_says_what_to_set() -> None:
    nowhere = WebRtcSettings(hosts=("192.0.2.254",))
    endpoint = WebRtcEndpoint(nowhere, lambda _: None, max_legs=1)
    caller, offer = await an_offer()
    with pytest.raises(LocalProtocolError, match="allow_loopback"):
        await endpoint.offer(offer)
    await endpoint.close()
    await caller.hang_up()


# --- nothing is left behind -----------------------------------------------------------------------------------------


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count, at once


def alive(*types: type) -> int:
    gc.collect()
    return sum(isinstance(thing, types) for thing in gc.get_objects())


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="counts sockets by /proc")  # noqa: PTH110
async def test_thirty_calls_leave_no_task_socket_thread_or_session() -> None:
    await (await call()).close()  # what the first call loads for good
    await asyncio.sleep(0)
    files, threads, tasks = open_files(), threading.active_count(), len(asyncio.all_tasks())
    sessions = alive(WebRtcSession, Peer, WebRtcLeg)
    for _ in range(10):
        calls = await asyncio.gather(call(), call(), call())
        await asyncio.gather(*(made.at_bot.hear(3) for made in calls))
        await asyncio.gather(*(made.close() for made in calls))
        assert [made.endpoint.legs for made in calls] == [0, 0, 0]
    del calls
    for _ in range(3):
        await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == tasks
    assert threading.active_count() == threads
    assert open_files() <= files
    assert alive(WebRtcSession, Peer, WebRtcLeg) <= sessions
