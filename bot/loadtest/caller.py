"""`Caller`: one call over a leg, driven by a `CallerMachine`; writes what it heard to a file."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bot.loadtest.analysis import Deed, Gap
from bot.loadtest.behaviour import CallerMachine, HangUp, Phase, Press, Speak
from bot.loadtest.clips import ClipLibrary
from bot.loadtest.expectations import Told, told
from bot.loadtest.recorder import Recorder
from bot.loadtest.sound import LOUD_DB, level
from telephony.errors import LegEndedError
from telephony.leg import AudioReceived, CallLeg, FramesDropped, LegEnded, LegStats, MessageReceived


@dataclass(frozen=True, slots=True)
class CallTaken:
    """What is left of a call for the analysis; the recording lies in `path` as raw PCM16, 16 kHz."""

    call: str
    call_id: str
    scenario: str
    began_s: float
    media_began_s: float
    answer_ms: float | None
    length_s: float
    path: Path | None
    deeds: tuple[Deed, ...]
    unanswered: tuple[int, ...]
    concealed: tuple[Gap, ...]
    stats: LegStats
    frames_dropped: int
    told: tuple[Told, ...]  # by the bot to its page
    ended: str  # a cause; "" where the caller ended it by its script
    cut: bool  # by the end of the stage


class Caller:
    """Runs one call: `run()` returns once the leg has ended."""

    def __init__(
        self, leg: CallLeg, machine: CallerMachine, clips: ClipLibrary, *, on_turn: Callable[[], None]
    ) -> None:
        self._leg = leg
        self._machine = machine
        self._clips = clips
        self._on_turn = on_turn
        self._recorder = Recorder()
        self._acts: set[asyncio.Task[None]] = set()
        self._dropped = 0
        self._told: list[Told] = []
        self._hanging_up = False
        self._fault = ""

    async def run(self, blank: CallTaken, folder: Path) -> CallTaken:
        """Hold the call; fills in what `blank` lacks."""
        media_began_s = time.monotonic()
        ended = ""
        try:
            while True:
                event = await self._leg.receive()
                match event:
                    case AudioReceived():
                        self._hear(event)
                    case MessageReceived(text):
                        message = told(text, now=self._recorder.length_s)
                        self._told += [message] if message is not None else []
                    case FramesDropped(count):
                        self._dropped += count
                    case LegEnded(cause, detail):
                        ended = "" if self._hanging_up else f"{cause.value} {detail}".strip()
                        break
                    case _:
                        pass
        except LegEndedError:
            pass
        finally:
            for act in self._acts:
                act.cancel()
            await asyncio.gather(*self._acts, return_exceptions=True)
        path = folder / f"{blank.call}.pcm"
        await asyncio.to_thread(path.write_bytes, self._recorder.heard.tobytes())
        return replace(
            blank,
            media_began_s=media_began_s,
            length_s=self._recorder.length_s,
            path=path,
            deeds=self._recorder.deeds(),
            unanswered=tuple(self._machine.unanswered),
            concealed=self._recorder.concealed_gaps(),
            stats=self._leg.stats(),
            frames_dropped=self._dropped,
            told=tuple(self._told),
            ended=ended or self._fault,
        )

    def _hear(self, event: AudioReceived) -> None:
        frame = np.frombuffer(event.pcm, np.int16)
        stats = self._leg.stats()
        self._recorder.frame(
            event.pcm, event.media_time_ms, played_ms=self._leg.played_ms, concealed_ms=stats.concealed_ms
        )
        self._machine.hear(loud=level(frame) > LOUD_DB, now=self._recorder.length_s)
        while (action := self._machine.poll()) is not None:
            self._on_turn()
            match action:
                case Speak():
                    self._start(self._speak(action))
                case Press(digits):
                    mark = self._machine.marks[-1]
                    self._recorder.presses(mark, digits, instant=self._leg.info.transport == "webrtc")
                    self._start(self._press(digits))
                case HangUp():
                    self._hanging_up = True
                    self._start(self._leg.hang_up())

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._acts.add(task)
        task.add_done_callback(self._acted)

    def _acted(self, task: asyncio.Task[None]) -> None:
        self._acts.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # What the leg would not do, such as keys where the bot agreed to none, is the call's failure.
            self._fault = self._fault or f"{type(error).__name__}: {error}"

    async def _speak(self, action: Speak) -> None:
        clip = self._clips.get(action.clip)
        self._recorder.says(self._machine.marks[-1], clip, played_ms=self._leg.played_ms)
        try:
            for frame in clip.frames:
                await self._leg.play(frame)
            await self._leg.drain()
        except LegEndedError:
            return
        if self._machine.phase is Phase.ACTING:
            self._machine.spoken(now=self._recorder.length_s)

    async def _press(self, digits: str) -> None:
        try:
            await self._leg.send_digits(digits)
        except LegEndedError:
            return
