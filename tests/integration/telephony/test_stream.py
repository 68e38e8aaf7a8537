"""Calls over AudioSocket and media WebSockets, from peers that follow the documented protocols."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import socket
import struct
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest
import websockets
from pydantic import SecretStr, ValidationError

from telephony.audio.g711 import MU_LAW
from telephony.errors import AudioFormatError, LegEndedError, LocalProtocolError
from telephony.leg import (
    INPUT_FRAME_BYTES,
    AudioReceived,
    CallLeg,
    DigitReceived,
    EndCause,
    FramesDropped,
    LegEnded,
    LegEvent,
    RejectReason,
)
from telephony.settings import StreamSettings
from telephony.stream import endpoint
from telephony.stream.endpoint import StreamEndpoint
from tests.integration.telephony.sip_house import free_port
from tests.waiting import HUNG_S

_ENOUGH_BYTES = 12_000_000
"""More than the kernel keeps between two ends of which one does not read."""

TOKEN = "0123456789abcdef"
_SAID = (9000 * np.sin(2 * np.pi * 600 * np.arange(480) / 24_000)).astype("<i2").tobytes()
_TONE = (9000 * np.sin(2 * np.pi * 450 * np.arange(8000) / 8000)).astype("<i2").tobytes()


@dataclass
class Bot:
    """Answers, says a tone for ever, keeps what it is told."""

    answers: bool = True
    legs: list[CallLeg] = field(default_factory=list)
    events: list[LegEvent] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def take(self, leg: CallLeg) -> None:
        self.legs.append(leg)
        if self.answers:
            self.tasks += [asyncio.create_task(self._listen(leg)), asyncio.create_task(self._speak(leg))]

    async def _listen(self, leg: CallLeg) -> None:
        with contextlib.suppress(LegEndedError):
            await leg.answer()
        while not self.events or not isinstance(self.events[-1], LegEnded):
            self.events.append(await leg.receive())

    async def _speak(self, leg: CallLeg) -> None:
        with contextlib.suppress(LegEndedError):
            while True:
                await leg.play(_SAID)

    async def ended(self) -> LegEnded:
        async with asyncio.timeout(HUNG_S):
            while not self.tasks:
                await asyncio.sleep(0.01)
            await asyncio.gather(*self.tasks)
        assert isinstance(self.events[-1], LegEnded)
        return self.events[-1]

    @property
    def keys(self) -> list[str]:
        return [event.digit for event in self.events if isinstance(event, DigitReceived)]

    def pitch(self) -> int:
        heard = b"".join(event.pcm for event in self.events if isinstance(event, AudioReceived))
        return pitch(np.frombuffer(heard, "<i2"), 16_000)


def pitch(samples: np.ndarray, rate: int) -> int:
    """Loudest frequency, to 10 Hz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return round(float(np.argmax(spectrum)) * rate / len(samples) / 10) * 10


@asynccontextmanager
async def serving(bot: Bot, **settings: object) -> AsyncIterator[StreamSettings]:
    chosen = StreamSettings(
        audiosocket_port=free_port(),
        websocket_port=free_port(),
        websocket_token=SecretStr(TOKEN),
        **settings,  # type: ignore[arg-type] - passed on as they are
    )
    ours = StreamEndpoint(chosen, on_call=bot.take)
    await ours.open()
    try:
        yield chosen
    finally:
        await ours.close()


# AudioSocket


def frame(kind: int, payload: bytes = b"") -> bytes:
    return struct.pack("!BH", kind, len(payload)) + payload


@asynccontextmanager
async def audiosocket(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter, str]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    call = uuid.uuid4()
    writer.write(frame(0x01, call.bytes))
    yield reader, writer, str(call)
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def speak(writer: asyncio.StreamWriter) -> None:
    """Say the tone for a second, 20 ms at a time, as Asterisk does."""
    for at in range(0, len(_TONE), 320):
        writer.write(frame(0x10, _TONE[at : at + 320]))
        await asyncio.sleep(0.02)


async def heard(reader: asyncio.StreamReader, frames: int) -> bytes:
    pcm = b""
    async with asyncio.timeout(HUNG_S):
        for _ in range(frames):
            kind, length = struct.unpack("!BH", await reader.readexactly(3))
            assert (kind, length) == (0x10, 320)
            pcm += await reader.readexactly(length)
    return pcm


async def test_asterisk_calls_over_audiosocket_and_both_sides_are_heard() -> None:
    bot = Bot()
    async with serving(bot) as settings, audiosocket(settings.audiosocket_port) as (reader, writer, call):
        began = asyncio.get_running_loop().time()
        speaking = asyncio.create_task(speak(writer))
        pcm = await heard(reader, 50)
        took = asyncio.get_running_loop().time() - began
        writer.write(frame(0x03, b"7"))
        await speaking
        writer.write(frame(0x00))
        ended = await bot.ended()

    assert ended.cause is EndCause.CALLER_HUNG_UP
    info = bot.legs[0].info
    assert (info.transport, info.variables["peer_call_id"]) == ("audiosocket", call)
    assert bot.keys == ["7"]
    assert bot.pitch() == 450
    assert pitch(np.frombuffer(pcm[3200:], "<i2"), 8000) == 600
    assert took > 0.7  # the sound leaves at its own pace, not as fast as the connection takes it
    assert all(len(e.pcm) == INPUT_FRAME_BYTES for e in bot.events if isinstance(e, AudioReceived))
    assert bot.legs[0].stats().received >= 40


async def test_the_bot_hangs_up_and_asterisk_is_told() -> None:
    bot = Bot()
    async with serving(bot) as settings, audiosocket(settings.audiosocket_port) as (reader, _, _):
        await heard(reader, 2)
        await bot.legs[0].hang_up()
        ended = await bot.ended()
        rest = await reader.read()

    assert ended.cause is EndCause.BOT_HUNG_UP
    assert rest.endswith(b"\0\0\0")
    with pytest.raises(LegEndedError):
        await bot.legs[0].receive()


async def test_a_call_that_is_not_taken_is_closed() -> None:
    bot = Bot(answers=False)
    async with serving(bot) as settings, audiosocket(settings.audiosocket_port) as (reader, _, _):
        async with asyncio.timeout(HUNG_S):
            while not bot.legs:
                await asyncio.sleep(0.01)
        await bot.legs[0].reject(RejectReason.AT_CAPACITY, retry_after_s=5)
        async with asyncio.timeout(HUNG_S):
            assert await reader.read() == b"\0\0\0"

    ended = await bot.legs[0].receive()
    assert isinstance(ended, LegEnded)
    assert (ended.cause, ended.detail) == (EndCause.REJECTED, "at_capacity")


async def test_a_flush_drops_what_waits_and_played_time_is_exact() -> None:
    bot = Bot(answers=False)
    async with serving(bot) as settings, audiosocket(settings.audiosocket_port) as (reader, _, _):
        async with asyncio.timeout(HUNG_S):
            while not bot.legs:
                await asyncio.sleep(0.01)
        leg = bot.legs[0]
        await leg.answer()
        with pytest.raises(AudioFormatError):
            await leg.play(b"short")
        for _ in range(10):
            await leg.play(_SAID)
        dropped_ms = leg.flush()
        assert dropped_ms + leg.played_ms == 200
        await leg.play(_SAID)
        await leg.drain()
        assert leg.played_ms == 220 - dropped_ms
        with pytest.raises(LocalProtocolError, match="press keys"):
            await leg.send_digits("1")
        with pytest.raises(LocalProtocolError, match="answered already"):
            await leg.reject(RejectReason.BUSY)
        await heard(reader, 1)
        await leg.hang_up()
        await leg.hang_up()


async def test_a_silent_stream_ends_the_call() -> None:
    bot = Bot()
    async with serving(bot, silence_timeout_s=0.2) as settings, audiosocket(settings.audiosocket_port):
        assert (await bot.ended()).cause is EndCause.MEDIA_TIMEOUT
    # Time goes on while nothing comes: the bot hears silence.
    assert sum(isinstance(event, AudioReceived) for event in bot.events) >= 5


async def test_a_bot_that_takes_nothing_is_told_what_it_missed_and_holds_a_second() -> None:
    bot = Bot(answers=False)
    async with serving(bot) as settings, audiosocket(settings.audiosocket_port) as (_, writer, _):
        async with asyncio.timeout(HUNG_S):
            while not bot.legs:
                await asyncio.sleep(0.01)
        leg = bot.legs[0]
        await leg.answer()
        writer.write(frame(0x10, _TONE) * 20)  # twenty seconds at once; four are kept
        async with asyncio.timeout(HUNG_S):
            while leg.stats().received <= 50:  # frames of a second, and one more
                await asyncio.sleep(0.01)
        assert isinstance(await leg.receive(), FramesDropped)
        await leg.hang_up()


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", frame(0x10, b"12")])
async def test_what_is_no_audiosocket_is_closed(data: bytes) -> None:
    bot = Bot()
    async with serving(bot) as settings:
        reader, writer = await asyncio.open_connection("127.0.0.1", settings.audiosocket_port)
        writer.write(data)
        if data.startswith(b"GET"):  # a frame of 17,748 bytes that never ends
            writer.write_eof()
        async with asyncio.timeout(HUNG_S):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        writer.close()
    assert not bot.legs


async def test_what_is_no_audiosocket_is_told_once_however_much_of_it_comes(caplog: pytest.LogCaptureFixture) -> None:
    bot = Bot()
    async with serving(bot) as settings:
        reader, writer = await asyncio.open_connection("127.0.0.1", settings.audiosocket_port)
        writer.write(frame(0x10) * 1_000 + frame(0x01, uuid.uuid4().bytes))
        async with asyncio.timeout(HUNG_S):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        writer.close()
    assert [record.getMessage() for record in caplog.records] == [
        "a stream of audiosocket was refused: the first frame is not the call's UUID"
    ]
    assert not bot.legs


async def test_a_stranger_is_cut_off() -> None:
    bot = Bot()
    async with serving(bot, allowed_sources=("127.0.0.1",)) as settings:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", settings.audiosocket_port, local_addr=("127.0.0.3", 0)
        )
        async with asyncio.timeout(HUNG_S):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        writer.close()
    assert not bot.legs


# WebSockets


async def test_a_provider_calls_in_twilios_format_and_both_sides_are_heard() -> None:
    bot = Bot()
    start = {"callSid": "CA1", "customParameters": {"caller": "+994501234567"}}
    async with (
        serving(bot) as settings,
        websockets.connect(f"ws://127.0.0.1:{settings.websocket_port}/twilio/{TOKEN}") as page,
    ):
        await page.send('{"event": "connected", "protocol": "Call", "version": "1.0.0"}')
        await page.send(json.dumps({"event": "start", "streamSid": "MZ1", "start": start}))
        for at in range(0, len(_TONE), 320):
            payload = base64.b64encode(MU_LAW.encode(np.frombuffer(_TONE[at : at + 320], "<i2"))).decode()
            await page.send(json.dumps({"event": "media", "streamSid": "MZ1", "media": {"payload": payload}}))
            await asyncio.sleep(0.01)
        await page.send('{"event": "dtmf", "dtmf": {"digit": "4"}}')
        said = b""
        async with asyncio.timeout(HUNG_S):
            while len(said) < 8000:
                message = json.loads(await page.recv())
                assert (message["event"], message["streamSid"]) == ("media", "MZ1")
                said += MU_LAW.decode(base64.b64decode(message["media"]["payload"])).astype("<i2").tobytes()
        bot.legs[0].flush()
        async with asyncio.timeout(HUNG_S):
            while json.loads(await page.recv()) != {"event": "clear", "streamSid": "MZ1"}:
                pass
        await page.send('{"event": "stop"}')
        ended = await bot.ended()

    assert ended.cause is EndCause.CALLER_HUNG_UP
    info = bot.legs[0].info
    assert (info.transport, info.caller, info.variables["peer_call_id"]) == ("twilio", "+994501234567", "CA1")
    assert bot.keys == ["4"]
    assert bot.pitch() == 450
    assert pitch(np.frombuffer(said, "<i2"), 8000) == 600


async def test_asterisk_calls_over_its_websocket_channel() -> None:
    bot = Bot()
    async with (
        serving(bot) as settings,
        websockets.connect(
            f"ws://127.0.0.1:{settings.websocket_port}/asterisk/{TOKEN}", subprotocols=[websockets.Subprotocol("media")]
        ) as channel,
    ):
        await channel.send(json.dumps({"event": "MEDIA_START", "connection_id": "c", "format": "slin"}))
        assert json.loads(await channel.recv()) == {"command": "ANSWER"}
        said = b""
        async with asyncio.timeout(HUNG_S):
            while len(said) < 8000:
                await channel.send(_TONE[len(said) : len(said) + 320])
                message = await channel.recv()
                assert isinstance(message, bytes)
                said += message
        await channel.send('{"event": "DTMF_END", "digit": "#", "duration_ms": 90}')
        async with asyncio.timeout(HUNG_S):
            while not bot.keys:
                await asyncio.sleep(0.01)
        await bot.legs[0].hang_up()
        async with asyncio.timeout(HUNG_S):
            while (await channel.recv()) != '{"command": "HANGUP"}':
                pass
        ended = await bot.ended()

    assert ended.cause is EndCause.BOT_HUNG_UP
    assert bot.keys == ["#"]
    assert pitch(np.frombuffer(said, "<i2"), 8000) == 600


async def test_a_provider_that_pings_and_never_reads_is_cut_off() -> None:
    bot = Bot()
    async with serving(bot) as settings:
        reader, writer = await unread(settings.websocket_port)
        asked = (
            f"GET /twilio/{TOKEN} HTTP/1.1\r\nHost: bot\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        writer.write(asked.encode())
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()  # type: ignore[attr-defined] - a transport of TCP has it
        ping, sent = b"\x89\xfd" + bytes(4) + bytes(125), 0
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            while sent < _ENOUGH_BYTES:
                writer.write(ping * 1_000)
                await writer.drain()
                sent += 1_000 * len(ping)
        writer.close()

    assert sent < _ENOUGH_BYTES


async def unread(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect with hardly any room for what is not read."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=sock.dup())
    return reader, writer


async def test_a_provider_that_does_not_read_loses_its_call_and_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "_GONE_S", 0.1)
    bot = Bot(answers=False)
    async with serving(bot) as settings:
        reader, writer = await unread(settings.websocket_port)
        asked = (
            f"GET /twilio/{TOKEN} HTTP/1.1\r\nHost: bot\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        start = json.dumps({"event": "start", "streamSid": "MZ1" * 60, "start": {}}).encode()
        writer.write(asked.encode())
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()  # type: ignore[attr-defined] - a transport of TCP has it
        writer.write(b"\x81\xfe" + struct.pack("!H", len(start)) + bytes(4) + start)
        async with asyncio.timeout(HUNG_S):
            while not bot.legs:
                await asyncio.sleep(0.01)
            await bot.legs[0].answer()
            event: LegEvent | None = None
            while not isinstance(event, LegEnded):
                for _ in range(200):
                    bot.legs[0].flush()  # each says something to the provider
                event = await bot.legs[0].receive()
            assert event == LegEnded(EndCause.FAILED, "the peer does not read")
            await asyncio.sleep(0.2)
            writer.transport.resume_reading()  # type: ignore[attr-defined] - as above
            with contextlib.suppress(ConnectionError):
                await reader.read()
        writer.close()


@pytest.mark.parametrize("path", ["/twilio/wrong-token-here", "/other/" + TOKEN, "/", "/twilio", "/twilio/"])
async def test_without_the_token_there_is_nothing_there(path: str) -> None:
    bot = Bot()
    async with serving(bot) as settings:
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(f"ws://127.0.0.1:{settings.websocket_port}{path}")
    assert refused.value.response.status_code == 404
    assert not bot.legs


async def test_a_provider_that_breaks_the_protocol_ends_the_call() -> None:
    bot = Bot()
    async with (
        serving(bot) as settings,
        websockets.connect(f"ws://127.0.0.1:{settings.websocket_port}/twilio/{TOKEN}") as page,
    ):
        await page.send(json.dumps({"event": "start", "streamSid": "MZ1", "start": {}}))
        await page.send("nonsense")
        assert (await bot.ended()).cause is EndCause.FAILED


async def test_a_provider_that_does_not_read_ends_the_call() -> None:
    bot = Bot(answers=False)
    async with (
        serving(bot) as settings,
        websockets.connect(f"ws://127.0.0.1:{settings.websocket_port}/twilio/{TOKEN}", close_timeout=0.5) as page,
    ):
        await page.send(json.dumps({"event": "start", "streamSid": "MZ1", "start": {}}))
        async with asyncio.timeout(HUNG_S):
            while not bot.legs:
                await asyncio.sleep(0.01)
        leg = bot.legs[0]
        await leg.answer()
        for _ in range(600):
            leg.flush()  # each says `clear`
        assert isinstance(await anext_end(leg), LegEnded)


async def anext_end(leg: CallLeg) -> LegEvent:
    async with asyncio.timeout(HUNG_S):
        while not isinstance(event := await leg.receive(), LegEnded):
            pass
    return event


async def test_a_handler_that_breaks_closes_the_connection() -> None:
    def broken(leg: CallLeg) -> None:
        raise RuntimeError("bug")

    settings = StreamSettings(audiosocket_port=free_port())
    endpoint = StreamEndpoint(settings, on_call=broken)
    await endpoint.open()
    async with audiosocket(settings.audiosocket_port) as (reader, _, _), asyncio.timeout(HUNG_S):
        assert await reader.read() == b""
    await endpoint.close()


def test_a_websocket_port_needs_a_token_worth_the_name() -> None:
    with pytest.raises(ValidationError, match="openssl rand"):
        StreamSettings(websocket_port=8099, websocket_token=SecretStr("short"))
    with pytest.raises(ValidationError):
        StreamSettings(allowed_sources=("everybody",))
