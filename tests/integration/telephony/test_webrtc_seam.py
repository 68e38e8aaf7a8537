"""What the seam takes from aiortc without its promise is there; peers speak to each other, and to stock aiortc."""

from __future__ import annotations

import asyncio
import fractions
import socket
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import aiortc
import av
import numpy as np
import pytest

from telephony.errors import LocalProtocolError
from telephony.leg import CallLeg, DigitReceived, EndCause, LegEnded
from telephony.settings import WebRtcSettings
from telephony.webrtc import aiortc_seam
from telephony.webrtc.aiortc_seam import Peer
from telephony.webrtc.endpoint import WebRtcEndpoint
from telephony.webrtc.ice_socket import usable_candidates
from telephony.webrtc.peer_handlers import PeerHandlers
from telephony.webrtc.sdp import answer_to, new_offer
from tests.fakes.webrtc import Ears, call, pitch, play, tone
from tests.waiting import HUNG_S

HERE = ("127.0.0.1",)
JUNK = (b"", b"x", bytes(20), b"\x16" * 60, b"\x80" + bytes(40), b"\x80\xc8" + bytes(40), b"\xff" * 1400)
# STUN whose last attribute is cut short
CUT_SHORT = tuple(
    bytes.fromhex(text)
    for text in (
        "010400082112a442ccb2d32c011d393b5119fb010028000000030d21",
        "010100182112a4429259941dc7fbd56d10f0204b000c0000000215fc4060040b159d4084f68e0536520fcafb",
        "000400102112a4428664c94658ccaccc2a6b9cba002500039f924cdf802a6b8ffa4d8f03",
    )
)


class Side:
    """A peer with what it was told."""

    def __init__(self, *, offering: bool, hosts: tuple[str, ...] = HERE, allow_loopback: bool = True) -> None:
        self.heard: list[bytes | str] = []
        self.news = asyncio.Event()
        self.peer = Peer(
            PeerHandlers(
                rtp=lambda packet, _: self.hear(packet), rtcp=self.hear,
                channel_open=lambda: self.hear("open"), text=self.hear,
                hung_up=lambda: self.hear("hung up"), lost=lambda: self.hear("lost"),
            ),
            offering=offering, servers=(), hosts=hosts, allow_loopback=allow_loopback,
        )  # fmt: skip

    def hear(self, what: bytes | str) -> None:
        self.heard.append(what)
        self.news.set()

    async def until(self, what: bytes | str) -> None:
        async with asyncio.timeout(HUNG_S):
            while what not in self.heard:
                self.news.clear()
                await self.news.wait()


async def two_peers() -> tuple[Side, Side]:
    offerer, answerer = Side(offering=True), Side(offering=False)
    await asyncio.gather(offerer.peer.gather(), answerer.peer.gather())
    offer = new_offer(offerer.peer.parameters("actpass"), ssrc=1)
    answer = answer_to(offer, answerer.peer.parameters("active"), ssrc=2)
    await asyncio.gather(offerer.peer.connect(answer), answerer.peer.connect(offer))
    return offerer, answerer


def rtp(number: int) -> bytes:
    return bytes([0x80, 111, 0, number]) + (number * 960).to_bytes(4, "big") + (1).to_bytes(4, "big") + b"sound"


def test_aiortc_is_the_version_that_the_seam_was_written_for() -> None:
    """Another version may work: run this file with it, then change this line and the pin in pyproject.toml."""
    assert version("aiortc") == "1.16.0"


async def test_all_private_names_that_the_seam_uses_exist() -> None:
    peer = Side(offering=False).peer  # looks for them when it is made
    assert {title for title, _ in aiortc_seam._PRIVATE} == {
        "ICE gatherer", "ICE connection", "DTLS transport", "SCTP transport",
    }  # fmt: skip
    await peer.close()


async def test_a_name_that_is_missing_is_told_loudly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aiortc_seam, "_PRIVATE", (("ICE gatherer", ("_gone",)), *aiortc_seam._PRIVATE[1:]))
    with pytest.raises(LocalProtocolError, match="ICE gatherer has no _gone"):
        Side(offering=False)


async def test_rtp_goes_past_aiortcs_receiver_and_is_what_was_sent() -> None:
    offerer, answerer = await two_peers()
    sent = [rtp(number) for number in range(20)]
    for packet in sent:
        assert offerer.peer.send_rtp(packet)
    await answerer.until(sent[-1])
    assert [what for what in answerer.heard if isinstance(what, bytes)] == sent
    report = bytes([0x80, 201, 0, 1, 0, 0, 0, 2])
    assert answerer.peer.send_rtcp(report)
    await offerer.until(report)
    await asyncio.gather(offerer.peer.close(), answerer.peer.close())


async def test_texts_and_goodbyes_reach_the_other_side_once() -> None:
    offerer, answerer = await two_peers()
    await asyncio.gather(offerer.until("open"), answerer.until("open"))
    assert offerer.peer.send_text("salam")
    await answerer.until("salam")
    await answerer.peer.close()
    await answerer.peer.close()
    await offerer.until("hung up")
    assert not offerer.peer.send_text("too late")
    assert not answerer.peer.send_rtp(rtp(1))
    await offerer.peer.close()
    assert offerer.heard == ["open", "hung up"]
    assert answerer.heard == ["open", "salam"]


async def test_before_a_connection_nothing_is_sent() -> None:
    side = Side(offering=True)
    await side.peer.gather()
    assert not side.peer.send_rtp(rtp(1))
    assert not side.peer.send_rtcp(rtp(1))
    assert not side.peer.send_text("x")
    await side.peer.close()


async def test_a_text_is_refused_while_too_much_waits() -> None:
    offerer, answerer = await two_peers()
    await offerer.until("open")
    sent = [offerer.peer.send_text("x" * 16_000) for _ in range(30)]
    assert sent[0]
    assert not sent[-1]
    await asyncio.gather(offerer.peer.close(), answerer.peer.close())


async def test_a_text_longer_than_the_far_side_takes_is_refused() -> None:
    offerer, answerer = await two_peers()
    await offerer.until("open")
    assert not offerer.peer.send_text("x" * 70_000)
    assert offerer.peer.send_text("short")
    await answerer.until("short")
    await asyncio.gather(offerer.peer.close(), answerer.peer.close())


async def test_a_channel_of_another_name_is_closed() -> None:
    offerer, answerer = await two_peers()
    channel = aiortc.RTCDataChannel(offerer.peer._sctp, aiortc.RTCDataChannelParameters(label="other"))
    closed = asyncio.Event()
    channel.on("close", closed.set)
    await asyncio.wait_for(closed.wait(), HUNG_S)
    assert channel.readyState == "closed"
    await asyncio.gather(offerer.peer.close(), answerer.peer.close())


@pytest.mark.parametrize("allow_loopback", [True, False])
async def test_loopback_is_offered_where_it_is_allowed(*, allow_loopback: bool) -> None:
    side = Side(offering=True, hosts=(), allow_loopback=allow_loopback)
    try:
        await side.peer.gather()
    except LocalProtocolError:
        candidates: tuple[str, ...] = ()  # a machine with nothing but loopback
    else:
        candidates = side.peer.parameters("actpass").candidates
    await side.peer.close()
    assert any(" 127.0.0.1 " in candidate for candidate in candidates) is allow_loopback


async def test_only_the_hosts_that_are_named_are_offered() -> None:
    side = Side(offering=True, hosts=("127.0.0.2",))
    await side.peer.gather()
    (candidate,) = side.peer.parameters("actpass").candidates
    assert " 127.0.0.2 " in candidate
    await side.peer.close()


async def test_candidates_that_are_of_no_use_are_left_out() -> None:
    good = "1 1 udp 2130706431 127.0.0.1 5000 typ host"
    lines = [
        "x",
        "1 1 udp 2130706431 3f4a.local 5000 typ host",
        "1 1 tcp 2130706431 127.0.0.1 9 typ host tcptype active",
        "1 2 udp 2130706431 127.0.0.1 5001 typ host",
        "1 1 udp 2130706431 127.0.0.1 99999 typ host",
        good,
    ]
    assert [candidate.to_sdp() for candidate in usable_candidates(lines)] == [good]


async def test_junk_from_a_stranger_is_passed_over() -> None:
    made = await call()
    pair = made.bot._session._peer._connection._nominated[1]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for junk in (*JUNK, *CUT_SHORT) * 50:
            stranger.sendto(junk, pair.local_addr)
    heard = asyncio.create_task(made.at_bot.hear_loud(20))
    await play(made.caller, tone(440, 40))
    assert pitch((await heard)[5:]) == pytest.approx(440, abs=3)
    await made.close()


async def test_stun_that_is_cut_short_is_passed_over_before_the_connection_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    side = Side(offering=False)
    await side.peer.gather()
    (protocol,) = side.peer._connection._protocols
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for junk in CUT_SHORT * 5:
            stranger.sendto(junk, protocol.transport.get_extra_info("sockname"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not caplog.records
    assert protocol.transport.read(now=1.0) == []  # the loop has read them all
    await side.peer.close()


async def test_a_flood_before_the_connection_is_bounded() -> None:
    side = Side(offering=False)
    await side.peer.gather()
    for _ in range(2000):
        side.peer._connection.data_received(b"\x16" * 100, 1)
    assert side.peer._connection._queue.qsize() <= 256
    await side.peer.close()


async def test_a_connection_that_is_lost_is_told() -> None:
    offerer, answerer = await two_peers()
    await offerer.peer._connection.close()  # as aioice does when consent expires (RFC 7675)
    await offerer.until("lost")
    assert "hung up" not in offerer.heard
    await asyncio.gather(offerer.peer.close(), answerer.peer.close())


# --- stock aiortc calls ---------------------------------------------------------------------------------------------


class Tone(aiortc.MediaStreamTrack):
    """660 Hz for as long as it is asked."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._count = 0
        self._began = asyncio.get_running_loop().time()

    async def recv(self) -> Any:
        await asyncio.sleep(self._began + self._count * 0.02 - asyncio.get_running_loop().time())
        frame = av.AudioFrame(format="s16", layout="mono", samples=960)
        at = np.arange(self._count * 960, (self._count + 1) * 960) / 48_000
        frame.planes[0].update((8000 * np.sin(2 * np.pi * 660 * at)).astype("<i2").tobytes())
        frame.pts, frame.sample_rate, frame.time_base = self._count * 960, 48_000, fractions.Fraction(1, 48_000)
        self._count += 1
        return frame


async def test_stock_aiortc_can_call_talk_listen_press_keys_and_hang_up() -> None:
    legs: list[CallLeg] = []
    answering: list[asyncio.Task[None]] = []

    def on_call(leg: CallLeg) -> None:
        legs.append(leg)
        answering.append(asyncio.create_task(leg.answer()))  # type: ignore[arg-type] - a coroutine, by the protocol

    endpoint = WebRtcEndpoint(WebRtcSettings(), on_call, max_legs=1)
    connection = aiortc.RTCPeerConnection(
        aiortc.RTCConfiguration(iceServers=[], bundlePolicy=aiortc.RTCBundlePolicy.MAX_BUNDLE)
    )
    connection.addTrack(Tone())
    channel = connection.createDataChannel("zeng")
    told: asyncio.Queue[str] = asyncio.Queue()
    tracks: asyncio.Queue[Any] = asyncio.Queue()
    channel.on("message", told.put_nowait)
    channel.on("open", lambda: channel.send('{"type":"digit","digit":"3"}'))
    connection.on("track", tracks.put_nowait)
    await connection.setLocalDescription()
    answer = await endpoint.offer(connection.localDescription.sdp)
    await connection.setRemoteDescription(aiortc.RTCSessionDescription(answer.sdp, "answer"))
    await asyncio.gather(*answering)
    ears = Ears(legs[0])
    playing = asyncio.create_task(play(legs[0], tone(440, 100)))
    legs[0].tell("salam")
    heard = await ears.hear_loud(50)
    assert pitch(heard[10:]) == pytest.approx(660, abs=2)
    await ears.until(lambda: ears.others)
    assert ears.others == [DigitReceived("3", 100)]
    assert await asyncio.wait_for(told.get(), HUNG_S) == "salam"
    track = await tracks.get()
    frames = [await track.recv() for _ in range(50)]
    mono = [frame.to_ndarray()[0][::6].astype("<i2").tobytes() for frame in frames[25:]]  # 48 kHz stereo to 16 kHz
    assert pitch(mono) == pytest.approx(440, abs=3)
    await connection.close()
    assert await ears.end() == LegEnded(EndCause.CALLER_HUNG_UP)
    await playing
    await endpoint.close()


async def test_candidates_may_come_after_the_offer() -> None:
    offerer, answerer = Side(offering=True), Side(offering=False)
    await asyncio.gather(offerer.peer.gather(), answerer.peer.gather())
    offer = new_offer(offerer.peer.parameters("actpass"), ssrc=1)
    answer = answer_to(offer, answerer.peer.parameters("active"), ssrc=2)
    bare = [replace(each, transport=replace(each.transport, candidates=())) for each in (offer, answer)]
    connecting = asyncio.gather(offerer.peer.connect(bare[1]), answerer.peer.connect(bare[0]))
    await asyncio.sleep(0.1)
    assert not connecting.done()

    await offerer.peer.add_candidates(["nonsense", *answer.transport.candidates])
    await asyncio.wait_for(connecting, HUNG_S)

    assert offerer.peer.send_rtp(rtp(1))
    await answerer.until(rtp(1))
    await asyncio.gather(offerer.peer.close(), answerer.peer.close())


async def restarted(offerer: Side, answerer: Side) -> None:
    """Find a new way on both sides."""
    await asyncio.gather(offerer.peer.gather_again(), answerer.peer.gather_again())
    offer, answer = offerer.peer.parameters("actpass"), answerer.peer.parameters("active")
    await asyncio.gather(offerer.peer.reconnect(answer), answerer.peer.reconnect(offer))


async def test_restarts_move_the_call_and_it_ends_as_before() -> None:
    offerer, answerer = await two_peers()
    for number in (1, 2):
        before = answerer.peer._connection._nominated[1].remote_addr
        await restarted(offerer, answerer)
        assert answerer.peer._connection._nominated[1].remote_addr != before
        offerer.peer.send_rtp(rtp(number))
        await answerer.until(rtp(number))
        offerer.peer.send_text(f"text {number}")  # SCTP over the same DTLS
        await answerer.until(f"text {number}")

    await offerer.peer.close()
    await answerer.until("hung up")
    await answerer.peer.close()
    assert "lost" not in answerer.heard


async def test_a_restart_that_is_overtaken_or_never_answered_leaves_the_call_alone() -> None:
    offerer, answerer = await two_peers()
    await answerer.peer.gather_again()
    waiting = asyncio.create_task(answerer.peer.reconnect(offerer.peer.parameters("actpass")))
    await asyncio.sleep(0.1)

    await answerer.peer.gather_again()
    with pytest.raises(ConnectionError):
        await asyncio.wait_for(waiting, HUNG_S)

    offerer.peer.send_rtp(rtp(3))
    await answerer.until(rtp(3))
    await asyncio.gather(offerer.peer.close(), answerer.peer.close())


@pytest.mark.parametrize("by", ["end", "restart"])
async def test_a_restart_given_up_while_its_ports_are_bound_leaves_none_of_them(by: str) -> None:
    offerer, answerer = await two_peers()
    before = open_sockets()
    again = asyncio.create_task(answerer.peer.gather_again())
    await asyncio.sleep(0)  # the ports are asked for
    if by == "restart":
        await answerer.peer.gather_again()
    await asyncio.gather(offerer.peer.close(), answerer.peer.close())
    with pytest.raises(ConnectionError):
        await again

    async with asyncio.timeout(HUNG_S):
        while open_sockets() >= before:
            await asyncio.sleep(0.02)


def open_sockets() -> int:
    """Count this process's sockets."""
    links = [path.readlink() for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    return sum(str(link).startswith("socket:") for link in links)
