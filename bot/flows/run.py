"""What one call has come to in its flow: where it is, what it knows, what it has yet to say."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum

from bot.flows.actions import Answerer, FlowAction, FlowTone, HangUp, HangUpReason, LlmTurn, Say, SlotFilled
from bot.flows.clocks import Clock, Clocks
from bot.flows.expressions import Expression
from bot.flows.flow import Flow
from bot.flows.functions import functions
from bot.flows.keypad import KeypadEntry
from bot.flows.states import AnsweredState, CollectState, DecideState, State
from bot.flows.templates import Template

_NOTHING: Mapping[str, str] = {}


class Phase(Enum):
    """What the run waits for; events that a phase does not expect are ignored."""

    NEW = "new"
    ANSWERED = "answered"  # of a call that we placed: who did
    LISTENING = "listening"
    CONFIRMING = "confirming"  # of the slot value `candidate`
    UNDERSTANDING = "understanding"
    CALLING = "calling"
    THINKING = "thinking"
    TRANSFERRING = "transferring"
    ENDED = "ended"

    @property
    def awaits_caller(self) -> bool:
        return self in {Phase.LISTENING, Phase.CONFIRMING}


@dataclass(frozen=True, slots=True)
class Step:
    """Where to go next, and why."""

    state: str
    why: str


@dataclass(slots=True)
class Visit:
    """What is counted within one visit of a state."""

    silences: int = 0
    misses: int = 0
    refusals: int = 0
    llm_turns: int = 0
    rounds: int = 0  # of functions that the language model called for this turn
    talk: list[LlmTurn] = field(default_factory=list[LlmTurn])  # with the language model
    answer: list[str] = field(default_factory=list[str])  # what was said of an answer that is not over


def personal_names(flow: Flow) -> frozenset[str]:
    """Name the values that are masked wherever they are written down."""
    saved = (name for tool in flow.tools.values() for name, kept in tool.save.items() if kept.pii)
    return frozenset((*(name for name, slot in flow.slots.items() if slot.pii), *saved))


class Run:
    """The values, the clocks and the output of one call. Decides nothing: `turns`, `collecting` and `ladders` do."""

    def __init__(
        self,
        flow: Flow,
        *,
        variables: Mapping[str, str],
        opened: Callable[[], datetime],
        understanding: bool = False,
        llm: bool = False,
    ) -> None:
        self.flow = flow
        # what there is besides the rules; a flow of engine `rules` has nothing else
        self.understanding = understanding and flow.engine != "rules"
        self.llm = llm and flow.engine != "rules"
        self.values: dict[str, str] = dict(flow.variables)
        self.values.update((name, value) for name, value in variables.items() if name in flow.variables)
        self.output: deque[FlowAction] = deque()
        self.clocks = Clocks()
        self.entry = KeypadEntry()
        self.phase = Phase.NEW
        self.name = ""
        self.visit = Visit()
        self.candidate = ""
        self.offered: dict[str, str] = {}  # values of `also`, for states to come
        self.asked = ""  # the caller's words that the understanding step or the language model has
        self.tool = ""  # that was called last
        self.speaking = False
        self.answerer: Answerer | None = None  # as far as it is known
        self.tones: set[FlowTone] = set()  # that were followed
        self.request_id = 0
        self.personal = personal_names(flow)
        self._opened = opened
        self._functions = functions(flow.calendar, opened)

    @property
    def state(self) -> State:
        return self.flow.states[self.name]

    @property
    def today(self) -> date:
        return self._opened().date()

    @property
    def interruptible(self) -> bool:
        own = getattr(self.state, "barge_in", None) if self.name else None
        return self.flow.defaults.barge_in if own is None else bool(own)

    def holds(self, condition: Expression, more: Mapping[str, str] = _NOTHING) -> bool:
        """Evaluate a condition; `more` are values that are not kept yet."""
        return condition.holds({**self.values, **more}, self._functions)

    def say(self, text: Template, more: Mapping[str, str] = _NOTHING, *, interruptible: bool | None = None) -> None:
        """Say a prompt with the values as they are now, and `more`."""
        values = self.shown({**self.values, **more})
        masked = text.render(values, masked=self.personal).strip() if text.names() & self.personal else None
        self.emit_say(text.render(values).strip(), interruptible=interruptible, cacheable=text.is_fixed, masked=masked)

    def shown(self, values: Mapping[str, str]) -> Mapping[str, str]:
        """Name the values of enum slots as they are said."""
        labels = {
            name: slot.values[values[name]].say or values[name].replace("_", " ")
            for name, slot in self.flow.slots.items()
            if slot.values and values.get(name) in slot.values
        }
        return {**values, **labels}

    def emit_say(
        self, text: str, *, interruptible: bool | None = None, cacheable: bool = False, masked: str | None = None
    ) -> None:
        """Say a text; nothing when it is empty."""
        if text:
            may_interrupt = self.interruptible if interruptible is None else interruptible
            self.output.append(Say(text, may_interrupt, cacheable, masked))
            self.speaking = True
            self.clocks.stop(Clock.NO_INPUT)

    def ask(self) -> None:
        """Say the question of the state: the confirmation while one is awaited."""
        state = self.state
        if isinstance(state, CollectState):
            slot = self.flow.slots[state.collect]
            if self.phase is Phase.CONFIRMING and slot.confirm is not None:
                self.say(slot.confirm, {state.collect: self.candidate})
            else:
                self.say(state.say or slot.ask)
        elif not isinstance(state, (DecideState, AnsweredState)) and state.say is not None:
            self.say(state.say)

    def keep(self, name: str, value: str, *, pii: bool) -> None:
        """Keep a value and tell of it."""
        self.values[name] = value
        self.output.append(SlotFilled(name, value, pii))

    def next_request(self, phase: Phase, *, answer_at: float) -> int:
        """Give the number of a question to the outside, whose answer is awaited until `answer_at`."""
        self.phase = phase
        self.request_id += 1
        self.clocks.stop(Clock.NO_INPUT, Clock.KEYS)
        self.clocks.start(Clock.ANSWER, at=answer_at)
        return self.request_id

    def hang_up(self, reason: HangUpReason) -> None:
        """End the call."""
        self.phase = Phase.ENDED
        self.clocks.stop_all()
        self.output.append(HangUp(reason))

    def fail(self) -> None:
        """End the call for a fault of the flow, with the words that it has for that."""
        if self.flow.defaults.on_error is not None:
            self.say(self.flow.defaults.on_error, interruptible=False)
        self.hang_up(HangUpReason.ERROR)
