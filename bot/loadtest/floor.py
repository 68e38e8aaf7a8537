"""The floor: how long sound takes to an echo on this machine and back, measured as every other latency is."""

from __future__ import annotations

import asyncio
import time

from bot.loadtest.analysis import Deed
from bot.loadtest.behaviour import Mark, StepKind
from bot.loadtest.clips import ClipLibrary
from bot.loadtest.lines import CallFailed, Line
from bot.loadtest.recorder import Recorder
from bot.loadtest.sound import Samples, levels, stretches
from telephony.leg import AudioReceived, LegEnded

_EVERY_S = 1.0
_LONGEST_S = 0.9


async def measure_floor(line: Line | None, clips: ClipLibrary, hold_s: float) -> tuple[float, ...]:
    """Call an echo for so long and send it a tone each second; gives each round trip in ms; none without a line.

    What does not come back in time, or an echo that cannot be called, is the longest that is waited for: the worse a
    generator does, the less of its tones it hears.
    """
    if line is None:
        return ()
    try:
        rung = await line.call()
    except CallFailed:
        return (1000 * _LONGEST_S,)
    leg, tone, recorder = rung.leg, clips.get("tone"), Recorder()
    until = time.monotonic() + hold_s

    async def speak() -> None:
        count = 0
        while time.monotonic() < until - _EVERY_S:
            await asyncio.sleep(_EVERY_S)
            recorder.says(Mark(count, 0, StepKind.SAY, recorder.length_s), tone, played_ms=leg.played_ms)
            for frame in tone.frames:
                await leg.play(frame)
            count += 1
        await asyncio.sleep(min(_LONGEST_S, hold_s / 4))
        await leg.hang_up()

    speaking = asyncio.create_task(speak())
    while not isinstance(event := await leg.receive(), LegEnded):
        if isinstance(event, AudioReceived):
            recorder.frame(event.pcm, event.media_time_ms, played_ms=leg.played_ms, concealed_ms=0)
    await speaking
    return round_trips(recorder.heard, recorder.deeds())


def round_trips(heard: Samples, deeds: tuple[Deed, ...]) -> tuple[float, ...]:
    """From each deed's first sound to the first sound of its echo, in ms; `_LONGEST_S` for what did not come back."""
    sounds = stretches(levels(heard))
    found: list[float] = []
    for deed in deeds:
        echo = next((one for one in sounds if 0 <= one.begin_s - deed.begin_s < _LONGEST_S), None)
        found.append(1000 * (_LONGEST_S if echo is None else echo.begin_s - deed.begin_s))
    return tuple(found)
