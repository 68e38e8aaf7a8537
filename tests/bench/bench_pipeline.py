"""CPU of whole bot pipelines over fake legs: voice detection, turns, flow, cached speech. No network, no models.

python tests/bench/bench_pipeline.py [calls] [seconds] [speaking]

Callers are silent on a line that hisses (-61 dBFS), as most of them are while the bot speaks, or all of them speak
without end.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from pathlib import Path

import numpy as np
from prometheus_client import CollectorRegistry

sys.path.insert(0, ".")

from bot.call import Call, CallServices
from bot.flows.actions import Say
from bot.log import set_up_bot_logging
from bot.metrics import CallMetrics
from bot.recognition.audio import samples_of
from bot.services.prompt_cache import PromptCache
from bot.settings import TurnSettings
from bot.speech_batch import SpeechBatch
from bot.speech_detector import SileroSession
from telephony.leg import AudioReceived
from tests.fakes.leg import FakeLeg
from tests.integration.bot.call_stage import ListStore, ScriptedFlow, ToneSpeech, flow_of

SPEECH = Path(__file__).parents[1] / "data" / "speech"


def line(*, speaking: bool) -> list[bytes]:
    """What comes from the caller, in frames of 20 ms at 16 kHz, to be repeated."""
    noise = np.random.default_rng(1).normal(0, 30, 16_000)
    if speaking:
        clip = samples_of((SPEECH / "operator.wav").read_bytes()) * 32767
        noise = noise[np.arange(len(clip)) % len(noise)] + clip
    pcm = noise.astype(np.int16).tobytes()
    return [pcm[start : start + 640] for start in range(0, len(pcm) - 639, 640)]


class Deaf:
    """A recogniser that costs nothing."""

    idle = True

    async def transcribe(self, pcm: bytes, *, hints: tuple[str, ...]) -> str:
        return ""


async def feed(leg: FakeLeg, seconds: float, frames: list[bytes]) -> None:
    """Send a frame and let one play, every 20 ms."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    for n in range(int(seconds * 50)):
        leg.feed(AudioReceived(frames[n % len(frames)], n * 20))
        await leg.advance(20)
        await asyncio.sleep(max(0.0, began + (n + 1) * 0.02 - loop.time()))
    leg.end()


class Chatter(ScriptedFlow):
    """Says something whenever it has finished."""

    def said(self, *, now: float) -> None:
        self._out.append(Say("Salam", cacheable=True))

    def start(self, *, now: float) -> None:
        self._out.append(Say("Salam", cacheable=True))


async def run(calls: int, seconds: float, *, speaking: bool) -> float:
    model = SpeechBatch(SileroSession())
    prompts = PromptCache(max_bytes=10_000_000)
    legs = [FakeLeg(paced=True, call_id=f"{n:032x}") for n in range(calls)]
    jobs = []
    for leg in legs:
        services = CallServices(
            new_flow=flow_of(Chatter(deque())),
            recogniser=Deaf(),
            other_recogniser=None,
            speech=ToneSpeech(),
            voice="az",
            voice_hears=True,
            prompts=prompts,
            store=ListStore(),
            voice_model=model,
            metrics=CallMetrics(CollectorRegistry()),
            turns=TurnSettings(),
        )
        jobs.append(Call(leg, services).run())
    frames = line(speaking=speaking)
    began = time.process_time()
    await asyncio.gather(*jobs, *(feed(leg, seconds, frames) for leg in legs))
    return time.process_time() - began


def main() -> None:
    set_up_bot_logging(level="ERROR", process="bench")
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 10.0
    cpu = asyncio.run(run(calls, seconds, speaking="speaking" in sys.argv))
    print(f"{calls} calls, {seconds:.0f} s: {100 * cpu / seconds / calls:.2f} % of a core each")


if __name__ == "__main__":
    main()
