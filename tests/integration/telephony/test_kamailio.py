"""Kamailio with rtpengine before bots: the configuration of docker/kamailio, run with Debian's packages."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import socket
import ssl
import struct
import subprocess
import time
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import aioice
import aiortc
import av
import numpy as np
import pytest
import websockets

from telephony.errors import LegEndedError
from telephony.leg import OUTPUT_RATE_HZ, AudioReceived, CallLeg, EndCause, LegEnded
from telephony.rtp.factory import RtpMediaFactory
from telephony.settings import RtpSettings, SipSettings
from telephony.sip.auth import Asked, Credentials, answer_challenge
from telephony.sip.endpoint import serve_sip
from telephony.sip.message import addresses, parse_message
from tests.e2e.baresip import baresip
from tests.e2e.sound import read_wav
from tests.fakes.certificates import issue
from tests.integration.telephony.kamailio_edge import DOCKER, kamailio_edge
from tests.integration.telephony.sip_house import call, free_port
from tests.waiting import HUNG_S

_TONE_HZ = 600


@dataclass
class ToneBot:
    """Answers, plays a tone, and keeps what it hears."""

    heard: bytearray = field(default_factory=bytearray)
    legs: list[CallLeg] = field(default_factory=list)
    ends: list[LegEnded] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def calls(self) -> int:
        return len(self.legs)

    def take(self, leg: CallLeg) -> None:
        self.legs.append(leg)
        for work in (self._listen(leg), self._speak(leg)):
            task = asyncio.get_running_loop().create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _listen(self, leg: CallLeg) -> None:
        while not isinstance(event := await leg.receive(), LegEnded):
            if isinstance(event, AudioReceived):
                self.heard += event.pcm
        self.ends.append(event)

    async def _speak(self, leg: CallLeg) -> None:
        at = 0
        with contextlib.suppress(LegEndedError):
            await leg.answer()
            while True:
                samples = (int(8000 * math.sin(2 * math.pi * _TONE_HZ * (at + n) / OUTPUT_RATE_HZ)) for n in range(480))
                await leg.play(struct.pack("<480h", *samples))
                at += 480


@asynccontextmanager
async def tone_bot(port: int = 0, *, rtp: int = 43_000) -> AsyncIterator[tuple[ToneBot, int]]:
    bot = ToneBot()
    media = RtpMediaFactory(RtpSettings(host="127.0.0.1", port_min=rtp, port_max=rtp + 99))
    await media.start()
    endpoint, sockets = await serve_sip(SipSettings(port=port), media=media, on_call=bot.take)
    try:
        yield bot, sockets.address[1]
    finally:
        await endpoint.close(within_s=0.5)
        await sockets.close()
        await media.stop()


def options(transport: str, port: int) -> str:
    return (
        f"OPTIONS sip:127.0.0.1:{port} SIP/2.0\r\nVia: SIP/2.0/{transport} 127.0.0.1:9;branch=z9hG4bKa;rport\r\n"
        "From: <sip:a@127.0.0.1>;tag=a\r\nTo: <sip:127.0.0.1>\r\nCall-ID: a\r\nCSeq: 1 OPTIONS\r\n"
        "Max-Forwards: 5\r\nContent-Length: 0\r\n\r\n"
    )


@pytest.mark.parametrize("transport", ["udp", "tcp"])  # over TCP Record-Route is there twice, once for each side
async def test_a_phone_registers_and_calls_the_bot_through_the_edge(tmp_path: Path, transport: str) -> None:
    async with tone_bot() as (bot, port), kamailio_edge(tmp_path, [port]) as edge:
        await edge.until_bots("AP")

        assert await call(edge.sip, "uac_registered", folder=tmp_path, transport=transport, calls=5, rate=5) == ""

        assert [end.cause for end in bot.ends] == [EndCause.CALLER_HUNG_UP] * 5


async def test_a_phone_with_srtp_is_heard_and_hears_while_the_bot_speaks_plain_rtp(tmp_path: Path) -> None:
    wav = tmp_path / "voice.wav"
    with wave.open(str(wav), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        tone = 12_000 * np.sin(2 * np.pi * 440 * np.arange(8000 * 5) / 8000)
        file.writeframes(tone.astype("<i2").tobytes())
    async with tone_bot() as (bot, port), kamailio_edge(tmp_path, [port]) as edge:
        await edge.until_bots("AP")
        account = f"<sip:1001@127.0.0.1:{edge.sip}>;auth_user=1001;auth_pass=gizli;regint=60;mediaenc=srtp-mand"
        phone_folder = tmp_path / "phone"
        phone_folder.mkdir()
        async with baresip(phone_folder, wav=wav, account=account) as phone:
            async with asyncio.timeout(HUNG_S):
                while "200 OK" not in (phone_folder / "baresip.log").read_text():  # it may register before we listen
                    await asyncio.sleep(0.05)
            await phone.command("dial", f"sip:bot@127.0.0.1:{edge.sip}")
            await phone.until("CALL_ESTABLISHED")
            async with asyncio.timeout(HUNG_S):
                while len(bot.heard) < 16_000 * 2 * 2:  # two seconds
                    await asyncio.sleep(0.1)
            await phone.command("hangup")
            await phone.until("CALL_CLOSED")
        samples, rate = read_wav(phone.heard())

    assert pitch(samples, rate) == _TONE_HZ
    assert pitch(np.frombuffer(bytes(bot.heard), dtype="<i2").astype(np.float32), 16_000) == 440


def pitch(samples: np.ndarray, rate: int) -> int:
    """Loudest frequency of the last second, to 10 Hz."""
    spectrum = np.abs(np.fft.rfft(samples[-rate:] * np.hanning(len(samples[-rate:]))))
    return round(float(np.argmax(spectrum)) * rate / len(samples[-rate:]) / 10) * 10


async def test_a_bot_that_is_gone_is_passed_over_and_comes_back(tmp_path: Path) -> None:
    gone = free_port()
    async with tone_bot() as (bot, port), kamailio_edge(tmp_path, [gone, port]) as edge:
        await edge.until_bots("IP", "AP")
        assert await call(edge.sip, "uac_registered", folder=tmp_path, calls=4, rate=10) == ""
        assert bot.calls == 4

        async with tone_bot(gone, rtp=43_100) as (other, _):
            await edge.until_bots("AP", "AP")
            assert await call(edge.sip, "uac_registered", folder=tmp_path, calls=4, rate=10) == ""
            assert (bot.calls, other.calls) == (6, 2)


async def test_a_source_that_floods_is_banned_and_not_answered(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with tone_bot() as (_, port), kamailio_edge(tmp_path, [port], density=20) as edge:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flooder:
            flooder.setblocking(False)
            flooder.bind(("127.0.0.9", 0))
            answers = 0
            for number in range(200):
                data = options("UDP", edge.sip).replace("z9hG4bKa", f"z9hG4bK{number}").encode()
                await loop.sock_sendto(flooder, data, ("127.0.0.1", edge.sip))
                await asyncio.sleep(0.002)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    while await loop.sock_recv(flooder, 4096):
                        answers += 1
        assert 0 < answers < 100
        assert "banned for 300 s: too many requests from 127.0.0.9" in edge.log


async def test_a_scanner_is_not_answered_and_an_unknown_user_is_challenged_as_a_known_one(tmp_path: Path) -> None:
    async with tone_bot() as (_, port), kamailio_edge(tmp_path, [port]) as edge:

        async def answer_to(user: str, agent: str) -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", edge.sip)
            register = options("TCP", edge.sip).replace("OPTIONS", "REGISTER").replace("sip:a@", f"sip:{user}@")
            register = register.replace("To: <sip:127", f"To: <sip:{user}@127")
            writer.write(register.replace("Max-Forwards", f"User-Agent: {agent}\r\nMax-Forwards").encode())
            try:
                async with asyncio.timeout(1.0):
                    return await reader.readuntil(b"\r\n")
            except TimeoutError:
                return b""
            finally:
                writer.close()

        assert await answer_to("1001", "sipvicious") == b""
        assert await answer_to("1001", "phone") == b"SIP/2.0 401 Unauthorized\r\n"
        assert await answer_to("nobody", "phone") == b"SIP/2.0 401 Unauthorized\r\n"


async def test_tls_and_websocket_are_heard(tmp_path: Path) -> None:
    certificates = issue(tmp_path / "tls")
    context = ssl.create_default_context(cafile=str(certificates.authority))
    async with tone_bot() as (_, port), kamailio_edge(tmp_path, [port], tls=certificates) as edge:
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.tls, ssl=context)
        writer.write(options("TLS", edge.tls).encode())
        assert await reader.readuntil(b"\r\n") == b"SIP/2.0 200 OK\r\n"
        writer.close()
        for url in (f"ws://127.0.0.1:{edge.ws}", f"wss://127.0.0.1:{edge.wss}"):
            secure = context if url.startswith("wss") else None
            async with websockets.connect(url, subprotocols=[websockets.Subprotocol("sip")], ssl=secure) as page:
                await page.send(options("WSS" if secure else "WS", edge.sip))
                assert (await page.recv()).startswith("SIP/2.0 200 OK")


async def test_a_browsers_sip_over_websocket_reaches_the_bot_with_its_media_decrypted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])
    page = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
    page.addTrack(Tone())
    tracks: asyncio.Queue[aiortc.MediaStreamTrack] = asyncio.Queue()
    page.on("track", tracks.put_nowait)
    await page.setLocalDescription()
    async with (
        tone_bot() as (bot, port),
        kamailio_edge(tmp_path, [port]) as edge,
        websockets.connect(f"ws://127.0.0.1:{edge.ws}", subprotocols=[websockets.Subprotocol("sip")]) as socket_,
    ):
        await edge.until_bots("AP")
        phone = WebSocketPhone(socket_, f"127.0.0.1:{edge.sip}")
        answer = await phone.call(page.localDescription.sdp)
        assert "UDP/TLS/RTP/SAVPF" in answer
        await page.setRemoteDescription(aiortc.RTCSessionDescription(answer, "answer"))
        track = await tracks.get()
        async with asyncio.timeout(HUNG_S):
            frames = [await track.recv() for _ in range(100)]
            while len(bot.heard) < 16_000 * 2 * 2:
                await asyncio.sleep(0.1)
        # And from the bot's side: its BYE finds the way back through the WebSocket.
        await bot.legs[0].hang_up()
        assert (await phone.receive()).startswith("BYE sip:1001@page.invalid")
        await page.close()

    heard = np.concatenate([frame.to_ndarray()[0] for frame in frames[40:]])  # PCMU: 8 kHz mono, or 48 kHz stereo
    rate = frames[-1].sample_rate
    assert pitch(heard.astype(np.float32)[:: frames[-1].layout.nb_channels], rate) == _TONE_HZ
    assert pitch(np.frombuffer(bytes(bot.heard), dtype="<i2").astype(np.float32), 16_000) == 440


class Tone(aiortc.MediaStreamTrack):
    """440 Hz at 8 kHz, in real time."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._sent = 0
        self._began = time.monotonic()

    async def recv(self) -> av.AudioFrame:
        await asyncio.sleep(max(0.0, self._began + self._sent / 8000 - time.monotonic()))
        samples = 12_000 * np.sin(2 * np.pi * 440 * np.arange(self._sent, self._sent + 160) / 8000)
        frame = av.AudioFrame.from_ndarray(samples.astype(np.int16)[None, :], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 8000, self._sent, Fraction(1, 8000)
        self._sent += 160
        return frame


class WebSocketPhone:
    """One call of user 1001 by SIP over a WebSocket (RFC 7118), as a page makes it."""

    def __init__(self, socket_: websockets.ClientConnection, edge: str) -> None:
        self._socket = socket_
        self._edge = edge
        self._cseq = 0

    async def call(self, sdp: str) -> str:
        """INVITE, the answer to its challenge, and ACK; returns the SDP of the 200."""
        await self._send("INVITE", f"sip:bot@{self._edge}", body=sdp)
        challenge = await self._final()
        await self._send("ACK", f"sip:bot@{self._edge}", to=challenge, cseq=self._cseq)
        response = parse_message(challenge.encode())
        value = answer_challenge(
            response.headers.all("Proxy-Authenticate"),
            Credentials("1001", "gizli"),
            Asked("INVITE", f"sip:bot@{self._edge}"),
            cnonce="c",
        )
        await self._send("INVITE", f"sip:bot@{self._edge}", body=sdp, extra=f"Proxy-Authorization: {value}\r\n")
        final = await self._final()
        assert final.startswith("SIP/2.0 200"), final
        ok = parse_message(final.encode())
        routes = "".join(f"Route: {route}\r\n" for route in reversed(ok.headers.listed("Record-Route")))
        target = str(addresses(ok, "Contact")[0].uri)
        await self._send("ACK", target, to=final, cseq=self._cseq, extra=routes)
        return ok.body.decode()

    async def receive(self) -> str:
        async with asyncio.timeout(HUNG_S):
            message = await self._socket.recv()
        return message if isinstance(message, str) else message.decode()

    async def _final(self) -> str:
        while (message := await self.receive()).startswith("SIP/2.0 1"):
            pass
        return message

    async def _send(
        self, method: str, uri: str, *, body: str = "", to: str = "", cseq: int = 0, extra: str = ""
    ) -> None:
        self._cseq = cseq or self._cseq + 1
        tag = f";tag={parse_message(to.encode()).to.tag}" if to else ""
        head = (
            f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/WS page.invalid;branch=z9hG4bK{method}{self._cseq}{len(tag)}\r\n"
            f"From: <sip:1001@127.0.0.1>;tag=page\r\nTo: <sip:bot@{self._edge}>{tag}\r\nCall-ID: page-call\r\n"
            f"CSeq: {self._cseq} {method}\r\nContact: <sip:1001@page.invalid;transport=ws>\r\n"
            f"Max-Forwards: 70\r\n{extra}"
        )
        kind = "Content-Type: application/sdp\r\n" if body else ""
        await self._socket.send(f"{head}{kind}Content-Length: {len(body.encode())}\r\n\r\n{body}")


async def test_when_no_bot_is_left_a_caller_is_told_so_at_once(tmp_path: Path) -> None:
    media = RtpMediaFactory(RtpSettings(host="127.0.0.1", port_min=43_200, port_max=43_299))
    await media.start()
    phone, sockets = await serve_sip(
        SipSettings(port=0, outbound_allowed=("*@127.0.0.1",)), media=media, on_call=lambda leg: None
    )
    async with kamailio_edge(tmp_path, [free_port()]) as edge:
        await edge.until_bots("IP")
        leg = await phone.place_call(
            f"sip:bot@127.0.0.1:{edge.sip}", caller="1001", credentials=Credentials("1001", "gizli")
        )
        with pytest.raises(LegEndedError):
            await leg.answer()
        ended = await leg.receive()
    await phone.close()
    await sockets.close()
    await media.stop()

    assert isinstance(ended, LegEnded)
    assert "503" in ended.detail


async def test_the_health_checks_tell_a_live_edge_from_a_dead_one(tmp_path: Path) -> None:
    async def healthy(what: str, port: int) -> bool:
        check = await asyncio.create_subprocess_exec(
            "bash", str(DOCKER.parent / "edge_health.sh"), what, str(port), stderr=asyncio.subprocess.DEVNULL
        )
        return await check.wait() == 0

    async with kamailio_edge(tmp_path, [free_port()]) as edge:
        assert [await healthy("kamailio", edge.sip), await healthy("rtpengine", edge.rtpengine)] == [True, True]
    assert [await healthy("kamailio", edge.sip), await healthy("rtpengine", edge.rtpengine)] == [False, False]


@pytest.mark.parametrize(("environment", "heard_at"), [({}, "127.0.0.1"), ({"ZENG_EDGE_IP": "127.0.0.5"}, "127.0.0.5")])
def test_the_configuration_that_ships_is_heard_at_the_address_of_the_environment(
    environment: dict[str, str], heard_at: str
) -> None:
    command = ["kamailio", "-c", "-f", str(DOCKER / "kamailio.cfg")]
    environment = environment | {"PATH": os.environ["PATH"]}
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert said.returncode == 0, said.stderr
    assert f"udp: {heard_at}" in said.stdout + said.stderr


def test_the_file_of_users_that_ships_names_nobody() -> None:
    lines = (DOCKER / "users.cfg").read_text("utf-8").splitlines()

    assert [line.strip() for line in lines if "$sht(" in line and not line.strip().startswith("#")] == [
        "$sht(users=>nobody) = $null;"
    ]
