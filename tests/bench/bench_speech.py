"""How soon the speech server is heard, and how soon it is silent: `python -m tests.bench.bench_speech`.

Starts `zeng tts serve` with espeak-ng as a process of its own and talks to it over the WebSocket, as a bot
worker does. Prints one line a figure, in milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing, asynccontextmanager

from tts_engine.client import SpeechClient
from tts_engine.link import SpeechLink
from tts_engine.protocol import SpeechRequest

SENTENCE = SpeechRequest(text="Salam, mən səsli köməkçiyəm. Sizə necə kömək edə bilərəm?")
LONG = SpeechRequest(text=SENTENCE.text * 20)  # 90 s: it is being sent when the cancel comes


@asynccontextmanager
async def served() -> AsyncGenerator[str, None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tts_engine", "serve", "--port", "0", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode()
    try:
        yield line.split()[-1]
    finally:
        process.terminate()
        await process.communicate()


async def first_audio_ms(client: SpeechClient) -> float:
    began = time.perf_counter()
    async with aclosing(client.speak(SENTENCE)) as audio:
        await anext(audio)
        heard = time.perf_counter()
        async for _ in audio:
            pass
    return (heard - began) * 1000


async def cancel_ms(url: str) -> float:
    """From `input.cancel` to `session.done`, with all audio that was on the way read."""
    link = await SpeechLink.open(url.replace("http", "ws"), timeout_s=1)
    await link.ask(LONG)
    while not isinstance(await link.receive(), bytes):
        pass
    began = time.perf_counter()
    assert await link.settle(timeout_s=5)
    took = time.perf_counter() - began
    await link.close()
    return took * 1000


def report(what: str, figures_ms: Iterable[float]) -> None:
    ordered = sorted(figures_ms)
    p95 = ordered[max(0, round(len(ordered) * 0.95) - 1)]
    print(f"{what:<44} n={len(ordered):<4} p50={statistics.median(ordered):6.1f} ms  p95={p95:6.1f} ms")


async def main(rounds: int, at_once: tuple[int, ...]) -> None:
    async with served() as url, SpeechClient(url, warm_links=2) as client:
        await first_audio_ms(client)  # the first use of soxr and of a process costs more
        report("first audio, one at a time", [await first_audio_ms(client) for _ in range(rounds)])
        for count in at_once:
            figures = await asyncio.gather(*(first_audio_ms(client) for _ in range(count)))
            report(f"first audio, {count} begun together", figures)
        report("cancel, input.cancel to session.done", [await cancel_ms(url) for _ in range(rounds)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--at-once", type=int, nargs="*", default=[8, 32])
    options = parser.parse_args()
    asyncio.run(main(options.rounds, tuple(options.at_once)))
