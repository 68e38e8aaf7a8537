"""End of the caller's speech to the bot's first sound, from the sound of both sides, over real SIP calls.

    OMP_NUM_THREADS=1 python tests/bench/bench_turns.py [calls]

Starts the product (`zeng demo`) and calls it: each call asks for the opening hours five times by voice and three by
key. The caller's end is the last loud frame that left; the bot's beginning is the first loud frame that came out of
the caller's playout buffer. Stage shares are the bot's own, from its metrics.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.e2e.caller import Caller, clip_24k
from tests.e2e.conftest import CLIPS, Phones, open_phones
from tests.e2e.service import RunningService, running_service

_KEY_EVENT_S = 0.1  # an RFC 4733 event is reported at its end


async def answer_time(caller: Caller, spoke_at: float) -> float:
    """Milliseconds until the bot is heard; then let it finish."""
    heard_at = await caller.until_bot_speaks(seconds=20)
    await caller.until_bot_is_silent(seconds=60)
    return (heard_at - spoke_at) * 1000


async def one_call(phones: Phones, clip: bytes) -> tuple[list[float], list[float]]:
    loop = asyncio.get_running_loop()
    caller = await phones.call()
    await caller.until_bot_speaks()
    await caller.until_bot_is_silent(seconds=60)
    voice = [await answer_time(caller, await caller.say(clip)) for _ in range(5)]
    keys = list[float]()
    for _ in range(3):
        pressed_at = loop.time()
        sending = asyncio.create_task(caller.leg.send_digits("2"))
        keys.append(await answer_time(caller, pressed_at + _KEY_EVENT_S))
        await sending
    await caller.hang_up()
    return voice, keys


def row(name: str, values: list[float]) -> str:
    p50, p95 = np.percentile(values, [50, 95])
    return f"| {name} | {len(values)} | {p50:.0f} | {p95:.0f} | {max(values):.0f} |"


async def measure(service: RunningService, calls: int) -> None:
    clip = clip_24k(CLIPS / "is-saatlari.wav")
    voice, keys = list[float](), list[float]()
    async with open_phones(service.sip) as phones:
        for _ in range(calls):
            spoken, pressed = await one_call(phones, clip)
            voice += spoken
            keys += pressed
    samples = await service.samples()
    print("| turns | n | p50 ms | p95 ms | max ms |\n|---|--:|--:|--:|--:|")
    print(row("by voice, recognition included", voice))
    print(row("by key", keys))
    count = samples["zeng_turn_latency_seconds_count"]
    print("\n| stage, as the bot sees it | mean ms of all turns |\n|---|--:|")
    for stage in ("endpoint", "recognition", "flow", "speech", "playout"):
        print(f"| {stage} | {1000 * samples[f'zeng_turn_stage_seconds_sum|stage={stage}'] / count:.0f} |")


def main() -> None:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    with tempfile.TemporaryDirectory() as folder, running_service(Path(folder)) as service:
        asyncio.run(measure(service, calls))


if __name__ == "__main__":
    main()
