"""What a flow engine asks of the call, and what it is told back: a closed union of frozen messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class Say:
    """Speak `text` (already fit to be shown, not yet normalised for speech)."""

    text: str
    interruptible: bool = True
    cacheable: bool = False  # no variable in it: the same bytes every call
    masked: str | None = None  # what records and pages may show of it, where it holds a personal value


@dataclass(frozen=True, slots=True)
class Candidate:
    """One thing the caller may mean, for the understanding step."""

    name: str  # intent name
    describe: str  # English, for a language model
    phrases: tuple[str, ...]  # example phrases, for embeddings


@dataclass(frozen=True, slots=True)
class Understand:
    """The rules found no match: ask the embedding model or the language model. Answer: `Understood`."""

    request_id: int
    text: str
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class CallTool:
    """Call an HTTP tool of the flow file. Answer: `ToolAnswered`."""

    request_id: int
    tool: str
    arguments: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class LlmFunction:
    """One thing that the language model may do here; it has no other way to act."""

    name: str  # Latin letters, digits and _
    describe: str  # English
    value: str = ""  # what its only argument, `value`, means; empty: it has none
    choices: tuple[str, ...] = ()  # the values that there are, where they can be listed


@dataclass(frozen=True, slots=True)
class LlmCall:
    """A function that the language model calls. Neither name nor value is to be trusted."""

    name: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class LlmTurn:
    """One line of the talk in a state; of a function, `text` is its result."""

    who: Literal["caller", "bot", "function"]
    text: str
    call: LlmCall | None = None


@dataclass(frozen=True, slots=True)
class AskLlm:
    """Let the language model answer, in words (unless not `speaks`) or by functions. Answer: `LlmAnswered`."""

    request_id: int
    text: str  # the caller's words, which `history` has too
    task: str
    persona: str = ""
    history: tuple[LlmTurn, ...] = ()  # in this state; what personal values were said by the bot is not in it
    functions: tuple[LlmFunction, ...] = ()
    speaks: bool = True


@dataclass(frozen=True, slots=True)
class Transfer:
    """Transfer the call to a target of the flow file. Answer on failure: `transfer_failed()`."""

    to: str


class HangUpReason(Enum):
    """Why the flow ended the call."""

    NORMAL = "normal"
    NO_INPUT = "no_input"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call once everything said has been played."""

    reason: HangUpReason = HangUpReason.NORMAL


@dataclass(frozen=True, slots=True)
class StateEntered:
    """For the page, logs and metrics."""

    state: str
    previous: str | None
    why: str


@dataclass(frozen=True, slots=True)
class SlotFilled:
    """For the page and the call record; mask the value where `pii`."""

    name: str
    value: str
    pii: bool


class Answerer(Enum):
    """Who answered a call that we placed. A call that came to us is a human's."""

    HUMAN = "human"
    MACHINE = "machine"  # its greeting goes on
    RECORDING = "recording"  # the greeting is over: what is said now is kept
    FAX = "fax"


FlowTone: TypeAlias = Literal["fax", "busy", "out_of_service", "beep"]
"""A tone that a flow may act on, by the key of its `tones`."""


FlowAction: TypeAlias = Say | Understand | CallTool | AskLlm | Transfer | HangUp | StateEntered | SlotFilled


@dataclass(frozen=True, slots=True)
class Understood:
    """Answer to `Understand`: the intent, or None for no match."""

    intent: str | None
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class ToolAnswered:
    """Answer to `CallTool`. `status` is a key of the tool's `on:` table (ok, conflict, error, ...)."""

    status: str
    body: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True)
class LlmAnswered:
    """Answer to `AskLlm`: what was not told by `llm_said` yet, and the functions called.

    `done` when the model says that the task is finished; `failed` when no answer came.
    """

    text: str
    done: bool = False
    failed: bool = False
    calls: tuple[LlmCall, ...] = ()
