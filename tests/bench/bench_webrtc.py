"""CPU of one WebRTC call, this package's leg beside stock aiortc: % of a core, both directions.

    python tests/bench/bench_webrtc.py --calls 5 --seconds 10

The serving side runs in a process of its own, whose CPU time is what is printed; the same callers call both kinds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fractions
import json
import os
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import numpy as np

from telephony.leg import AudioReceived, CallLeg, LegEnded
from telephony.settings import WebRtcSettings
from telephony.webrtc.caller import place_call
from telephony.webrtc.endpoint import WebRtcEndpoint
from telephony.webrtc.leg import WebRtcLeg

KINDS = ("leg", "leg, bot silent", "stock aiortc")
SETTINGS = WebRtcSettings(hosts=("127.0.0.1",))
Answerer = Callable[[str], Awaitable[str]]
_legs: list[CallLeg] = []  # of the serving side


def voice(rate_hz: int) -> list[bytes]:
    """One second of a voice-like buzz, as frames of 20 ms."""
    at = np.arange(rate_hz) / rate_hz
    sound = sum(np.sin(2 * np.pi * 120 * n * at) / n for n in range(1, 20)) * (1 + 0.5 * np.sin(2 * np.pi * 3 * at))
    samples = (2500 * sound).astype("<i2")
    step = rate_hz // 50
    return [samples[start : start + step].tobytes() for start in range(0, rate_hz, step)]


# --- the serving side: a process of its own -------------------------------------------------------------------------


def leg_answerer(*, talk: bool) -> Answerer:
    """Calls as legs; the bot takes every frame and may talk without a pause."""
    frames = voice(24_000)
    tasks: set[asyncio.Task[None]] = set()

    async def listen(leg: CallLeg) -> None:
        await leg.answer()
        while not isinstance(await leg.receive(), LegEnded):
            pass

    async def speak(leg: CallLeg) -> None:
        await leg.answer()
        with contextlib.suppress(Exception):
            while True:
                for frame in frames:
                    await leg.play(frame)

    def on_call(leg: CallLeg) -> None:
        _legs.append(leg)
        for work in (listen, speak) if talk else (listen,):
            task = asyncio.create_task(work(leg))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    endpoint = WebRtcEndpoint(SETTINGS, on_call, max_legs=1000)

    async def answer(sdp: str) -> str:
        return (await endpoint.offer(sdp)).sdp

    return answer


def stock_answerer() -> Answerer:
    """Calls as aiortc has them: its tracks, codecs and jitter buffer."""
    import aiortc  # noqa: PLC0415 - the other kinds run without its codecs
    import av  # noqa: PLC0415

    frames = voice(48_000)
    connections: list[Any] = []
    tasks: list[asyncio.Task[None]] = []

    class Voice(aiortc.MediaStreamTrack):
        kind = "audio"
        count = 0
        started = 0.0

        async def recv(self) -> Any:
            self.started = self.started or time.monotonic()
            await asyncio.sleep(max(0, self.started + self.count * 0.02 - time.monotonic()))
            frame = av.AudioFrame(format="s16", layout="mono", samples=960)
            frame.planes[0].update(frames[self.count % 50])
            frame.pts, frame.sample_rate, frame.time_base = self.count * 960, 48_000, fractions.Fraction(1, 48_000)
            self.count += 1
            return frame

    async def listen(track: Any) -> None:
        with contextlib.suppress(aiortc.mediastreams.MediaStreamError):
            while True:
                await track.recv()

    async def answer(sdp: str) -> str:
        connection = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
        connections.append(connection)
        connection.addTrack(Voice())

        def on_track(track: Any) -> None:
            tasks.append(asyncio.create_task(listen(track)))

        connection.on("track", on_track)
        await connection.setRemoteDescription(aiortc.RTCSessionDescription(sdp, "offer"))
        await connection.setLocalDescription()
        return connection.localDescription.sdp

    return answer


async def serve(kind: str) -> None:
    """Answer offers, one JSON a line; null asks for the CPU time."""
    answer = stock_answerer() if kind == KINDS[2] else leg_answerer(talk=kind == KINDS[0])
    reader = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async for line in reader:
        sdp = json.loads(line)
        figures = [time.process_time(), sum(leg.stats().sent for leg in _legs)]
        print(json.dumps(figures if sdp is None else await answer(sdp)), flush=True)


# --- the calling side -----------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def server(kind: str, *, uvloop: bool) -> AsyncGenerator[Callable[[str | None], Awaitable[Any]]]:
    """Run the serving process; gives how to ask it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "--serve", kind, *(["--uvloop"] if uvloop else []),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 20,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    async def ask(question: str | None) -> Any:
        stdin.write(json.dumps(question).encode() + b"\n")
        return json.loads(await stdout.readline())

    try:
        yield ask
    finally:
        process.kill()
        await process.wait()


async def talk(leg: WebRtcLeg, frames: list[bytes]) -> None:
    """Talk to the bot without a pause."""
    while True:
        for frame in frames:
            await leg.play(frame)


async def count_frames(leg: WebRtcLeg, heard: list[int]) -> None:
    """Take what the bot says."""
    while not isinstance(event := await leg.receive(), LegEnded):
        heard[0] += isinstance(event, AudioReceived) and any(event.pcm)


async def measure(kind: str, *, calls: int, seconds: float, uvloop: bool) -> None:
    """Print one line for one kind."""
    frames = voice(24_000)
    heard = [0]
    async with server(kind, uvloop=uvloop) as ask:
        legs = [await place_call(ask, SETTINGS) for _ in range(calls)]
        tasks = [asyncio.create_task(work) for leg in legs for work in (talk(leg, frames), count_frames(leg, heard))]
        await asyncio.sleep(2)
        heard[0] = 0
        (cpu, sent), began = await ask(None), time.monotonic()
        await asyncio.sleep(seconds)
        (cpu_after, sent_after), took = await ask(None), time.monotonic() - began
        cpu, sent = cpu_after - cpu, sent_after - sent
        share = heard[0] / (took * 50 * calls)
        percent = 100 * cpu / took / calls
        frame = f"{1e6 * cpu / sent:5.0f} us a frame" if sent else "-"  # where the machine is busy, not all are sent
        print(f"{kind:16} {calls:3} calls: {percent:5.2f} % of a core a call, {100 * share:3.0f} % heard, {frame}")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(leg.hang_up() for leg in legs))


async def main(arguments: argparse.Namespace) -> None:
    """Measure all kinds, or serve one."""
    if arguments.serve:
        await serve(arguments.serve)
    else:
        for kind in KINDS:
            await measure(kind, calls=arguments.calls, seconds=arguments.seconds, uvloop=arguments.uvloop)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--uvloop", action="store_true", help="serve with uvloop, as the media thread does")
    parser.add_argument("--serve", choices=KINDS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve and arguments.uvloop:
        import uvloop

        uvloop.run(main(arguments))
    else:
        asyncio.run(main(arguments))
