"""A call without telephone, models or network: feeds a flow engine turn by turn and answers what it asks for.

Time is counted, not waited for. Used by flow tests, by `zeng flow chat` and by our own tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from bot.flows.actions import (
    Answerer,
    AskLlm,
    CallTool,
    FlowAction,
    FlowTone,
    HangUp,
    LlmAnswered,
    Say,
    StateEntered,
    ToolAnswered,
    Transfer,
    Understand,
    Understood,
)
from bot.flows.engine import FlowEngine
from bot.flows.flow import Flow

_TURN_S = 1.0  # that each turn takes


def failing(_: CallTool) -> ToolAnswered:
    """Fail every tool."""
    return ToolAnswered("error")


def scripted(answers: Mapping[str, Sequence[ToolAnswered]]) -> Callable[[CallTool], ToolAnswered]:
    """Answer each tool from its list, in order; the last answer stays, and tools without a list fail."""
    left = {name: list(found) for name, found in answers.items()}

    def answer(call: CallTool) -> ToolAnswered:
        found = left.get(call.tool)
        if not found:
            return failing(call)
        return found.pop(0) if len(found) > 1 else found[0]

    return answer


def _in_order(answers: Sequence[LlmAnswered]) -> Callable[[AskLlm], LlmAnswered]:
    left = list(answers)
    return lambda _: left.pop(0) if left else LlmAnswered("", failed=True)


class Rehearsal:
    """One rehearsed call. Tools that are not given fail; so does the language model when its answers are used up."""

    def __init__(
        self,
        flow: Flow,
        *,
        at: datetime,
        variables: Mapping[str, str] | None = None,
        tools: Callable[[CallTool], ToolAnswered] = failing,
        llm: Sequence[LlmAnswered] | Callable[[AskLlm], LlmAnswered] | None = None,
        understand: Callable[[Understand], Understood] | None = None,
        placed: bool = False,
    ) -> None:
        """`placed`: a call of ours, so that `answered_by` is to tell who answered it."""
        self.engine = FlowEngine(
            flow,
            variables=variables or {},
            opened=lambda: at,
            understanding=understand is not None,
            llm=llm is not None,
        )
        self.now = 0.0
        if not placed:
            self.engine.noticed(Answerer.HUMAN, now=self.now)
        self.actions: list[FlowAction] = []  # of the last turn
        self.calls: list[CallTool] = []
        self.ended: HangUp | Transfer | None = None
        self._tools = tools
        self._llm = llm if callable(llm) else _in_order(llm or ())
        self._understand = understand

    @property
    def said(self) -> str:
        """What the bot said in the last turn."""
        return " ".join(action.text for action in self.actions if isinstance(action, Say))

    @property
    def visited(self) -> list[str]:
        """The states entered in the last turn."""
        return [action.state for action in self.actions if isinstance(action, StateEntered)]

    def start(self) -> None:
        """Begin the call."""
        self.actions = []
        self.engine.start(now=self.now)
        self._settle()

    def hear(self, text: str) -> None:
        """Let the caller say something."""
        self._next_turn()
        self.engine.caller_started(now=self.now)
        self.engine.heard(text, now=self.now)
        self._settle()

    def hear_late(self, text: str) -> None:
        """Let it be recognised what the caller began to say before."""
        self._next_turn()
        self.engine.heard(text, now=self.now)
        self._settle()

    def press(self, keys: str) -> None:
        """Let the caller press keys, one after the other."""
        self._next_turn()
        for key in keys:
            self.engine.pressed(key, now=self.now)
            self._settle()

    def wait(self) -> None:
        """Let time pass until the engine acts of its own accord; nothing happens if it waits for nothing."""
        self._next_turn()
        due = self.engine.timer_at()
        if due is not None:
            self.now = max(self.now, due)
            self.engine.handle_timer(now=self.now)
        self._settle()

    def transfer_failed(self) -> None:
        """Let the transfer fail."""
        self._next_turn()
        self.ended = None
        self.engine.transfer_failed(now=self.now)
        self._settle()

    def answered_by(self, who: Answerer) -> None:
        """Let it be known who answered."""
        self._next_turn()
        self.engine.noticed(who, now=self.now)
        self._settle()

    def tone(self, tone: FlowTone) -> None:
        """Let a tone be heard."""
        self._next_turn()
        self.engine.noticed(tone, now=self.now)
        self._settle()

    def _next_turn(self) -> None:
        self.now += _TURN_S
        self.actions = []

    def _settle(self) -> None:
        """Play what is said and answer what is asked until the engine waits for the caller."""
        while (action := self.engine.poll()) is not None:
            self.actions.append(action)
            match action:
                case CallTool():
                    self.calls.append(action)
                    self.engine.tool_answered(action.request_id, self._tools(action), now=self.now)
                case Understand() if self._understand is not None:
                    self.engine.understood(action.request_id, self._understand(action), now=self.now)
                case AskLlm():
                    self.engine.llm_answered(action.request_id, self._llm(action), now=self.now)
                case HangUp() | Transfer():
                    self.ended = action
                case _:
                    pass
        self.engine.said(now=self.now)
