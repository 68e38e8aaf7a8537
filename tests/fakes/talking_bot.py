"""A bot on a virtual clock: speaks prompts, answers after a known delay, stops when cut in; may have faults.

Told each frame of the caller, it gives its own: 20 ms, 16 kHz. `wire` joins it with a caller's machine and recorder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bot.loadtest.analysis import Deed
from bot.loadtest.behaviour import CallerMachine, HangUp, Manners, Mark, Press, Speak, Step
from bot.loadtest.clips import Clip
from bot.loadtest.recorder import Recorder
from bot.loadtest.sound import LOUD_DB, RATE_HZ, level

FRAME = RATE_HZ // 50
Samples = NDArray[np.int16]


def speech(seconds: float, *, seed: int = 0, pitch_hz: tuple[float, float] = (90, 180)) -> Samples:
    """Something like a voice: a buzz whose pitch and vowels wander; never the same twice."""
    rng = np.random.default_rng(seed)
    count = round(seconds * RATE_HZ)
    points = max(4, int(seconds * 8))
    pitch = np.interp(np.linspace(0, 1, count), np.linspace(0, 1, points), rng.uniform(*pitch_hz, points))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE_HZ
    sound = np.zeros(count)
    for n in range(1, 18):
        weight = np.interp(np.linspace(0, 1, count), np.linspace(0, 1, points), rng.uniform(0.05, 1, points))
        sound += weight * np.sin(n * phase + rng.uniform(0, 6)) / n**0.5
    return (9000 * sound / np.abs(sound).max()).astype(np.int16)


@dataclass
class TalkingBot:
    """`answer_s` after the caller's last loud frame it says the next prompt; barge-in stops it within `stop_s`."""

    prompts: Sequence[Samples]
    answer_s: float = 0.4
    stop_s: float = 0.1
    greeting_s: float = 0.2
    hears_barge_in: bool = True
    stops_for_noise: bool = False
    drop_every: int = 0  # of its frames of speech every so-many-th is left out
    stall_every_s: float = 0.0  # its sound stands still for `stall_s`
    stall_s: float = 0.3
    stall_phase_s: float = 0.0  # calls of one process stall together: what its clock showed as the call began
    now: float = 0.0
    _queue: list[Samples] = field(default_factory=list)
    _next: int = 0
    _speak_at: float | None = None
    _loud_since: float | None = None
    _loud_at: float | None = None
    _sent: int = 0

    def __post_init__(self) -> None:
        self._speak_at = self.greeting_s

    def press(self) -> None:
        self._queue.clear()
        self._speak_at = self.now + self.answer_s

    def step(self, heard: Samples | None) -> Samples:
        """Take the caller's frame, give the bot's."""
        self._listen(heard is not None and level(heard) > LOUD_DB)
        if self._speak_at is not None and self.now >= self._speak_at - 1e-9:
            self._queue = self._frames(self.prompts[self._next % len(self.prompts)])
            self._next, self._speak_at = self._next + 1, None
        frame = np.zeros(FRAME, np.int16)
        stalled = (
            self.stall_every_s
            and (self.now + self.stall_phase_s) % self.stall_every_s < self.stall_s
            and self.now > self.stall_s
        )
        if self._queue and not stalled:
            frame = self._queue.pop(0)
        self.now += 0.02
        return frame

    def _frames(self, prompt: Samples) -> list[Samples]:
        frames = [prompt[at : at + FRAME] for at in range(0, len(prompt) - FRAME + 1, FRAME)]
        if self.drop_every:
            frames = [frame for index, frame in enumerate(frames) if (index + 1) % self.drop_every]
        return frames

    def _listen(self, loud: bool) -> None:
        if loud:
            self._loud_since = self.now if self._loud_since is None else self._loud_since
            self._loud_at = self.now
            if self._queue and self.hears_barge_in and self.now - self._loud_since >= self.stop_s - 0.02:
                self._queue.clear()
                self._speak_at = None
            return
        if self._loud_at is None:
            return
        silent_s = self.now - self._loud_at
        if silent_s >= 0.2 and self._loud_since is not None:
            spoke_s = self._loud_at - self._loud_since
            if not self._queue and self._speak_at is None and spoke_s > 0.2:
                self._speak_at = self._loud_at + 0.02 + self.answer_s
            self._loud_since = self._loud_at = None


def wire(
    bot: TalkingBot, script: Sequence[Step], clips: dict[str, Clip], *, seconds: float, repeat: bool = False
) -> tuple[Samples, tuple[Deed, ...], CallerMachine]:
    """Hold a call on the virtual clock; gives what the caller heard and did."""
    machine = CallerMachine(script, Manners(patience_s=0.6), repeat=repeat, until_s=seconds)
    recorder = Recorder()
    speaking: list[bytes] = []
    heard_24k: bytes | None = None
    played = tick = 0
    while recorder.length_s < seconds + 5:
        heard_24k = speaking.pop(0) if speaking else None
        played += 20 * (heard_24k is not None)
        caller = np.frombuffer(heard_24k, np.int16) if heard_24k is not None else None
        frame = bot.step(caller)
        recorder.frame(frame.tobytes(), tick * 20, played_ms=played, concealed_ms=0)
        tick += 1
        if heard_24k is not None and not speaking:
            machine.spoken(now=recorder.length_s)
        machine.hear(loud=level(frame) > LOUD_DB, now=recorder.length_s)
        while (action := machine.poll()) is not None:
            mark: Mark = machine.marks[-1] if machine.marks else Mark(0, 0, script[0].kind, 0.0)
            match action:
                case Speak(clip):
                    recorder.says(mark, clips[clip], played_ms=played)
                    speaking = list(clips[clip].frames)
                case Press(digits):
                    recorder.presses(mark, digits, instant=True)
                    bot.press()
                case HangUp():
                    return recorder.heard, recorder.deeds(), machine
    return recorder.heard, recorder.deeds(), machine
