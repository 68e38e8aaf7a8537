"""How WebRTC calls end, those that never come about, and what all of them leave behind: nothing."""

from __future__ import annotations

import asyncio
import gc
import os
import threading

import pytest

from telephony.errors import CapacityError, LegEndedError, LocalProtocolError, SdpError
from telephony.leg import CallLeg, EndCause, LegEnded, RejectReason
from telephony.settings import WebRtcSettings
from telephony.webrtc.aiortc_seam import Peer
from telephony.webrtc.caller import place_call
from telephony.webrtc.endpoint import WebRtcEndpoint
from telephony.webrtc.leg import WebRtcLeg
from telephony.webrtc.session import WebRtcSession
from tests.fakes.webrtc import SETTINGS, Ears, an_offer, call, play, tone
from tests.waiting import HUNG_S

HASTY = SETTINGS.model_copy(update={"connect_timeout_s": 0.3, "silence_timeout_s": 0.3})


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
    assert not playing.done()
    await made.caller.hang_up()
    await asyncio.wait_for(asyncio.gather(waiting, playing), HUNG_S)
    assert made.bot.played_ms < 20_000
    await made.close()


async def test_a_caller_that_falls_silent_altogether_ends_the_leg_by_media_timeout() -> None:
    made = await call(settings=HASTY.model_copy(update={"connect_timeout_s": 10.0}))
    await made.at_bot.hear(5)
    session = made.caller._session
    session._media.clock.remove(session)
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


async def test_an_answered_call_cannot_be_rejected() -> None:
    made = await call()
    with pytest.raises(LocalProtocolError, match="answered already"):
        await made.bot.reject(RejectReason.BUSY)
    await made.close()


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
