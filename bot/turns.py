"""`TurnMachine`: who may speak now. Sans-I/O; `now` is the bot's monotonic clock, in seconds.

A pause of the caller starts recognition, early, since that takes longer than most pauses within speech; the turn
ends when the recognised text is a *whole* answer to the flow (a choice in its own words) and it has been quiet for
`whole_pause_ms`, when it *suffices* (yes, a full slot) and that was `min_pause_ms`, or else after `end_of_turn_ms`. So
a complete answer is not made to wait, and a hesitation is not cut off. Where a model judges the sound of the pause,
"finished" is as good as a text that suffices, and "unfinished" gives the caller `unfinished_turn_ms`.

The sound ends before the voice does: the speech model hears one for 80 to 140 ms more and needs a pause after that. A
whole answer need not wait for the model; any other text does.

| state | voice started | sound faded | sound returned | voice stopped | text | judgement | timer | bot stopped |
|---|---|---|---|---|---|---|---|---|
| LISTENING | CALLER, or MUTED under speech that may not be interrupted | – | – | – | – | – | – | – |
| MUTED | – | – | – | LISTENING | – | – | – | CALLER |
| CALLER | – | FADED | – | PAUSED | kept where texts add up | – | – | – |
| FADED | – | – | CALLER | PAUSED | ends the turn once it is whole and quiet long enough | – | the same | – |
| PAUSED | CALLER | – | – | – | ends the turn once its pause is long enough | the same | the same | – |
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias


class TurnState(Enum):
    """Where the floor is."""

    LISTENING = auto()
    MUTED = auto()  # the caller talks into speech that may not be interrupted
    CALLER = auto()
    FADED = auto()  # no sound for a moment, though the speech model still hears a voice
    PAUSED = auto()  # the caller was silent for a moment; recognition runs


@dataclass(frozen=True, slots=True)
class TurnPolicy:
    """How patient the bot is."""

    whole_pause_ms: int = 200  # silence that ends a turn whose text is a whole answer
    min_pause_ms: int = 224  # silence that ends a turn whose text suffices or that was judged finished
    end_of_turn_ms: int = 800  # silence that ends any other
    unfinished_turn_ms: int = 1600  # the same for one that was judged unfinished
    recognition_timeout_ms: int = 4000  # silence after which a turn without text ends unintelligible


@dataclass(frozen=True, slots=True)
class CallerStarted:
    """The caller took the floor."""


@dataclass(frozen=True, slots=True)
class Interrupt:
    """The caller spoke over the bot: stop its sound now."""


@dataclass(frozen=True, slots=True)
class CallerPaused:
    """Recognise what was said since the turn began."""


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The caller's turn is over. All times are on the bot's monotonic clock."""

    text: str  # "" when nothing was recognised
    speech_ended_at: float
    recognised_at: float | None
    sufficed: bool  # ended by its text, not by the clock


TurnEvent: TypeAlias = CallerStarted | Interrupt | CallerPaused | TurnEnded


class TurnMachine:
    """Feed it, then `poll()` until None, then wait until `timer_at()`."""

    def __init__(self, policy: TurnPolicy, *, texts_add_up: bool = False) -> None:
        """`texts_add_up`: texts come while the caller speaks, each with those before it (Pipecat's services).

        Else a text is of the pause that asked for it: one that comes as the caller has gone on is of an earlier pause.
        """
        self._policy = policy
        self._texts_add_up = texts_add_up
        self._events: deque[TurnEvent] = deque()
        self._state = TurnState.LISTENING
        self._bot_speaking = False
        self._interruptible = True
        self._began_at = 0.0
        self._ended_at = 0.0
        self._text: str | None = None
        self._earlier = ""  # where texts add up: of the turn's earlier pauses, should no other come (it was a cough)
        self._recognised_at: float | None = None
        self._sufficed = False
        self._whole = False
        self._finished: bool | None = None  # as judged; None: not judged

    @property
    def state(self) -> TurnState:
        """Where the floor is."""
        return self._state

    @property
    def began_at(self) -> float:
        """When the turn under way began, or else the last one."""
        return self._began_at

    def bot_started(self, *, interruptible: bool) -> None:
        """The bot has something to say; `interruptible` holds until `bot_stopped`."""
        self._bot_speaking = True
        self._interruptible = interruptible

    def bot_stopped(self, *, now: float) -> None:
        """All that the bot had to say has been played or dropped."""
        self._bot_speaking = False
        self._interruptible = True
        if self._state is TurnState.MUTED:
            self._begin(now)

    def key_pressed(self) -> None:
        """Stop what may be interrupted: who presses a key has heard enough."""
        if self._bot_speaking and self._interruptible:
            self._events.append(Interrupt())

    def voice_started(self, *, began_at: float) -> None:
        """The detector hears the caller since `began_at`."""
        if self._state is TurnState.PAUSED:
            self._state = TurnState.CALLER
            if self._texts_add_up:
                self._earlier = self._text or self._earlier
            self._forget_pause()
        elif self._state is TurnState.LISTENING:
            if self._bot_speaking and not self._interruptible:
                self._state = TurnState.MUTED
            else:
                self._begin(began_at)

    def voice_stopped(self, *, ended_at: float) -> None:
        """The detector has heard nothing since `ended_at`."""
        if self._state is TurnState.MUTED:
            self._state = TurnState.LISTENING
        elif self._state in (TurnState.CALLER, TurnState.FADED):
            self._state = TurnState.PAUSED
            self._ended_at = ended_at
            self._events.append(CallerPaused())

    def sound_faded(self, *, ended_at: float) -> None:
        """There has been no sound since `ended_at`; the voice has not stopped yet."""
        if self._state is TurnState.CALLER:
            self._state = TurnState.FADED
            self._ended_at = ended_at

    def sound_returned(self) -> None:
        """There is sound again before the voice has stopped."""
        if self._state is TurnState.FADED:
            self._state = TurnState.CALLER
            self._forget_pause()

    def recognised(self, text: str, *, sufficient: bool, whole: bool = False, now: float) -> None:
        """The text of the turn so far; it replaces what was recognised before. What is `whole` is `sufficient`."""
        if self._state in (TurnState.LISTENING, TurnState.MUTED):
            return  # too late: the turn has ended
        if self._state is TurnState.CALLER and not self._texts_add_up:
            return  # too late: the next pause would end by it, without what is said now
        self._text = text
        self._recognised_at = now
        quiet = self._state is not TurnState.CALLER  # else what was said since may change it
        self._sufficed, self._whole = sufficient and quiet, whole and quiet
        self.handle_timer(now=now)

    def judged(self, *, finished: bool, now: float) -> None:
        """What a model says of the pause under way; one that is over is no longer judged."""
        if self._state is TurnState.PAUSED:
            self._finished = finished
            self.handle_timer(now=now)

    def timer_at(self) -> float | None:
        """When `handle_timer` is due."""
        if self._state is TurnState.PAUSED or (self._state is TurnState.FADED and self._whole):
            return self._ended_at + self._patience_ms() / 1000
        return None

    def handle_timer(self, *, now: float) -> None:
        """Let time pass."""
        due = self.timer_at()
        if due is not None and now >= due:
            self._end()

    def poll(self) -> TurnEvent | None:
        """Take the next event."""
        return self._events.popleft() if self._events else None

    def _patience_ms(self) -> int:
        if self._text is None:
            return self._policy.recognition_timeout_ms
        if self._whole:
            return self._policy.whole_pause_ms
        if self._sufficed or self._finished:
            return self._policy.min_pause_ms
        return self._policy.end_of_turn_ms if self._finished is None else self._policy.unfinished_turn_ms

    def _forget_pause(self) -> None:
        self._text = self._recognised_at = self._finished = None
        self._sufficed = self._whole = False

    def _begin(self, began_at: float) -> None:
        self._state = TurnState.CALLER
        self._began_at = began_at
        self._earlier = ""
        self._forget_pause()
        self._events.append(CallerStarted())
        if self._bot_speaking:
            self._events.append(Interrupt())

    def _end(self) -> None:
        self._state = TurnState.LISTENING
        self._events.append(
            TurnEnded(
                text=self._text or self._earlier,
                speech_ended_at=self._ended_at,
                recognised_at=self._recognised_at,
                sufficed=self._sufficed,
            )
        )
