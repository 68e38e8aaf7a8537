"""Whole WebRTC calls over loopback: our caller, our leg, real ICE, DTLS and SRTP between them."""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise

import pytest
import uvloop

from telephony.errors import AudioFormatError, LocalProtocolError, TransferFailedError
from telephony.leg import CallLeg, DigitReceived, MessageReceived
from telephony.webrtc.leg import WebRtcLeg
from telephony.webrtc.shared_media import SharedMedia
from tests.fakes.webrtc import Call, call, loudness, pitch, play, tone
from tests.waiting import machine_watched


@pytest.fixture
async def connected() -> AsyncIterator[Call]:
    made = await call()
    yield made
    await made.close()


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
    """Some 60 ms on an idle machine."""
    await connected.at_bot.hear(25)
    before = len(connected.at_bot.frames)
    with machine_watched() as held_up:
        sending = asyncio.create_task(play(connected.caller, tone(440, 25)))
        await connected.at_bot.hear_loud(5)
    first_loud = next(n for n in range(before, before + 100) if loudness([connected.at_bot.frames[n]]) > 1000)
    await sending
    assert (first_loud - before) * 20 <= 250 + held_up.sum_ms


def silent(frames: list[bytes]) -> int:
    return sum(loudness([frame]) < 1000 for frame in frames)


async def test_with_one_packet_in_twenty_lost_each_costs_one_concealed_frame_and_no_lasting_delay() -> None:
    dropped: list[int] = []

    def lossy(leg: CallLeg) -> None:
        assert isinstance(leg, WebRtcLeg)
        peer = leg._session._peer
        handlers, dice = peer._handlers, random.Random(20)

        def rtp(packet: bytes, arrived: float) -> None:
            if dice.random() < 0.05:
                dropped.append(len(packet))
            else:
                handlers.rtp(packet, arrived)

        peer._handlers = replace(handlers, rtp=rtp)

    lost_some, whole = await call(on_leg=lossy), await call()
    with machine_watched() as held_up:
        sending = [asyncio.create_task(play(made.caller, tone(440, 300))) for made in (lost_some, whole)]
        heard, heard_whole = await asyncio.gather(lost_some.at_bot.hear_loud(250), whole.at_bot.hear_loud(250))
        await asyncio.gather(*sending)
    stats, clean = lost_some.bot.stats(), whole.bot.stats()
    await asyncio.gather(lost_some.close(), whole.close())
    assert len(dropped) >= 8
    assert stats.lost == pytest.approx(len(dropped), abs=2)
    # What the machine itself delays is made up too, in both calls, and not always alike.
    assert stats.concealed_ms <= 20 * len(dropped) + clean.concealed_ms + 60 + held_up.sum_ms
    assert silent(heard) <= silent(heard_whole) + 4 + held_up.sum_ms / 20
    assert stats.playout_delay_ms <= clean.playout_delay_ms + 60 + held_up.worst_ms


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


@contextmanager
def media_thread(loop: asyncio.AbstractEventLoop) -> Iterator[asyncio.AbstractEventLoop]:
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
async def test_a_stall_of_the_media_loop_loses_nothing_that_came_meanwhile(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    with media_thread(new_loop()) as loop:
        made = await call(media=SharedMedia(loop))
        sending = asyncio.create_task(play(made.caller, tone(440, 150)))
        await made.at_bot.hear_loud(25)
        with machine_watched() as held_up:
            before = made.bot.stats()
            loop.call_soon_threadsafe(time.sleep, 0.09)
            await made.at_bot.hear(25)
            after = made.bot.stats()
        await sending
        await made.close()
    # Where what came is not read first, 40 to 80 ms are concealed and as much delay is added (measured).
    assert after.concealed_ms - before.concealed_ms <= 20 + held_up.sum_ms
    assert after.playout_delay_ms - before.playout_delay_ms <= 30 + held_up.worst_ms


async def test_media_may_run_in_another_threads_loop() -> None:
    with media_thread(uvloop.new_event_loop()) as loop:
        made = await call(media=SharedMedia(loop))
        sending = asyncio.gather(play(made.caller, tone(440, 50)), play(made.bot, tone(660, 50)))
        at_bot, at_caller = await asyncio.gather(made.at_bot.hear_loud(40), made.at_caller.hear_loud(40))
        made.bot.tell('{"type":"hello"}')
        await made.caller.send_digits("5")
        await made.at_caller.until(lambda: made.at_caller.others)
        await made.at_bot.until(lambda: made.at_bot.others)
        await sending
        await made.bot.drain()
        await made.close()
    assert pitch(at_bot[10:]) == pytest.approx(440, abs=2)
    assert pitch(at_caller[10:]) == pytest.approx(660, abs=2)
    assert made.at_caller.others == [MessageReceived('{"type":"hello"}')]
    assert made.at_bot.others == [DigitReceived("5", 100)]


# --- playing, flushing, draining ------------------------------------------------------------------------------------


async def test_play_waits_while_the_lead_is_full_and_what_was_sent_is_counted_exactly(connected: Call) -> None:
    await play(connected.bot, tone(440, 40))
    assert connected.bot.played_ms >= 800 - connected.bot.lead_ms
    await connected.bot.drain()
    assert connected.bot.played_ms == 800


async def test_a_flush_takes_effect_at_once_and_tells_what_was_dropped(connected: Call) -> None:
    await play(connected.bot, tone(440, 30))
    dropped_ms = connected.bot.flush()
    played_ms = connected.bot.played_ms
    assert 0 < dropped_ms <= connected.bot.lead_ms
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


async def test_frames_played_in_one_run_are_frames_like_others(connected: Call) -> None:
    await connected.bot.play(tone(440, 1)[0] * 5)
    assert 0 < connected.bot.queued_ms <= 100
    await connected.bot.drain()
    assert (connected.bot.queued_ms, connected.bot.played_ms) == (0, 100)


async def test_a_frame_of_another_size_is_refused(connected: Call) -> None:
    with pytest.raises(AudioFormatError, match="640 bytes are no frames; 20 ms at 24 kHz are 960"):
        await connected.bot.play(bytes(640))


async def test_the_pace_of_two_seconds_does_not_drift(connected: Call) -> None:
    loop = asyncio.get_running_loop()
    await play(connected.bot, tone(440, 10))
    await connected.bot.drain()

    with machine_watched() as held_up:
        began, sent = loop.time(), connected.bot.stats().sent
        await connected.at_caller.hear(100)
        took_ms, packets = 1000 * (loop.time() - began), connected.bot.stats().sent - sent
    assert abs(packets * 20 - took_ms) <= 60 + held_up.worst_ms


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
    with pytest.raises(TransferFailedError):
        await connected.bot.transfer("sip:200@pbx.example")


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


@pytest.mark.parametrize("opens", [True, False])
async def test_a_hang_up_before_the_channel_is_open_waits_for_it_and_not_for_ever(opens: bool) -> None:
    def slow_to_open(leg: CallLeg) -> None:
        assert isinstance(leg, WebRtcLeg)
        peer = leg._session._peer
        open_channel = peer._handlers.channel_open

        def later() -> None:
            if opens:
                asyncio.get_running_loop().call_later(0.3, open_channel)

        peer._handlers = replace(peer._handlers, channel_open=later)

    made = await call(on_leg=slow_to_open)
    made.bot.tell("last")
    await made.bot.hang_up()
    await made.at_caller.end()
    assert (MessageReceived("last") in made.at_caller.others) == opens
    await made.close()
