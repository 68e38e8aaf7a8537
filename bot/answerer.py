"""`AnswererJudge`: who answered a call that we placed, by how it is answered. Sans-I/O; `now` is monotonic seconds.

People say a word or two and wait for an answer; an answering machine goes on speaking, then beeps and records. These
are the measures of Asterisk's `app_amd`, with the voice detector's word for what is a voice, and the beep besides.

| state | voice starts | voice stops | timer | beep | fax tone |
|---|---|---|---|---|---|
| SILENT: nobody has spoken | GREETED | – | human (or the policy's) | recording | fax |
| GREETED: somebody speaks or just stopped | long or wordy: machine | long: machine | see below | recording | fax |
| MACHINE: its greeting goes on | – | – | recording | recording | fax |
| KNOWN: it need not be judged further | – | – | – | – | – |

The timer of GREETED finds a voice still going (machine), or the pause of somebody who waits for an answer (human).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from bot.flows.actions import Answerer, FlowTone
from bot.voice_activity import VoiceEvent, VoiceStarted
from telephony.leg import Tone

FLOW_TONES: Final[Mapping[Tone, FlowTone]] = {
    Tone.BUSY: "busy",
    Tone.CONGESTION: "busy",
    Tone.SPECIAL_INFORMATION: "out_of_service",
    Tone.FAX_CALLING: "fax",
    Tone.FAX_ANSWER: "fax",
    Tone.BEEP: "beep",
}
"""What a flow calls the tones."""

_FAX: Final = frozenset({Tone.FAX_CALLING, Tone.FAX_ANSWER})


@dataclass(frozen=True, slots=True)
class AnswererPolicy:
    """What is taken for whom."""

    initial_silence_ms: int = 2500  # from the answer
    silence_is: Answerer = Answerer.HUMAN  # whoever says nothing for so long
    greeting_ms: int = 2000  # people greet for less, pauses within included
    most_words: int = 3  # people say no more of them; a word ends where the voice detector hears a pause
    pause_ms: int = 800  # after which a short greeting is a human's
    recorder_silence_ms: int = 3000  # after which a machine's greeting is over, whether it beeped or not
    recorder_limit_s: float = 45.0  # of waiting for the end of a machine's greeting


class _State(Enum):
    SILENT = auto()
    GREETED = auto()
    MACHINE = auto()
    KNOWN = auto()


_AFTER: Final[Mapping[Answerer, _State]] = {
    Answerer.HUMAN: _State.KNOWN,
    Answerer.MACHINE: _State.MACHINE,
    Answerer.RECORDING: _State.KNOWN,
    Answerer.FAX: _State.KNOWN,
}


class AnswererJudge:
    """One call, from its answer at `now`. Feed it, then `poll()` until None, then wait until `timer_at()`."""

    def __init__(self, policy: AnswererPolicy, *, now: float) -> None:
        self._policy = policy
        self._verdicts: deque[Answerer] = deque()
        self._state = _State.SILENT
        self._since = now  # the answer, the first word, or the verdict "machine"
        self._quiet_since: float | None = now  # None while a voice is heard
        self._words = 0

    def voice(self, event: VoiceEvent, at: float) -> None:
        """Take what the voice detector says, of the time `at`."""
        if isinstance(event, VoiceStarted):
            self.voice_started(began_at=at)
        else:
            self.voice_stopped(ended_at=at)

    def voice_started(self, *, began_at: float) -> None:
        """Somebody speaks since `began_at`."""
        self._quiet_since = None
        if self._state is _State.SILENT:
            self._state, self._since = _State.GREETED, began_at
        if self._state is _State.GREETED:
            self._words += 1
            if self._words > self._policy.most_words or self._greeted_s(began_at) >= self._policy.greeting_ms / 1000:
                self._judge(Answerer.MACHINE, began_at)

    def voice_stopped(self, *, ended_at: float) -> None:
        """Nobody has spoken since `ended_at`."""
        self._quiet_since = ended_at
        if self._state is _State.GREETED and self._greeted_s(ended_at) >= self._policy.greeting_ms / 1000:
            self._judge(Answerer.MACHINE, ended_at)

    def tone(self, tone: Tone, *, now: float) -> None:
        """A tone was heard."""
        if self._state is _State.KNOWN:
            return
        if tone in _FAX:
            self._judge(Answerer.FAX, now)
        elif tone is Tone.BEEP:
            self._judge(Answerer.RECORDING, now)

    def timer_at(self) -> float | None:
        """When `handle_timer` is due."""
        policy, quiet_since = self._policy, self._quiet_since
        match self._state:
            case _State.SILENT:
                return self._since + policy.initial_silence_ms / 1000
            case _State.GREETED:
                ends_s = policy.greeting_ms / 1000, policy.pause_ms / 1000
                return self._since + ends_s[0] if quiet_since is None else quiet_since + ends_s[1]
            case _State.MACHINE:
                limit = self._since + policy.recorder_limit_s
                return limit if quiet_since is None else min(limit, quiet_since + policy.recorder_silence_ms / 1000)
            case _:
                return None

    def handle_timer(self, *, now: float) -> None:
        """Let time pass."""
        due = self.timer_at()
        if due is None or now < due:
            return
        match self._state:
            case _State.SILENT:
                self._judge(self._policy.silence_is, now)
            case _State.GREETED:
                self._judge(Answerer.MACHINE if self._quiet_since is None else Answerer.HUMAN, now)
            case _:
                self._judge(Answerer.RECORDING, now)

    def poll(self) -> Answerer | None:
        """Take the next verdict: one, or two where a machine was known before it records."""
        return self._verdicts.popleft() if self._verdicts else None

    def _greeted_s(self, at: float) -> float:
        return at - self._since

    def _judge(self, verdict: Answerer, at: float) -> None:
        self._verdicts.append(verdict)
        self._state, self._since = _AFTER[verdict], at
