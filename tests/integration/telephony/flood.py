"""A live call while somebody floods the bot: the bot in a process of its own, the flood from another one."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from telephony.errors import LegEndedError
from telephony.leg import AudioReceived, CallLeg, LegEnded, LegStats
from telephony.rtp.factory import RtpMediaFactory
from telephony.settings import RtpSettings, SipSettings
from telephony.sip.endpoint import serve_sip
from tests.waiting import HUNG_S

ROOT = Path(__file__).parents[3]
Kind: TypeAlias = Literal["none", "sip", "rtp"]
_SILENCE = bytes(960)
_BOT_RTP = 43_300


@dataclass(frozen=True, slots=True)
class Heard:
    """What a call was like: the caller's figures and the bot's."""

    flooded: int  # datagrams sent by the flood
    flood_s: float
    caller: LegStats
    bot: LegStats
    frames: int  # that the caller's application got
    worst_gap_ms: float  # between two of them


async def call_under_flood(kind: Kind, *, per_s: int, seconds: float, source: str = "127.0.0.2") -> Heard:
    """Call, flood for so long, hang up."""
    bot = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.integration.telephony.flood", "bot"),
        stdout=asyncio.subprocess.PIPE,
        stdin=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    assert bot.stdout is not None
    assert bot.stdin is not None
    try:
        port = int(await bot.stdout.readline())
        caller, frames, worst_gap_s, flood = await _call(port, kind, per_s, seconds, source)
        stats = LegStats(**json.loads(await asyncio.wait_for(bot.stdout.readline(), HUNG_S)))
        bot.stdin.close()
        await asyncio.wait_for(bot.wait(), HUNG_S)
    finally:
        if bot.returncode is None:
            bot.kill()
            await bot.wait()
    return Heard(flood[0], flood[1], caller, stats, frames, 1000 * worst_gap_s)


async def _call(
    port: int, kind: Kind, per_s: int, seconds: float, source: str
) -> tuple[LegStats, int, float, tuple[int, float]]:
    media = RtpMediaFactory(RtpSettings(host="127.0.0.1", port_min=43_400, port_max=43_419))
    await media.start()
    phone, sockets = await serve_sip(
        SipSettings(port=0, outbound_allowed=("*@127.0.0.1",)), media=media, on_call=lambda leg: None
    )
    try:
        leg = await phone.place_call(f"sip:bot@127.0.0.1:{port}")
        await leg.answer()
        await _listen(leg, 1.0)
        flooding = asyncio.create_task(_flood(kind, port, per_s, seconds, source))
        frames, worst_gap_s = await _listen(leg, seconds)
        flood = await flooding
        figures = leg.stats()
        await leg.hang_up()
        return figures, frames, worst_gap_s, flood
    finally:
        await phone.close()
        await sockets.close()
        await media.stop()


async def _listen(leg: CallLeg, seconds: float) -> tuple[int, float]:
    """Speak and listen: frames got, and the longest time between two."""
    frames, worst_s, last = 0, 0.0, time.monotonic()
    until = last + seconds
    while last < until:
        event = await leg.receive()
        assert not isinstance(event, LegEnded), event
        now = time.monotonic()
        if isinstance(event, AudioReceived):
            frames, worst_s = frames + 1, max(worst_s, now - last)
            await leg.play(_SILENCE)
        last = now
    return frames, worst_s


async def _flood(kind: Kind, port: int, per_s: int, seconds: float, source: str) -> tuple[int, float]:
    if kind == "none":
        await asyncio.sleep(seconds)
        return 0, seconds
    target = port if kind == "sip" else _BOT_RTP
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "tests.integration.telephony.flood",
            kind,
            str(target),
            str(per_s),
            str(seconds),
            source,
        ),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    out, _ = await process.communicate()
    sent, took = out.split()
    return int(sent), float(took)


def flood(kind: str, port: int, per_s: int, seconds: float, source: str) -> None:
    """Send mutated datagrams at a steady rate, and say how many they were."""
    from tests.fuzz.mutate import Mutator  # noqa: PLC0415 - for the flooding process alone
    from tests.fuzz.targets import rtp_seeds, sip_seeds  # noqa: PLC0415

    mutator = Mutator(sip_seeds() if kind == "sip" else rtp_seeds(), seed=3)
    inputs = [mutator.next()[:1400] or b"x" for _ in range(2_000)]
    dice, sent = random.Random(1), 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
        sending.bind((source, 0))
        began = time.monotonic()
        while (now := time.monotonic()) < began + seconds:
            while sent < (now - began) * per_s:
                sending.sendto(dice.choice(inputs), ("127.0.0.1", port))
                sent += 1
            time.sleep(0.001)
    print(sent, time.monotonic() - began)


async def bot() -> None:
    """Answer one call, speak silence into it, and say what it was like."""
    media = RtpMediaFactory(RtpSettings(host="127.0.0.1", port_min=_BOT_RTP, port_max=_BOT_RTP + 19))
    await media.start()
    legs: asyncio.Queue[CallLeg] = asyncio.Queue()

    def take(leg: CallLeg) -> None:
        # What the flood brings in by chance is left to ring.
        legs.put_nowait(leg)

    endpoint, sockets = await serve_sip(SipSettings(port=0), media=media, on_call=take)
    print(sockets.address[1], flush=True)
    leg = await legs.get()
    await leg.answer()

    async def speak() -> None:
        try:
            while True:
                await leg.play(_SILENCE)
        except LegEndedError:
            pass

    speaking = asyncio.create_task(speak())
    while not isinstance(await leg.receive(), LegEnded):
        pass
    await speaking
    print(json.dumps(asdict(leg.stats())), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await endpoint.close(within_s=0.2)
    await sockets.close()
    await media.stop()


def main(arguments: Sequence[str]) -> None:
    """Be the bot, or the flood."""
    if arguments[0] == "bot":
        sys.setswitchinterval(0.001)  # as a worker does
        import uvloop  # noqa: PLC0415 - as a worker does

        uvloop.run(bot())
    else:
        flood(arguments[0], int(arguments[1]), int(arguments[2]), float(arguments[3]), arguments[4])


if __name__ == "__main__":
    main(sys.argv[1:])
