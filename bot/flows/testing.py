"""Tests of flows as YAML: turns of a caller and what is expected of the bot, run without services in milliseconds.

The keys are those of Pipecat's evals (`scenarios`, `turns`, `user`, `dtmf`, `expect`, `text_contains`,
`text_excludes`), and ours: `silence`, `transfer_failed`, `answered_by`, `tone`, `state`, `visited`, `slots`, `ended`,
and `mock` for tools.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path as FilePath
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from bot.flows.actions import (
    Answerer,
    FlowTone,
    HangUp,
    LlmAnswered,
    LlmCall,
    ToolAnswered,
    Transfer,
    Understand,
    Understood,
)
from bot.flows.flow import Flow
from bot.flows.loader import problems_from, read_text
from bot.flows.problems import FlowFileError
from bot.flows.rehearsal import Rehearsal, scripted
from bot.flows.source import Document, Path, parse_document

_STRICT = ConfigDict(extra="forbid", frozen=True)
_MONDAY_NOON = datetime(2026, 11, 23, 12, 0)  # noqa: DTZ001 (wall clock of the flow's own zone)


def _as_text(value: object) -> object:
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _as_list(value: object) -> object:
    return value if isinstance(value, list) else [value]


class Mock(BaseModel):
    """One answer of a tool."""

    model_config = _STRICT

    status: str = "ok"
    body: dict[str, object] = Field(default_factory=dict[str, object])


class Reply(BaseModel):
    """One answer of the language model."""

    model_config = _STRICT

    text: str = ""
    done: bool = False
    failed: bool = False
    calls: dict[str, Annotated[str, BeforeValidator(_as_text)]] = Field(default_factory=dict[str, str])  # name: value


class Expectation(BaseModel):
    """What must hold after a turn. `event: response` is Pipecat's name for what the bot says."""

    model_config = _STRICT

    event: Literal["response"] = "response"
    text_contains: str | None = None
    text_excludes: str | None = None
    state: str | None = None
    visited: Annotated[tuple[str, ...], BeforeValidator(_as_list)] = ()
    slots: dict[str, Annotated[str, BeforeValidator(_as_text)]] = Field(default_factory=dict[str, str])
    ended: Annotated[tuple[str, ...], BeforeValidator(_as_list)] | None = None  # [hangup, normal], [transfer, sip:...]


class Turn(BaseModel):
    """One thing that the caller does, and what is expected then."""

    model_config = _STRICT

    user: str | None = None
    dtmf: Annotated[str, BeforeValidator(_as_text), Field(pattern=r"^[0-9*#]+$")] | None = None
    silence: Literal[True] | None = None
    transfer_failed: Literal[True] | None = None
    answered_by: Answerer | None = None  # of a `placed` call
    tone: FlowTone | None = None
    expect: tuple[Expectation, ...] = ()

    @model_validator(mode="after")
    def _does_one_thing(self) -> Self:
        done = [self.user, self.dtmf, self.silence, self.transfer_failed, self.answered_by, self.tone]
        if sum(thing is not None for thing in done) != 1:
            raise ValueError(
                "a turn has exactly one of user, dtmf, silence, transfer_failed, answered_by, tone: split it"
            )
        return self


class Scenario(BaseModel):
    """One call."""

    model_config = _STRICT

    name: str
    at: datetime = _MONDAY_NOON
    variables: dict[str, str] = Field(default_factory=dict[str, str])
    placed: bool = False  # whether the service called, and has yet to hear who answers
    mock: dict[str, Annotated[tuple[Mock, ...], BeforeValidator(_as_list)]] = Field(
        default_factory=dict[str, tuple[Mock, ...]]
    )
    llm: tuple[Reply, ...] | None = None  # what the language model answers, in order; None: there is none
    understand: dict[str, str] | None = None  # what the understanding step makes of which words
    greeting: tuple[Expectation, ...] = ()
    turns: tuple[Turn, ...] = ()


class Suite(BaseModel):
    """A test file."""

    model_config = _STRICT

    name: str = ""
    scenarios: tuple[Scenario, ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Failure:
    """An expectation that did not hold, at its line of the test file."""

    line: int
    message: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one scenario went."""

    name: str
    line: int
    failures: tuple[Failure, ...]


def load_suite(path: FilePath) -> tuple[Suite, Document]:
    """Load a test file; raise `FlowFileError` with every mistake in it."""
    document = parse_document(read_text(path), file=str(path))
    try:
        return Suite.model_validate(document.data), document
    except ValidationError as error:
        raise FlowFileError(problems_from(error, document, Suite)) from None


def run_suite(flow: Flow, suite: Suite, document: Document) -> list[Outcome]:
    """Run every scenario against the flow."""
    return [
        Outcome(
            scenario.name,
            document.line_of(("scenarios", index)),
            tuple(
                Failure(document.line_of(("scenarios", index, *path)), message)
                for path, message in run_scenario(flow, scenario)
            ),
        )
        for index, scenario in enumerate(suite.scenarios)
    ]


def run_scenario(
    flow: Flow, scenario: Scenario, *, watch: Callable[[Rehearsal], None] = lambda _: None
) -> Iterator[tuple[Path, str]]:
    """Run one scenario; gives the path of each expectation that does not hold, and what was instead.

    `watch` sees the call after each turn.
    """
    call = Rehearsal(
        flow,
        at=scenario.at,
        variables=scenario.variables,
        tools=scripted(
            {name: [ToolAnswered(mock.status, mock.body) for mock in mocks] for name, mocks in scenario.mock.items()}
        ),
        llm=None if scenario.llm is None else [_answered(reply) for reply in scenario.llm],
        understand=_understanding(scenario.understand),
        placed=scenario.placed,
    )
    call.start()
    watch(call)
    for number, expected in enumerate(scenario.greeting):
        yield from ((("greeting", number, *path), what) for path, what in _check(call, expected))
    for index, turn in enumerate(scenario.turns):
        _take(call, turn)
        watch(call)
        for number, expected in enumerate(turn.expect):
            yield from ((("turns", index, "expect", number, *path), what) for path, what in _check(call, expected))


def _answered(reply: Reply) -> LlmAnswered:
    calls = tuple(LlmCall(name, value) for name, value in reply.calls.items())
    return LlmAnswered(reply.text, reply.done, reply.failed, calls)


def _take(call: Rehearsal, turn: Turn) -> None:
    if turn.user is not None:
        call.hear(turn.user)
    elif turn.dtmf is not None:
        call.press(turn.dtmf)
    elif turn.silence is not None:
        call.wait()
    elif turn.answered_by is not None:
        call.answered_by(turn.answered_by)
    elif turn.tone is not None:
        call.tone(turn.tone)
    else:
        call.transfer_failed()


def _check(call: Rehearsal, expected: Expectation) -> Iterator[tuple[Path, str]]:
    if expected.text_contains is not None and expected.text_contains not in call.said:
        yield ("text_contains",), f"expected to hear {expected.text_contains!r}, heard {call.said!r}"
    if expected.text_excludes is not None and expected.text_excludes in call.said:
        yield ("text_excludes",), f"expected not to hear {expected.text_excludes!r}, heard {call.said!r}"
    if expected.state is not None and expected.state != call.engine.state:
        yield ("state",), f"expected the state {expected.state}, is in {call.engine.state}"
    for state in expected.visited:
        if state not in call.visited:
            yield ("visited",), f"expected to visit {state}, visited {', '.join(call.visited) or 'none'}"
    for name, value in expected.slots.items():
        if call.engine.slots.get(name) != value:
            yield ("slots", name), f"expected {name} = {value!r}, is {call.engine.slots.get(name)!r}"
    if expected.ended is not None and expected.ended != _ending(call):
        yield ("ended",), f"expected the end {list(expected.ended)}, is {list(_ending(call)) or 'going on'}"


def _ending(call: Rehearsal) -> tuple[str, ...]:
    match call.ended:
        case HangUp(reason=reason):
            return ("hangup", reason.value)
        case Transfer(to=to):
            return ("transfer", to)
        case _:
            return ()


class _Understanding:
    """Understands what the scenario says and nothing else."""

    def __init__(self, meanings: Mapping[str, str]) -> None:
        self._meanings = meanings

    def __call__(self, question: Understand) -> Understood:
        return Understood(self._meanings.get(question.text))


def _understanding(meanings: Mapping[str, str] | None) -> _Understanding | None:
    return None if meanings is None else _Understanding(meanings)
