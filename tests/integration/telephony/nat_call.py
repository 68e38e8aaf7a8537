"""A bot, and a caller behind a router that hides him: `unshare --net python nat_call.py`, prints JSON.

Three network namespaces: the bot's (this one), the router's, which gives whatever leaves it a port of its own choosing
(`MASQUERADE --random-fully`), and the caller's, whose address means nothing to the bot.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import uvicorn
from fastapi import FastAPI

sys.path.insert(0, str(Path(__file__).parents[3]))

from bot.loadtest.lines import open_line
from bot.loadtest.plan import Network
from bot.web.serving import serve_web
from telephony.leg import AudioReceived, CallLeg
from telephony.rtp.factory import RtpMediaFactory
from telephony.settings import RtpSettings, SipSettings, WebRtcSettings
from telephony.sip.endpoint import serve_sip
from telephony.webrtc.endpoint import WebRtcEndpoint
from tests.integration.telephony.test_baresip_media import HERE_HZ, THERE_HZ, Talk, pitch, samples_of, tone

_BOT, _ROUTER, _INSIDE, _CALLER = "10.9.0.1", "10.9.0.2", "192.168.77.1", "192.168.77.2"
NO_ROUTER = 77  # our exit code where the system forwards nothing
_HEARD_FRAMES = 50


def _ip(*words: str, within: int | None = None) -> None:
    inside = [] if within is None else ["nsenter", "-t", str(within), "-n"]
    subprocess.run([*inside, "ip", *words], check=True)


@contextlib.contextmanager
def _namespace(*command: str) -> Iterator[subprocess.Popen[str]]:
    """A process in a network namespace of its own."""
    process = subprocess.Popen(["unshare", "--net", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        ours = Path("/proc/self/ns/net").readlink()
        while Path(f"/proc/{process.pid}/ns/net").readlink() == ours:
            pass
        yield process
    finally:
        process.kill()
        process.wait()


def _connect(router: int, caller: int) -> None:
    _ip("link", "set", "lo", "up")
    _ip("link", "add", "h0", "type", "veth", "peer", "name", "r0", "netns", str(router))
    _ip("addr", "add", f"{_BOT}/24", "dev", "h0")
    _ip("link", "set", "h0", "up")
    _ip("link", "add", "r1", "type", "veth", "peer", "name", "p0", "netns", str(caller), within=router)
    for device, address in (("r0", _ROUTER), ("r1", _INSIDE)):
        _ip("addr", "add", f"{address}/24", "dev", device, within=router)
        _ip("link", "set", device, "up", within=router)
    _ip("addr", "add", f"{_CALLER}/24", "dev", "p0", within=caller)
    _ip("link", "set", "p0", "up", within=caller)
    _ip("route", "add", "default", "via", _INSIDE, within=caller)
    hiding = "iptables -t nat -A POSTROUTING -o r0 -j MASQUERADE --random-fully"
    routing = f"echo 1 > /proc/sys/net/ipv4/ip_forward && {hiding}"
    if subprocess.run(["nsenter", "-t", str(router), "-n", "sh", "-c", routing], check=False).returncode:
        raise SystemExit(NO_ROUTER)


async def serve() -> dict[str, list[float]]:
    """Be called by SIP and as by a page; say what was heard at either end, by the way it came."""
    talks: list[Talk] = []
    tasks: list[asyncio.Task[None]] = []

    def on_call(leg: CallLeg) -> None:
        talks.append(Talk())
        tasks.append(asyncio.create_task(talks[-1].run(leg)))

    async with contextlib.AsyncExitStack() as stack:
        router = stack.enter_context(_namespace("sleep", "infinity"))
        caller = stack.enter_context(_namespace(sys.executable, __file__, "caller"))
        _connect(router.pid, caller.pid)
        media = RtpMediaFactory(RtpSettings(host=_BOT, port_min=21_000, port_max=21_099))
        await media.start()
        stack.push_async_callback(media.stop)
        settings = SipSettings(host=_BOT, port=0, allowed_sources=(f"{_ROUTER}/32",))
        endpoint, sockets = await serve_sip(settings, media=media, on_call=on_call)
        stack.push_async_callback(sockets.close)
        stack.push_async_callback(endpoint.close, within_s=0.5)
        pages = WebRtcEndpoint(WebRtcSettings(), on_call, max_legs=1)
        stack.push_async_callback(pages.close)
        config = uvicorn.Config(_page(pages), host=_BOT, port=0, log_config=None)
        listener = config.bind_socket()
        serve_web(config, stack, sockets=[listener])
        targets = [f"sip:bot@{_BOT}:{sockets.address[1]}", f"http://{_BOT}:{listener.getsockname()[1]}"]
        there, _ = await asyncio.to_thread(caller.communicate, json.dumps(targets))
        await asyncio.gather(*tasks)
    here = [pitch(np.frombuffer(b"".join(talk.heard), "<i2"), 16_000) for talk in talks]
    return {"here": here, "there": json.loads(there), "expected": [THERE_HZ, HERE_HZ]}


def _page(pages: WebRtcEndpoint) -> FastAPI:
    app = FastAPI()

    @app.post("/api/offer")
    async def offer(body: dict[str, str]) -> dict[str, str]:  # pyright: ignore[reportUnusedFunction]
        answer = await pages.offer(body["sdp"])
        return {"sdp": answer.sdp, "type": "answer", "call_id": answer.call_id}

    return app


async def call(target: str, port: int) -> float:
    """Speak until enough was heard; what that was."""
    async with open_line(target, network=Network(), seed=1, port_min=port, port_max=port + 9) as line:
        leg = (await line.call()).leg
        if target.startswith("http"):
            await leg.answer()
        speaking = asyncio.create_task(_speak(leg))
        heard: list[bytes] = []
        loud = 0
        while loud < _HEARD_FRAMES:
            event = await leg.receive()
            if isinstance(event, AudioReceived):
                heard.append(event.pcm)
                loud += int(np.abs(samples_of(event.pcm)).max()) > 1_000
        await asyncio.sleep(1.0)  # the bot hears us for as long
        speaking.cancel()
        await leg.hang_up()
    return pitch(np.frombuffer(b"".join(heard), "<i2"), 16_000)


async def _speak(leg: CallLeg) -> None:
    for frame in (tone(THERE_HZ, 24_000, 30) * 32_767).astype("<i2").reshape(-1, 480):
        await leg.play(frame.tobytes())


async def _call_all(targets: list[str]) -> list[float]:
    return [await call(target, 22_000 + 10 * n) for n, target in enumerate(targets)]


if __name__ == "__main__":
    if sys.argv[1:] == ["caller"]:
        print(json.dumps(asyncio.run(_call_all(json.loads(sys.stdin.read())))))
    else:
        print(json.dumps(asyncio.run(serve())))
