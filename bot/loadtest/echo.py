"""An echo to measure the tool by: a SIP target that sends each packet back after a known delay, loss and jitter."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from ipaddress import ip_address

from bot.loadtest.impairment import Impairment, NetworkModel
from telephony.errors import LegEndedError
from telephony.leg import CallLeg, LegEnded, LegStats
from telephony.media import MediaAbilities, MediaEvent, MediaParameters
from telephony.settings import SipSettings
from telephony.sip.endpoint import serve_sip
from telephony.sip.uri import bracketed

_ANYBODY = ("0.0.0.0/0", "::/0")
_RTCP = range(192, 224)  # second octet (RFC 5761, section 4)


class EchoMedia:
    """One port; implements `telephony.media.Media`. What comes goes back as it is."""

    def __init__(self, host: str, impairment: Impairment) -> None:
        self._loop = asyncio.get_running_loop()
        self._impairment = impairment
        self._closed = asyncio.Event()
        self._count = 0
        self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind((host, 0))
        self._loop.add_reader(self._socket, self._read)
        self.local_host = host
        self.local_port: int = self._socket.getsockname()[1]
        self.played_ms = 0
        self.abilities = MediaAbilities()

    def _read(self) -> None:
        now = self._loop.time()
        while True:
            try:
                data, source = self._socket.recvfrom(2048)
            except OSError:
                return
            if len(data) < 12 or data[1] in _RTCP:
                continue
            self._count += 1
            at = self._impairment.take(now=now)
            if at is not None and at <= now:
                self._send(data, source)
            elif at is not None:
                self._loop.call_at(at, self._send, data, source)

    def _send(self, data: bytes, to: tuple[str, int]) -> None:
        if not self._closed.is_set():
            try:
                self._socket.sendto(data, to)
            except OSError:
                return  # lost, as on any network

    def apply(self, parameters: MediaParameters) -> None:
        """Nothing to agree: what comes goes back."""

    async def receive(self) -> MediaEvent:
        """Wait for the end: the bot's side hears nothing."""
        await self._closed.wait()
        raise LegEndedError("the echo is closed")

    @property
    def lead_ms(self) -> int:
        """See `Media.lead_ms`: nothing is ever played."""
        return 0

    @property
    def queued_ms(self) -> int:
        """See `Media.queued_ms`."""
        return 0

    async def play(self, pcm: bytes) -> None:
        """Nothing: an echo has no voice of its own."""

    def flush(self) -> int:
        """Nothing waits."""
        return 0

    async def drain(self) -> None:
        """Nothing waits."""

    async def send_digits(self, digits: str, *, tones: bool = False) -> None:
        """Nothing: see `play`."""

    def stats(self) -> LegStats:
        """What came."""
        return LegStats(received=self._count, sent=self._impairment.passed)

    async def close(self) -> None:
        """Close the port."""
        if not self._closed.is_set():
            self._closed.set()
            self._loop.remove_reader(self._socket)
            self._socket.close()


class EchoMediaFactory:
    """Opens echoes; implements `telephony.media.MediaFactory`."""

    def __init__(self, host: str, model: NetworkModel, *, seed: int) -> None:
        self._host = host
        self.impairment = Impairment(model, dice=random.Random(seed).random)  # noqa: S311  # to be had again

    async def open(self) -> EchoMedia:
        """Take a port."""
        return EchoMedia(self._host, self.impairment)


@asynccontextmanager
async def echo_target(
    model: NetworkModel, *, host: str = "127.0.0.1", port: int = 0, seed: int = 1
) -> AsyncGenerator[tuple[str, EchoMediaFactory]]:
    """Serve an echo; gives its SIP URI, and what it has done to packets. Away from loopback anybody may call it."""
    tasks: set[asyncio.Task[None]] = set()

    async def take(leg: CallLeg) -> None:
        try:
            await leg.answer()
            while not isinstance(await leg.receive(), LegEnded):
                pass
        except LegEndedError:
            return

    def on_call(leg: CallLeg) -> None:
        task = asyncio.ensure_future(take(leg))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    media = EchoMediaFactory(host, model, seed=seed)
    settings = SipSettings(host=host, port=port)
    if not ip_address(host).is_loopback:
        settings = settings.model_copy(update={"allowed_sources": _ANYBODY})
    endpoint, sockets = await serve_sip(settings, media=media, on_call=on_call)
    try:
        yield f"sip:echo@{bracketed(host)}:{sockets.address[1]}", media
    finally:
        await endpoint.close()
        await sockets.close()
        await asyncio.gather(*tasks, return_exceptions=True)


async def main() -> None:
    """Serve a plain echo until our input is closed; the conductor's business."""
    async with echo_target(NetworkModel()) as (uri, _):
        print(json.dumps({"uri": uri}), flush=True)  # noqa: T201  # the conductor's line
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
