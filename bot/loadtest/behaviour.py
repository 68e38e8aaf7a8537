"""`CallerMachine`: what a reactive caller does, told each frame of the bot's sound; media time, in seconds.

It speaks only after the bot has finished, unless its script says to cut in. What it did is kept as marks for the
analysis; what it wants done comes out of `poll`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias


class StepKind(Enum):
    """What one step of a script is."""

    SAY = "say"  # once the bot has finished
    CUT_IN = "cut_in"  # while the bot speaks; it is to stop
    COUGH = "cough"  # while the bot speaks; it is not to stop
    PRESS = "press"
    SILENCE = "silence"  # until the bot speaks of its own accord
    HANG_UP = "hang_up"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that the caller does."""

    kind: StepKind
    clip: str = ""  # SAY, CUT_IN, COUGH
    digits: str = ""  # PRESS; personal
    after_s: float | None = None  # CUT_IN, COUGH, HANG_UP: so long into the bot's speech; None: once it has finished


@dataclass(frozen=True, slots=True)
class Speak:
    """Play a clip; tell `spoken` when its last frame has left."""

    clip: str
    step: int


@dataclass(frozen=True, slots=True)
class Press:
    """Press keys."""

    digits: str
    step: int


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call."""


Action: TypeAlias = Speak | Press | HangUp


@dataclass(frozen=True, slots=True)
class Mark:
    """Something the caller began to do at `at` of media time; `step` counts steps done, repeats included."""

    step: int
    index: int  # of the script
    kind: StepKind
    at: float


class Phase(Enum):
    """Where the machine is."""

    WAITING = "waiting"  # for the moment of the next step
    ACTING = "acting"  # a clip is being spoken
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Manners:
    """How patient a caller is; seconds."""

    patience_s: float = 0.9  # silence after which the bot has finished
    answer_s: float = 12.0  # without any sound from the bot: the turn is missed, the next step begins
    silence_s: float = 30.0  # of a SILENCE step
    linger_s: float = 0.0  # from a reply's end to the caller's next word, beyond the patience; up to so long


class CallerMachine:
    """One caller. `hear` each frame, drain `poll`; `spoken` when a clip has been sent."""

    def __init__(
        self,
        script: Sequence[Step],
        manners: Manners,
        *,
        repeat: bool,
        until_s: float,
        dice: Callable[[], float] = lambda: 1.0,
    ) -> None:
        """`repeat` starts over with the script's first step until media time is `until_s`; then the call is ended.

        `dice` gives numbers from 0 to 1: what part of `linger_s` each wait takes.
        """
        self._script = tuple(script)
        self._manners = manners
        self._dice = dice
        self._linger_s = manners.linger_s * dice()
        self._repeat = repeat
        self._until = until_s
        self._actions: deque[Action] = deque()
        self._phase = Phase.WAITING
        self._index = 0
        self._step = 0
        self._since = 0.0  # the current wait began
        self._bot_began: float | None = None  # its present speech
        self._bot_loud_at: float | None = None  # since the wait began
        self._sound_at: float | None = None  # since the call began
        self.marks: list[Mark] = []
        self.unanswered: list[int] = []  # steps after which the bot was not heard
        self._ready: dict[StepKind, Callable[[Step, float], bool]] = {
            StepKind.SAY: self._has_finished,
            StepKind.PRESS: self._has_finished,
            StepKind.CUT_IN: self._is_into_speech,
            StepKind.COUGH: self._is_into_speech,
            StepKind.SILENCE: self._has_finished,
            StepKind.HANG_UP: self._is_into_speech,
        }

    @property
    def phase(self) -> Phase:
        """Where it is."""
        return self._phase

    def hear(self, *, loud: bool, now: float) -> None:
        """Take one frame that ends at `now`."""
        if loud:
            if self._bot_began is None:
                self._bot_began = now
            self._bot_loud_at = self._sound_at = now
        elif self._sound_at is not None and now - self._sound_at >= self._manners.patience_s - 1e-9:
            self._bot_began = None
        if self._phase is Phase.WAITING:
            self._consider(now)

    def spoken(self, *, now: float) -> None:
        """The clip has left; wait for the bot."""
        if self._phase is Phase.ACTING:
            self._next(now)

    def poll(self) -> Action | None:
        """Give the next thing to do."""
        return self._actions.popleft() if self._actions else None

    def _consider(self, now: float) -> None:
        if now >= self._until:
            self._finish()
            return
        if self._index >= len(self._script):
            if self._has_finished(None, now) or self._waited_out(now, self._manners.answer_s):
                self._finish()
            return
        step = self._script[self._index]
        patience_s = self._manners.silence_s if self._just_silent() else self._manners.answer_s
        if self._ready[step.kind](step, now):
            self._act(step, now)
        elif self._waited_out(now, patience_s):
            self.unanswered.append(self._step)
            self._act(step, now)

    def _just_silent(self) -> bool:
        return bool(self.marks) and self.marks[-1].kind is StepKind.SILENCE

    def _has_finished(self, _: Step | None, now: float) -> bool:
        quiet_s = self._manners.patience_s + self._linger_s
        return self._bot_loud_at is not None and now - self._bot_loud_at >= quiet_s - 1e-9

    def _is_into_speech(self, step: Step, now: float) -> bool:
        if step.after_s is None:
            return self._has_finished(step, now)
        return self._bot_began is not None and self._bot_loud_at == now and now - self._bot_began >= step.after_s - 1e-9

    def _waited_out(self, now: float, seconds: float) -> bool:
        # A bot that does not stop speaking is as little of an answer as silence is.
        heard_at = self._bot_loud_at if self._bot_loud_at is not None else self._since
        return now - max(self._since, heard_at) >= seconds

    def _act(self, step: Step, now: float) -> None:
        self.marks.append(Mark(self._step, self._index, step.kind, now))
        match step.kind:
            case StepKind.SAY | StepKind.CUT_IN | StepKind.COUGH:
                self._phase = Phase.ACTING
                self._actions.append(Speak(step.clip, self._step))
            case StepKind.PRESS:
                self._actions.append(Press(step.digits, self._step))
                self._next(now)
            case StepKind.SILENCE:
                self._next(now)
            case _:
                self._finish()

    def _next(self, now: float) -> None:
        self._phase = Phase.WAITING
        self._since = now
        self._linger_s = self._manners.linger_s * self._dice()
        self._bot_loud_at = None
        if self._sound_at != now:
            self._bot_began = None  # what it says next is another speech
        self._step += 1
        self._index += 1
        if self._repeat and self._index >= len(self._script):
            self._index = 0

    def _finish(self) -> None:
        self._phase = Phase.DONE
        self._actions.append(HangUp())
