"""RTP sessions over real sockets on the loopback interface."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import pytest
import pytest_asyncio

from telephony.audio.frame import pcm_of, samples_of
from telephony.errors import AudioFormatError, CapacityError, LegEndedError, LocalProtocolError
from telephony.leg import OUTPUT_FRAME_BYTES, AudioReceived, DigitReceived, FramesDropped
from telephony.local_address import local_address
from telephony.media import InbandDigit, Media, MediaEvent, MediaParameters, MediaTimedOut, SrtpKeys
from telephony.rtp.factory import RtpMediaFactory
from telephony.rtp.packet import RtpPacket
from telephony.settings import RtpSettings
from tests.fakes.rtp_packet import build_rtp

LOUD = pcm_of(np.rint(8_000 * np.sin(2 * np.pi * 1_000 * np.arange(480) / 24_000)).astype(np.int16))


HOST = f"127.{64 + os.getpid() // 0x10000 % 64}.{os.getpid() // 0x100 % 0x100}.{os.getpid() % 0x100 or 1}"
"""Of this process alone: whoever else is on this machine has the same ports at other addresses."""
REST_S = 600.0  # longer than any test here, on however busy a machine


def settings(**changed: object) -> RtpSettings:
    return RtpSettings.model_validate({"host": HOST, "port_min": 20_000, "port_max": 20_999, **changed})


Start: TypeAlias = Callable[..., Awaitable[RtpMediaFactory]]


@pytest_asyncio.fixture
async def start() -> AsyncIterator[Start]:
    """Starts factories with settings of the test's own, and stops them however it ends."""
    started: list[RtpMediaFactory] = []

    async def start_one(**changed: object) -> RtpMediaFactory:
        started.append(RtpMediaFactory(settings(**changed), port_rest_s=REST_S))
        await started[-1].start()
        return started[-1]

    yield start_one
    for ours in started:
        await ours.stop()
        assert ours.ports_taken == 0


@pytest_asyncio.fixture
async def factory(start: Start) -> RtpMediaFactory:
    return await start()


def towards(peer: Media, **changed: object) -> MediaParameters:
    agreed = {"codec": "PCMA", "payload_type": 8, "dtmf_payload_type": 101, **changed}
    return MediaParameters(peer.local_host, peer.local_port, **agreed)  # type: ignore[arg-type]  # keywords as given


async def connected(factory: RtpMediaFactory, **changed: object) -> tuple[Media, Media]:
    left, right = await factory.open(), await factory.open()
    left.apply(towards(right, **changed))
    right.apply(towards(left, **changed))
    return left, right


async def next_event(media: Media, kind: type[MediaEvent]) -> MediaEvent:
    while True:
        event = await media.receive()
        if isinstance(event, kind):
            return event


async def next_loud(media: Media) -> AudioReceived:
    while True:
        event = await media.receive()
        if isinstance(event, AudioReceived) and np.abs(samples_of(event.pcm)).max() > 2_000:
            return event


async def test_audio_flows_every_20_ms_with_media_time(factory: RtpMediaFactory) -> None:
    left, _ = await connected(factory)

    frames = [await next_event(left, AudioReceived) for _ in range(20)]

    times = [frame.media_time_ms for frame in frames if isinstance(frame, AudioReceived)]
    assert times[0] == 0
    assert all(later > earlier and later % 20 == 0 for earlier, later in pairwise(times))


@pytest.mark.parametrize("codec", ["PCMA", "PCMU"])
async def test_what_one_side_plays_the_other_hears(factory: RtpMediaFactory, codec: str) -> None:
    left, right = await connected(factory, codec=codec, payload_type=8 if codec == "PCMA" else 0)
    for _ in range(30):
        await left.play(LOUD)
    await left.drain()

    heard = await next_loud(right)

    assert left.played_ms == 600
    assert np.abs(samples_of(heard.pcm)).max() == pytest.approx(8_000, rel=0.1)


async def test_frames_played_in_one_run_are_frames_like_others(factory: RtpMediaFactory) -> None:
    left, right = await connected(factory)

    await left.play(LOUD * 5)
    assert 0 < left.queued_ms <= 100
    await left.drain()

    assert (left.queued_ms, left.played_ms) == (0, 100)
    await next_loud(right)


async def test_play_waits_for_the_lead_and_flush_takes_it_back_exactly(factory: RtpMediaFactory) -> None:
    left, _ = await connected(factory)
    for _ in range(25):
        await left.play(LOUD)

    dropped_ms = left.flush()
    played_ms = left.played_ms

    assert 0 < dropped_ms <= left.lead_ms
    assert dropped_ms + played_ms == 500
    await left.drain()
    assert left.played_ms == played_ms
    assert left.stats().underruns == 0


async def test_stall_of_the_bot_shorter_than_the_lead_is_not_heard(start: Start) -> None:
    ours = await start()
    left, right = await connected(ours)
    for _ in range(25):
        await left.play(LOUD)

    time.sleep(0.25)
    for _ in range(25):
        await left.play(LOUD)
    await left.drain()

    assert left.stats().underruns == 0
    assert left.played_ms == 1_000
    await next_loud(right)


async def test_slow_bot_is_told_what_it_missed(start: Start) -> None:
    ours = await start()
    left, _ = await connected(ours)
    time.sleep(2.3)

    dropped = await left.receive()
    frame = await left.receive()

    assert isinstance(dropped, FramesDropped)
    assert isinstance(frame, AudioReceived)
    assert frame.media_time_ms == dropped.count * 20


async def test_digits_go_both_ways_once_each(factory: RtpMediaFactory) -> None:
    left, right = await connected(factory)

    await asyncio.gather(left.send_digits("1*"), right.send_digits("D9"))

    assert [await next_event(right, DigitReceived) for _ in range(2)] == [
        DigitReceived("1", 100),
        DigitReceived("*", 100),
    ]
    assert [await next_event(left, DigitReceived) for _ in range(2)] == [
        DigitReceived("D", 100),
        DigitReceived("9", 100),
    ]


async def test_digits_go_as_tones_where_events_were_not_agreed(factory: RtpMediaFactory) -> None:
    left, right = await connected(factory, dtmf_payload_type=None)

    await left.send_digits("7#")

    heard = [await next_event(right, InbandDigit) for _ in range(2)]
    assert [event.digit.digit for event in heard if isinstance(event, InbandDigit)] == ["7", "#"]
    with pytest.raises(LocalProtocolError, match="as tones"):
        await left.send_digits("x")


@pytest.mark.parametrize(("codec", "payload_type"), [("G722", 9), ("opus", 111)])
@pytest.mark.parametrize("ptime_ms", [10, 20, 60])
async def test_wideband_flows_both_ways_sealed(
    factory: RtpMediaFactory, codec: str, payload_type: int, ptime_ms: int
) -> None:
    left, right = await factory.open(), await factory.open()
    keys = (bytes(range(30)), bytes(range(30, 60)))
    for one, other, ours, theirs in ((left, right, *keys), (right, left, *keys[::-1])):
        srtp = SrtpKeys("AES_CM_128_HMAC_SHA1_80", ours, theirs)
        one.apply(towards(other, codec=codec, payload_type=payload_type, ptime_ms=ptime_ms, srtp=srtp))
    for _ in range(10):
        await left.play(LOUD)

    await next_loud(right)

    assert (right.stats().codec, right.stats().encrypted, right.stats().lost) == (codec, True, 0)


async def test_a_codec_may_change_in_mid_speech(factory: RtpMediaFactory) -> None:
    left, right = await connected(factory)
    for _ in range(10):
        await left.play(LOUD)
    await next_loud(right)
    left.apply(towards(right, codec="opus", payload_type=111))
    right.apply(towards(left, codec="opus", payload_type=111))
    for _ in range(20):
        await left.play(LOUD)

    for _ in range(20):
        await next_loud(right)

    assert right.stats().codec == "opus"


async def test_injection_from_a_third_source_is_refused(factory: RtpMediaFactory) -> None:
    left, right = await connected(factory)
    await left.play(LOUD)
    await next_loud(right)
    loud = b"\x2a\xaa" * 80

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as attacker:
        attacker.bind(("127.0.0.1", 0))
        for number in range(40):
            data = build_rtp(RtpPacket(8, number, number * 160, 666, loud))
            attacker.sendto(data, (right.local_host, right.local_port))
            event = await next_event(right, AudioReceived)
            assert isinstance(event, AudioReceived)
            assert np.abs(samples_of(event.pcm)).max() < 10_000

    sent, received = left.stats().sent, right.stats().received
    assert received <= sent + 5  # nothing of the attacker's was counted as the caller's


async def test_silent_line_times_out(start: Start) -> None:
    ours = await start(silence_timeout_s=0.2)
    lonely, peer = await ours.open(), await ours.open()
    lonely.apply(towards(peer))

    assert await next_event(lonely, MediaTimedOut) == MediaTimedOut()


async def test_hold_stops_the_bot_and_resume_goes_on(factory: RtpMediaFactory) -> None:
    left, right = await connected(factory)
    await next_event(left, AudioReceived)
    left.apply(towards(right, send=False, receive=False))
    before = await next_event(left, AudioReceived)
    sent = left.stats().sent
    for _ in range(10):
        await left.play(LOUD)
    for _ in range(10):
        await next_event(left, AudioReceived)

    assert left.stats().sent <= sent + 1
    assert left.played_ms == 0

    left.apply(towards(right))
    await left.drain()
    after = await next_event(left, AudioReceived)

    assert left.played_ms == 200
    assert isinstance(before, AudioReceived)
    assert isinstance(after, AudioReceived)
    assert after.media_time_ms > before.media_time_ms


async def test_close_ends_all_that_waits_and_is_idempotent(factory: RtpMediaFactory) -> None:
    left, right = await connected(factory)
    for _ in range(10):
        await left.play(LOUD)
    waiting = [
        asyncio.create_task(left.play(LOUD)),
        asyncio.create_task(left.send_digits("123")),
        asyncio.create_task(_receive_all(left)),
    ]
    draining = asyncio.create_task(left.drain())
    await next_event(right, AudioReceived)

    await asyncio.gather(left.close(), left.close())
    await left.close()

    ended = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(error, LegEndedError) for error in ended[1:])
    assert ended[0] is None or isinstance(ended[0], LegEndedError)
    await draining
    for attempt in (left.receive(), left.play(LOUD), left.send_digits("1")):
        with pytest.raises(LegEndedError):
            await attempt
    with pytest.raises(LegEndedError):
        left.apply(towards(right))


async def _receive_all(media: Media) -> None:
    while True:
        await media.receive()


async def test_frame_of_another_size_is_refused(factory: RtpMediaFactory) -> None:
    left, _ = await connected(factory)

    with pytest.raises(AudioFormatError, match="100 bytes are no frames of 960"):
        await left.play(bytes(100))
    assert len(LOUD) == OUTPUT_FRAME_BYTES


async def test_all_ports_come_back_after_200_sessions_and_then_rest(start: Start) -> None:
    ours = await start(port_min=21_000, port_max=21_399)
    ports: set[int] = set()
    for _ in range(4):
        opened = [await ours.open() for _ in range(50)]
        ports |= {media.local_port for media in opened}
        for media in opened:
            media.apply(towards(opened[0]))
        assert ours.ports_taken == 50
        await asyncio.gather(*(media.close() for media in opened))

    assert ours.ports_taken == 0
    assert ports == set(range(21_000, 21_400, 2))
    with pytest.raises(CapacityError, match="still rest"):
        await ours.open()


async def test_port_held_by_another_process_is_passed_over(start: Start) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((HOST, 21_201))  # the RTCP half of the first pair
        ours = await start(port_min=21_200, port_max=21_203)

        media = await ours.open()
        assert media.local_port == 21_202
        with pytest.raises(CapacityError):
            await ours.open()


async def test_range_held_by_others_is_a_matter_of_capacity(start: Start) -> None:
    ours = await start(port_min=21_300, port_max=21_499)
    with contextlib.ExitStack() as held:
        for port in range(21_300, 21_500, 2):
            held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)).bind((HOST, port))

        with pytest.raises(CapacityError, match="other processes hold 16 RTP ports"):
            await ours.open()


async def test_host_that_is_not_ours_is_an_error_of_the_system(start: Start) -> None:
    ours = await start(host="192.0.2.1")

    with pytest.raises(OSError, match="assign"):
        await ours.open()
    assert ours.ports_taken == 0


def test_host_has_to_be_an_address() -> None:
    with pytest.raises(ValueError, match=r"\[rtp\] host 'localhost' is no IP address"):
        RtpMediaFactory(settings(host="localhost"))


async def test_peers_are_told_the_public_address_and_never_all_of_them() -> None:
    told: list[str] = []
    for chosen in (settings(host="0.0.0.0"), settings(host="0.0.0.0", public_host="203.0.113.7"), settings(host="")):
        ours = RtpMediaFactory(chosen)
        await ours.start()
        media = await ours.open()
        told.append(media.local_host)
        await media.close()
        await ours.stop()

    assert told == [local_address("192.0.2.1"), "203.0.113.7", "127.0.0.1"]


async def test_factory_has_to_be_started() -> None:
    ours = RtpMediaFactory(settings())

    with pytest.raises(LocalProtocolError, match=r"await start\(\) first"):
        await ours.open()
    await ours.stop()


@pytest.mark.parametrize("ports", [10, 1])
async def test_opening_that_is_cancelled_leaves_no_port_behind(
    start: Start, ports: int, caplog: pytest.LogCaptureFixture
) -> None:
    ours = await start(port_min=21_500, port_max=21_500 + 2 * ports - 1)
    held = [await ours.open() for _ in range(ports - 1 or 1)]
    for _ in range(3):  # with one pair of ports in all these could not have succeeded
        opening = asyncio.create_task(ours.open())
        await asyncio.sleep(0)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
    await asyncio.gather(*(media.close() for media in held))

    assert ours.ports_taken == 0
    await ours.stop()
    gc.collect()  # a future whose error nobody took says so as it goes
    assert [record.getMessage() for record in caplog.records] == []


async def test_ipv6_works_where_there_is_a_loopback(start: Start) -> None:
    ours = await start(host="::1")
    try:
        left, right = await connected(ours)
    except OSError:
        pytest.skip("no IPv6 loopback here")
    for _ in range(10):
        await left.play(LOUD)

    heard = await next_loud(right)

    assert left.local_host == right.local_host == "::1"
    assert np.abs(samples_of(heard.pcm)).max() == pytest.approx(8_000, rel=0.1)
