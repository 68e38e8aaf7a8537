"""How many calls one media thread carries, how late its packets leave, and what the same would cost in C.

    python tests/bench/bench_rtp.py [--calls 50 100 200 400] [--codec PCMA] [--seconds 6]

Each call hears a tone from a peer in another process, and the bot plays a frame for every frame it hears. The figures
are of this machine with all that runs beside: read CPU as good to a fifth, and lateness as an upper bound. Where the
machine gives the process less than it needs, `sent %` tells. "thread" is the media thread, "process" the bot's side as
well (decoding, resampling, looking for tones, a task a call); "calls/core" follows from the CPU of each. The last line
is `native_echo.c`: the same signal path with two system calls a frame and nothing else, where there is a C compiler.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from telephony.audio.frame import pcm_of
from telephony.audio.pacer import Due, Pacer
from telephony.leg import AudioReceived
from telephony.media import CodecName, Media, MediaParameters
from telephony.rtp import factory as factory_module
from telephony.rtp.codec import CODECS
from telephony.rtp.factory import RtpMediaFactory
from telephony.rtp.sender import RtpSender
from telephony.settings import RtpSettings

SLOTS = 10
TONE = np.rint(8_000 * np.sin(2 * np.pi * 1_000 * np.arange(480) / 24_000)).astype(np.int16)
LATE_MS: list[float] = []  # of every frame sent


class TimedPacer(Pacer):
    """A pacer that notes how late each frame is asked for."""

    def due(self, *, now: float) -> Due:
        due = super().due(now=now)
        LATE_MS.extend(1000 * (now - due.at) - 20 * index for index in range(due.frames))
        return due


PAYLOAD_TYPES = {"PCMA": 8, "PCMU": 0, "G722": 9, "opus": 111}


def payload_of(name: str) -> bytes:
    """20 ms of the tone."""
    codec = CODECS[name]
    frame = TONE[:: 24_000 // codec.encoder_rate_hz] if codec.encoder_rate_hz != 16_000 else TONE[:320]
    return codec.encoder().encode(np.ascontiguousarray(frame))


def peer(calls: int, codec: str) -> None:
    """Send a tone to each of the ports that come on stdin, from sockets whose ports go to stdout."""
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(calls)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
        each.setblocking(False)
    print(json.dumps([each.getsockname()[1] for each in sockets]), flush=True)
    ports = json.loads(sys.stdin.readline())
    senders = [RtpSender(ssrc=n, sequence=0, timestamp=0) for n in range(calls)]
    payload, units = payload_of(codec), CODECS[codec].clock_hz // 50
    began, turn, parent = time.monotonic(), 0, os.getppid()
    while os.getppid() == parent:
        for index in range(turn % SLOTS, calls, SLOTS):
            sockets[index].sendto(
                senders[index].audio(PAYLOAD_TYPES[codec], payload, duration=units), ("127.0.0.1", ports[index])
            )
            with contextlib.suppress(OSError):
                while True:
                    sockets[index].recv(2048)
        turn += 1
        time.sleep(max(0.0, began + turn * 0.02 / SLOTS - time.monotonic()))


async def echo(media: Media) -> None:
    """Play a frame for each heard."""
    frame = pcm_of(TONE)
    while True:
        if isinstance(await media.receive(), AudioReceived):
            await media.play(frame)


async def measure(calls: int, seconds: float, codec: CodecName) -> str:
    """Carry so many calls for so long; give a line of the table."""
    factory = RtpMediaFactory(RtpSettings(port_min=30_000, port_max=34_999))
    await factory.start()
    medias = [await factory.open() for _ in range(calls)]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "--peer", str(calls), "--codec", codec, stdin=pipe, stdout=pipe
    )
    assert process.stdin is not None
    assert process.stdout is not None
    ports = json.loads(await process.stdout.readline())
    process.stdin.write(json.dumps([media.local_port for media in medias]).encode() + b"\n")
    for media, port in zip(medias, ports, strict=True):
        media.apply(MediaParameters("127.0.0.1", port, codec, PAYLOAD_TYPES[codec], 101))
    tasks = [asyncio.create_task(echo(media)) for media in medias]
    await asyncio.sleep(2.0)
    LATE_MS.clear()
    thread = factory._thread
    assert thread is not None
    began, used, media_used = time.monotonic(), time.process_time(), thread.call(time.thread_time).result()
    await asyncio.sleep(seconds)
    wall, used = time.monotonic() - began, time.process_time() - used
    media_used = thread.call(time.thread_time).result() - media_used
    late = np.array(LATE_MS)
    stats = [media.stats() for media in medias]
    for task in tasks:
        task.cancel()
    process.kill()
    await process.wait()
    await factory.stop()
    sent = len(late) / wall / 50 / calls
    frame_us = 1e6 * media_used / len(late)
    return (
        f"{calls:6d} {100 * sent:7.1f} {100 * media_used / wall:9.1f} {100 * used / wall:10.1f}"
        f" {frame_us:9.0f} {20_000 / frame_us:11.0f} {20_000 * len(late) / (1e6 * used):12.0f}"
        f" {np.percentile(late, 50):9.2f} {np.percentile(late, 99):8.2f} {late.max():8.2f}"
        f" {sum(each.underruns for each in stats):10d} {np.mean([each.playout_delay_ms for each in stats]):11.1f}"
    )


def native() -> str:
    """Build and run the same path in C."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return "native: no C compiler here"
    with tempfile.TemporaryDirectory() as folder:
        program = str(Path(folder) / "native_echo")
        source = str(Path(__file__).with_suffix("").parent / "native_echo.c")
        subprocess.run([compiler, "-O3", "-march=native", "-ffast-math", "-o", program, source], check=True)
        spent_us = float(subprocess.run([program, "200", "5"], check=True, capture_output=True).stdout)
    return f"native: {spent_us:.1f} us/frame, {20_000 / spent_us:.0f} calls/core"


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--calls", type=int, nargs="+", default=[50, 100, 200, 400])
    options.add_argument("--seconds", type=float, default=6.0)
    options.add_argument("--peer", type=int, help=argparse.SUPPRESS)
    options.add_argument("--codec", default="PCMA", choices=list(PAYLOAD_TYPES))
    chosen = options.parse_args()
    if chosen.peer:
        peer(chosen.peer, chosen.codec)
        return
    factory_module.Pacer = TimedPacer
    print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; late in ms")
    print(
        " calls  sent %  thread %  process %  us/frame  calls/core  of process  late p50      p99      max"
        "  underruns  playout ms"
    )
    for calls in chosen.calls:
        print(asyncio.run(measure(calls, chosen.seconds, chosen.codec)), flush=True)
    if chosen.codec == "PCMA":
        print(native())


if __name__ == "__main__":
    main()
