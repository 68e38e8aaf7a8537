"""What many short WebRTC calls leave behind, and what pages that vanish without a word do: memory, tasks, sockets.

    OMP_NUM_THREADS=1 PYTHONPATH=. python tests/bench/bench_webrtc_churn.py --calls 500 --at-once 10
    OMP_NUM_THREADS=1 PYTHONPATH=. python tests/bench/bench_webrtc_churn.py --vanish --calls 60 --at-once 60

The serving side is a process of its own. After every tenth of the calls it tells of itself, garbage collected first.
With `--vanish` all callers stop at one moment, as machines that lose their power: nothing is sent, read or closed any
more. Their places must come free by the silence of their lines, and who calls meanwhile must be heard.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import uvloop

from telephony.errors import LegEndedError
from telephony.leg import AudioReceived, CallLeg, LegEnded
from telephony.rtp.loop_thread import LoopThread
from telephony.settings import WebRtcSettings
from telephony.webrtc.caller import place_call
from telephony.webrtc.endpoint import WebRtcEndpoint
from telephony.webrtc.leg import WebRtcLeg
from telephony.webrtc.shared_media import SharedMedia
from tests.bench.bench_webrtc import voice

SETTINGS = WebRtcSettings(hosts=("127.0.0.1",))
_HEARD_FRAMES = 15  # of a short call
_SILENCE_S = 5.0  # after which a line that vanished ends, here


# --- the serving side -----------------------------------------------------------------------------------------------


async def listen(leg: CallLeg) -> None:
    """Take all that the caller sends."""
    await leg.answer()
    while not isinstance(await leg.receive(), LegEnded):
        pass


async def speak(leg: CallLeg) -> None:
    """Talk without a pause until the call is over."""
    frames = voice(24_000)
    with contextlib.suppress(LegEndedError):
        await leg.answer()
        while True:
            for frame in frames:
                await leg.play(frame)


def standing(endpoint: WebRtcEndpoint, thread: LoopThread) -> dict[str, float]:
    """Tell what is there, after a collection."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return {
        "legs": endpoint.legs,
        "MB": pages * os.sysconf("SC_PAGE_SIZE") / 1e6,
        "objects": len(gc.get_objects()),
        "tasks": len(asyncio.all_tasks()) + len(asyncio.all_tasks(thread.loop)),
        "files": sum(1 for _ in Path("/proc/self/fd").iterdir()),
        "threads": threading.active_count(),
    }


async def serve() -> None:
    """Answer offers, one JSON a line; null asks how it stands."""
    thread = LoopThread("webrtc-media")
    thread.start()
    tasks: set[asyncio.Task[None]] = set()

    def begin(work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def on_call(leg: CallLeg) -> None:
        begin(listen(leg))
        begin(speak(leg))

    settings = SETTINGS.model_copy(update={"silence_timeout_s": _SILENCE_S})
    endpoint = WebRtcEndpoint(settings, on_call, max_legs=1000, media=SharedMedia(thread.loop))

    async def answer(number: int, sdp: str | None) -> None:
        found = standing(endpoint, thread) if sdp is None else (await endpoint.offer(sdp)).sdp
        print(json.dumps([number, found]), flush=True)

    reader = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async for line in reader:
        begin(answer(*json.loads(line)))


# --- the calling side -----------------------------------------------------------------------------------------------


class Server:
    """The serving process; may be asked many things at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._number = 0
        self._reading = asyncio.create_task(self._read())

    async def ask(self, sdp: str | None) -> Any:
        self._number += 1
        number, answer = self._number, asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([number, sdp]).encode() + b"\n")
        return await answer

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            number, found = json.loads(line)
            self._waiting.pop(number).set_result(found)


async def started() -> Server:
    return Server(
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.bench.bench_webrtc_churn",
            "--serve",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 20,
        )
    )


async def hear(leg: WebRtcLeg, frames: int) -> None:
    """Take so many frames with sound in them."""
    while frames:
        event = await leg.receive()
        frames -= isinstance(event, AudioReceived) and any(event.pcm)


async def short_call(server: Server, media: SharedMedia) -> None:
    leg = await place_call(server.ask, SETTINGS, media=media)
    await hear(leg, _HEARD_FRAMES)
    await leg.hang_up()


def told(label: str, found: dict[str, float]) -> None:
    print(f"{label:>22}: " + ", ".join(f"{name} {value:.1f}".removesuffix(".0") for name, value in found.items()))


async def churn(calls: int, at_once: int) -> None:
    """Make short calls, `at_once` at a time."""
    server, media = await started(), SharedMedia()
    await short_call(server, media)
    told("after the first call", await server.ask(None))
    done, step = 0, max(at_once, calls // 10)
    while done < calls:
        for _ in range(0, step, at_once):
            await asyncio.gather(*(short_call(server, media) for _ in range(min(at_once, calls - done))))
            done += min(at_once, calls - done)
        await asyncio.sleep(2)
        told(f"after {done} calls", await server.ask(None))
    server.process.kill()


async def vanish(calls: int) -> None:
    """Have a process with calls killed, and call meanwhile."""
    server, media = await started(), SharedMedia()
    await short_call(server, media)
    told("before", await server.ask(None))
    legs = await asyncio.gather(*(place_call(server.ask, SETTINGS, media=media) for _ in range(calls)))
    await asyncio.gather(*(hear(leg, _HEARD_FRAMES) for leg in legs))
    told(f"{calls} calls stand", await server.ask(None))
    began = time.monotonic()
    for leg in legs:  # as a machine that loses its power: the sockets are there and nobody reads or sends
        media.clock.remove(leg._session)
        for protocol in leg._session._peer._connection._protocols:
            protocol.transport.hold()
    another = await place_call(server.ask, SETTINGS)
    while (found := await server.ask(None))["legs"] > 1 and time.monotonic() - began < 60:
        await hear(another, 25)
    told(f"{time.monotonic() - began:.1f} s later", found)
    print(f"a caller meanwhile: {another.stats()}")
    await another.hang_up()
    await asyncio.sleep(2)
    told("at the end", await server.ask(None))
    server.process.send_signal(signal.SIGKILL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--at-once", type=int, default=10)
    parser.add_argument("--vanish", action="store_true")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        uvloop.run(serve())
    elif arguments.vanish:
        uvloop.run(vanish(arguments.calls))
    else:
        uvloop.run(churn(arguments.calls, arguments.at_once))


if __name__ == "__main__":
    main()
