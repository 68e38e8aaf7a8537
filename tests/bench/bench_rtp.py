"""How many calls one media thread carries, how late its packets leave, and what the same would cost in C.

    python tests/bench/bench_rtp.py [--calls 50 100 200 400] [--codec PCMA] [--srtp] [--seconds 6] [--core 1]

Each call hears a tone from a peer in another process (in C, on the cores left over), and the bot plays a frame for
every frame it hears, `--lead-ms` (0) ahead of need, on the cores that `--core` names. The process runs as a worker
does: uvloop, a switch interval of 1 ms, nothing of start-up left to the collector. The figures are of this machine
with all that runs beside: read CPU as good to a fifth, and lateness as an upper bound. Where the machine gives the
process less than it needs, `sent %` tells. "thread" is the media thread, "process" the bot's side as well (decoding,
resampling, looking for tones, a task a call), each with its us a frame; "calls/core" follows from the process.
Lateness and underruns are of the measured time, not of the start. The last line is `native_echo.c`: the same signal
path with two system calls a frame and nothing else, where there is a C compiler.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
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
import uvloop

sys.path.insert(0, str(Path(__file__).parents[2]))

from telephony.audio.frame import pcm_of
from telephony.audio.pacer import Due, Pacer
from telephony.leg import AudioReceived
from telephony.media import SRTP_KEY_BYTES, CodecName, Media, MediaParameters, SrtpKeys
from telephony.rtp import factory as factory_module
from telephony.rtp.codec import CODECS
from telephony.rtp.factory import RtpMediaFactory
from telephony.rtp.sender import RtpSender
from telephony.rtp.srtp import Srtp
from telephony.settings import RtpSettings

SLOTS = 10
TONE = np.rint(8_000 * np.sin(2 * np.pi * 1_000 * np.arange(480) / 24_000)).astype(np.int16)
LATE_MS: list[float] = []  # of every frame sent
FOLDER = tempfile.TemporaryDirectory()  # of compiled programs
CORE: set[int] = set()  # that the process is kept on; any, if empty


class TimedPacer(Pacer[object]):
    """A pacer that notes how late each frame is asked for."""

    def due(self, *, now: float) -> Due:
        due = super().due(now=now)
        late_ms = 1000 * (now - due.at)
        if due.frames:
            LATE_MS.append(late_ms)
        if due.frames > 1:
            LATE_MS.extend(late_ms - 20 * index for index in range(1, due.frames))
        return due


SRTP_KEYS = SrtpKeys("AES_CM_128_HMAC_SHA1_80", bytes(range(SRTP_KEY_BYTES)), bytes(range(SRTP_KEY_BYTES)))
PAYLOAD_TYPES = {"PCMA": 8, "PCMU": 0, "G722": 9, "opus": 111}


def payload_of(name: str) -> bytes:
    """20 ms of the tone."""
    codec = CODECS[name]
    frame = TONE[:: 24_000 // codec.encoder_rate_hz] if codec.encoder_rate_hz != 16_000 else TONE[:320]
    return codec.encoder().encode(np.ascontiguousarray(frame))


def peer(calls: int, codec: str, *, srtp: bool) -> None:
    """Send a tone to each of the ports that come on stdin, from sockets whose ports go to stdout."""
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(calls)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
        each.setblocking(False)
    print(json.dumps([each.getsockname()[1] for each in sockets]), flush=True)
    ports = json.loads(sys.stdin.readline())
    senders = [RtpSender(ssrc=n, sequence=0, timestamp=0) for n in range(calls)]
    seals = [Srtp(SRTP_KEYS).seal_rtp for _ in range(calls)] if srtp else [bytes] * calls
    payload, units = payload_of(codec), CODECS[codec].clock_hz // 50
    began, turn, parent = time.monotonic(), 0, os.getppid()
    while os.getppid() == parent:
        for index in range(turn % SLOTS, calls, SLOTS):
            packet = senders[index].audio(PAYLOAD_TYPES[codec], payload, duration=units)
            sockets[index].sendto(seals[index](packet), ("127.0.0.1", ports[index]))
            with contextlib.suppress(OSError):
                while True:
                    sockets[index].recv(2048)
        turn += 1
        time.sleep(max(0.0, began + turn * 0.02 / SLOTS - time.monotonic()))


def build(source: str, *options: str) -> str | None:
    """Compile a program of this folder into FOLDER; None where there is no C compiler."""
    compiler, program = shutil.which("cc") or shutil.which("gcc"), Path(FOLDER.name) / source
    if compiler is not None and not program.exists():
        file = Path(__file__).parent / f"{source}.c"
        subprocess.run([compiler, "-O3", *options, "-o", str(program), str(file)], check=True)
    return None if compiler is None else str(program)


def peer_command(calls: int, codec: str, *, srtp: bool) -> list[str]:
    """The far end in C, so that it takes nothing from what is measured; in Python for SRTP or without a compiler."""
    program = None if srtp else build("rtp_peer")
    if program is not None:
        kind, units = PAYLOAD_TYPES[codec], CODECS[codec].clock_hz // 50
        return [program, str(calls), str(kind), str(units), payload_of(codec).hex()]
    return [sys.executable, __file__, "--peer", str(calls), "--codec", codec, *(["--srtp"] if srtp else [])]


async def echo(media: Media, *, lead_ms: int = 0) -> None:
    """Play a frame for each heard."""
    frame = pcm_of(TONE)
    for _ in range(lead_ms // 20):
        await media.play(frame)
    while True:
        if isinstance(await media.receive(), AudioReceived):
            await media.play(frame)


async def measure(calls: int, seconds: float, codec: CodecName, *, lead_ms: int, srtp: bool) -> str:
    """Carry so many calls for so long; give a line of the table."""
    factory = RtpMediaFactory(RtpSettings(port_min=30_000, port_max=34_999))
    await factory.start()
    medias = [await factory.open() for _ in range(calls)]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*peer_command(calls, codec, srtp=srtp), stdin=pipe, stdout=pipe)
    assert process.stdin is not None
    assert process.stdout is not None
    ports = json.loads(await process.stdout.readline())
    if CORE:
        os.sched_setaffinity(process.pid, os.sched_getaffinity(0) - CORE or CORE)
        for thread in Path("/proc/self/task").iterdir():
            os.sched_setaffinity(int(thread.name), CORE)
    process.stdin.write(json.dumps([media.local_port for media in medias]).encode() + b"\n")
    for media, port in zip(medias, ports, strict=True):
        keys = SRTP_KEYS if srtp else None
        media.apply(MediaParameters("127.0.0.1", port, codec, PAYLOAD_TYPES[codec], 101, srtp=keys))
    tasks = [asyncio.create_task(echo(media, lead_ms=lead_ms)) for media in medias]
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)
    await asyncio.sleep(2.0)
    LATE_MS.clear()
    underruns = sum(media.stats().underruns for media in medias)
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
    thread_us, process_us = 1e6 * media_used / len(late), 1e6 * used / len(late)
    return (
        f"{calls:6d} {100 * sent:7.1f} {100 * media_used / wall:9.1f} {100 * used / wall:10.1f}"
        f" {thread_us:10.1f} {process_us:11.1f} {20_000 / process_us:11.0f}"
        f" {np.percentile(late, 50):9.2f} {np.percentile(late, 99):8.2f} {late.max():8.2f}"
        f" {sum(each.underruns for each in stats) - underruns:10d}"
        f" {np.mean([each.playout_delay_ms for each in stats]):11.1f}"
    )


def native() -> str:
    """Build and run the same path in C."""
    program = build("native_echo", "-march=native", "-ffast-math")
    if program is None:
        return "native: no C compiler here"
    spent_us = float(subprocess.run([program, "200", "5"], check=True, capture_output=True).stdout)
    return f"native: {spent_us:.1f} us/frame, {20_000 / spent_us:.0f} calls/core"


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--calls", type=int, nargs="+", default=[50, 100, 200, 400])
    options.add_argument("--seconds", type=float, default=6.0)
    options.add_argument("--peer", type=int, help=argparse.SUPPRESS)
    options.add_argument("--codec", default="PCMA", choices=list(PAYLOAD_TYPES))
    options.add_argument("--srtp", action="store_true")
    options.add_argument("--lead-ms", type=int, default=0)
    options.add_argument("--core", type=int, nargs="*", default=[])
    chosen = options.parse_args()
    if chosen.peer:
        peer(chosen.peer, chosen.codec, srtp=chosen.srtp)
        return
    CORE.update(chosen.core)
    sys.setswitchinterval(0.001)
    factory_module.Pacer = TimedPacer
    print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; late in ms")
    print(
        " calls  sent %  thread %  process %  thread us  process us  calls/core  late p50      p99      max"
        "  underruns  playout ms"
    )
    for calls in chosen.calls:
        run = measure(calls, chosen.seconds, chosen.codec, lead_ms=chosen.lead_ms, srtp=chosen.srtp)
        print(uvloop.run(run), flush=True)
    if chosen.codec == "PCMA":
        print(native())


if __name__ == "__main__":
    main()
