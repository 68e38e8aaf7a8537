"""`FlowEngine`: runs a call flow. Sans-I/O and told the time; mutate, drain with `poll()`, wait until `timer_at()`.

Rules come first (keys, phrases, slot parsers). What they do not understand goes to the understanding step, if there
is one, which may choose an intent or a value of an enum slot and nothing else; then to the language model, which may
call the functions of the state. With the engine `llm` the model is asked first, and the rules are what is left when it
fails. Who answers late is ignored, and who does not answer at all is given up on, so that no fault outside keeps a
caller waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from bot.flows import answering, calling, collecting, ladders, privacy, sufficiency, talking, turns
from bot.flows.actions import (
    Answerer,
    FlowAction,
    FlowTone,
    HangUpReason,
    LlmAnswered,
    StateEntered,
    ToolAnswered,
    Transfer,
    Understood,
)
from bot.flows.clocks import Clock
from bot.flows.flow import Flow
from bot.flows.hearing import hints, said_exactly
from bot.flows.run import Phase, Run, Step, Visit
from bot.flows.states import (
    AnsweredState,
    CallState,
    CollectState,
    DecideState,
    LlmState,
    MenuState,
    SayState,
    State,
    TransferState,
)
from bot.flows.sufficiency import Sufficiency

_MOST_STATES = 50  # entered without hearing the caller: a ring of silent states
_MOST_SILENCES = 12  # in a row, whatever the ladders say: nobody is there
_SPEECH_LIMIT_S = 30.0  # from the start of speech to its text
_KEYS = frozenset("0123456789*#")


class FlowEngine:
    """One call's run through a flow. `opened` gives the wall clock in the flow's time zone (Asia/Baku)."""

    def __init__(
        self,
        flow: Flow,
        *,
        variables: Mapping[str, str],
        opened: Callable[[], datetime],
        understanding: bool = False,
        llm: bool = False,
    ) -> None:
        """`understanding` and `llm` tell whether there is somebody to answer `Understand` and `AskLlm`."""
        self._run = Run(flow, variables=variables, opened=opened, understanding=understanding, llm=llm)
        self._talking = False  # the caller
        self._greeting = False  # what he says was said to nobody: the "hello" into a call that we placed
        self._entered = 0  # states, since the caller was last heard
        self._silences = 0  # since the caller was last heard

    # What the call reads.

    @property
    def state(self) -> str:
        """The name of the state; empty before the start."""
        return self._run.name

    @property
    def slots(self) -> Mapping[str, str]:
        """What was collected from the caller and kept from tools."""
        return {name: value for name, value in self._run.values.items() if name not in self._run.flow.variables}

    @property
    def hints(self) -> tuple[str, ...]:
        """What callers say here, for the recogniser; nothing while a yes or no is awaited."""
        return hints(self._run.flow, self._run.state) if self._run.phase is Phase.LISTENING else ()

    @property
    def interruptible(self) -> bool:
        """Whether the caller may speak over what is said in this state."""
        return self._run.interruptible

    def is_personal(self, text: str) -> bool:
        """Tell whether what the caller says here may hold a personal value, and must not be written down."""
        return privacy.is_personal(self._run, text.strip())

    def timer_at(self) -> float | None:
        """Give when `handle_timer` is next due."""
        return self._run.clocks.next_at()

    def poll(self) -> FlowAction | None:
        """Take the next action, or None."""
        return self._run.output.popleft() if self._run.output else None

    # What the call tells.

    def start(self, *, now: float) -> None:
        """Begin the call."""
        flow = self._run.flow
        if self._run.phase is Phase.NEW:
            if flow.disclosure is not None and not isinstance(flow.states[flow.start], AnsweredState):
                self._run.say(flow.disclosure, interruptible=False)
            self._go(Step(flow.start, "start"), now)

    def caller_started(self, *, now: float) -> None:
        """Note that the caller began to speak: the silence is over, and `heard` is awaited."""
        self._talking = True
        self._run.clocks.stop(Clock.NO_INPUT)
        if self._run.phase not in {Phase.NEW, Phase.ENDED}:
            self._run.clocks.start(Clock.SPEECH, at=now + _SPEECH_LIMIT_S)

    def said(self, *, now: float) -> None:
        """Note that everything said was played or cut: the time to answer begins."""
        self._run.speaking = False
        self._await_caller(now)

    def heard(self, text: str, *, now: float) -> None:
        """Take the caller's turn, as recognised; empty when it could not be."""
        run, text = self._run, text.strip()
        self._caller_is_there()
        if self._greeting:
            self._greeting = False
            self._await_caller(now)
            return
        if run.phase is Phase.THINKING and text:
            if said_exactly(run.flow, run.state, text) is None:
                talking.add(run, text, now=now)
            else:
                self._listen_again()
        if run.phase is Phase.UNDERSTANDING and text:
            self._listen_again()
        if run.phase.awaits_caller and (run.interruptible or not run.speaking):
            run.clocks.stop(Clock.NO_INPUT, Clock.KEYS)
            run.entry.clear()
            self._go(turns.take_words(run, text, now=now), now)
        self._await_caller(now)

    def suffices(self, text: str) -> Sufficiency:
        """Tell how far `text` is a whole answer here, by the rules alone; nothing changes (docs/adr/0004)."""
        return sufficiency.suffices(self._run, text.strip())

    def pressed(self, digit: str, *, now: float) -> None:
        """Take a key of the caller's keypad; A to D, and whatever else is no key, are ignored."""
        run = self._run
        if digit not in _KEYS:
            return
        self._caller_is_there()
        if run.phase in {Phase.UNDERSTANDING, Phase.THINKING} and turns.means_something(run, digit):
            self._listen_again()
        if run.phase.awaits_caller and not run.entry.is_late_finish(digit, now=now):
            run.clocks.stop(Clock.NO_INPUT)
            self._go(turns.take_key(run, digit, now=now), now)
        self._await_caller(now)

    def noticed(self, sign: Answerer | FlowTone, *, now: float) -> bool:
        """Take who answered, or a machine's tone; tells whether the flow goes elsewhere for it.

        Who answered may be told before the start, and again once a machine records.
        """
        run = self._run
        step: Step | None = None
        if not isinstance(sign, Answerer):
            step = answering.heard_tone(run, sign)
        else:
            run.answerer = sign
            if run.phase is Phase.ANSWERED and isinstance(state := run.state, AnsweredState):
                self._greeting = self._talking
                step = answering.judged(run, state)
        self._go(step, now)
        self._await_caller(now)
        return step is not None

    def understood(self, request_id: int, answer: Understood, *, now: float) -> None:
        """Take the answer to `Understand`."""
        if self._answers(Phase.UNDERSTANDING, request_id):
            self._listen_again()
            self._go(turns.take_candidate(self._run, answer.intent, now=now), now)
            self._await_caller(now)

    def tool_answered(self, request_id: int, answer: ToolAnswered, *, now: float) -> None:
        """Take the answer to `CallTool`."""
        if not self._answers(Phase.CALLING, request_id):
            return
        state = self._run.state
        if isinstance(state, LlmState):
            talking.take_tool(self._run, answer, now=now)
            return
        assert isinstance(state, CallState)
        tool = self._run.flow.tools[state.call]
        calling.keep(self._run, tool, answer)
        on = {**tool.on, **state.on}
        self._go(Step(on.get(answer.status) or on["error"], f"tool {answer.status}"), now)

    def llm_said(self, request_id: int, clause: str) -> None:
        """Take a clause of the answer to `AskLlm` that is still being written; it is said at once.

        Not while the caller speaks: his words will be another question.
        """
        if self._answers(Phase.THINKING, request_id) and not self._talking:
            talking.said(self._run, clause)

    def llm_answered(self, request_id: int, answer: LlmAnswered, *, now: float) -> None:
        """Take the answer to `AskLlm`, or the rest of it."""
        if self._answers(Phase.THINKING, request_id):
            self._listen_again()
            if self._talking:
                if not answer.calls:
                    return
                answer = replace(answer, text="")
            self._go(talking.take(self._run, answer, lambda: turns.without_model(self._run, now=now), now=now), now)
            self._await_caller(now)

    def transfer_failed(self, *, now: float) -> None:
        """Go on after a transfer that did not come about."""
        if self._run.phase is Phase.TRANSFERRING:
            state = self._run.state
            assert isinstance(state, TransferState)
            self._go(Step(state.transfer.on_fail, "transfer failed"), now)

    def handle_timer(self, *, now: float) -> None:
        """Let time pass."""
        while (clock := self._run.clocks.take_due(now=now)) is not None:
            match clock:
                case Clock.NO_INPUT:
                    self._no_input(now)
                case Clock.KEYS:
                    self._go(turns.keys_ended(self._run), now)
                case Clock.SPEECH:
                    self.heard("", now=now)
                case _:
                    self._give_up(now)
            self._await_caller(now)

    def _go(self, step: Step | None, now: float) -> None:
        """Go to a state, and on through those that do not wait."""
        run = self._run
        while step is not None:
            self._entered += 1
            if self._entered > _MOST_STATES:
                run.fail()
                return
            run.output.append(StateEntered(step.state, run.name or None, step.why))
            run.name, run.visit, run.candidate = step.state, Visit(), ""
            run.clocks.stop(Clock.NO_INPUT, Clock.KEYS, Clock.ANSWER)
            run.entry.clear()
            step = self._begin(run.state, now)

    def _begin(self, state: State, now: float) -> Step | None:
        """Do what a state does on entry; gives where to go on to, or None to wait."""
        run = self._run
        if not isinstance(state, (DecideState, AnsweredState, CollectState)) and state.say is not None:
            run.say(state.say)
        match state:
            case DecideState(decide=branches):
                return next(Step(b.target, "decided") for b in branches if b.when is None or run.holds(b.when))
            case AnsweredState():
                run.phase = Phase.ANSWERED
                run.clocks.start(Clock.ANSWER, at=now + answering.LIMIT_S)
                return answering.judged(run, state)
            case SayState(then=then):
                return Step(then, "said")
            case MenuState() | LlmState():
                run.phase = Phase.LISTENING
            case CollectState():
                return collecting.begin(run, state)
            case CallState(call=tool):
                calling.call(run, tool, now=now)
            case TransferState():
                return self._transfer(state)
            case _:
                run.hang_up(HangUpReason(state.hangup))
        return None

    def _transfer(self, state: TransferState) -> Step | None:
        to = state.transfer.to.render(self._run.values).strip()
        if not to:
            return Step(state.transfer.on_fail, "no transfer target")
        self._run.phase = Phase.TRANSFERRING
        self._run.output.append(Transfer(to))
        return None

    def _await_caller(self, now: float) -> None:
        """Start the no-input clock, unless something is being said or keyed in by either side."""
        run = self._run
        if not run.phase.awaits_caller or run.speaking or self._talking or not run.entry.is_empty:
            return
        ladder = ladders.no_input_of(run)
        if ladder is not None and not run.clocks.is_running(Clock.NO_INPUT):
            run.clocks.start(Clock.NO_INPUT, at=now + ladder.after_s)

    def _no_input(self, now: float) -> None:
        self._silences += 1
        self._entered = 0
        if self._silences > _MOST_SILENCES:
            self._run.hang_up(HangUpReason.NO_INPUT)
        else:
            self._go(ladders.no_input(self._run), now)

    def _give_up(self, now: float) -> None:
        """Treat an answer that did not come as a failure of whoever was asked."""
        request = self._run.request_id
        match self._run.phase:
            case Phase.ANSWERED:
                self.noticed(Answerer.HUMAN, now=now)
            case Phase.UNDERSTANDING:
                self.understood(request, Understood(None), now=now)
            case Phase.CALLING:
                self.tool_answered(request, ToolAnswered("error"), now=now)
            case _:
                self.llm_answered(request, LlmAnswered("", failed=True), now=now)

    def _answers(self, phase: Phase, request_id: int) -> bool:
        return self._run.phase is phase and self._run.request_id == request_id

    def _listen_again(self) -> None:
        self._run.clocks.stop(Clock.ANSWER)
        self._run.phase = Phase.LISTENING

    def _caller_is_there(self) -> None:
        self._talking = False
        self._entered = self._silences = 0
        self._run.clocks.stop(Clock.SPEECH)
