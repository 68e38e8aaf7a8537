"""Small flows for tests, written as YAML over a frame that has what every flow needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from bot.flows.actions import LlmAnswered, ToolAnswered
from bot.flows.flow import Flow
from bot.flows.loader import read_flow
from bot.flows.problems import Severity
from bot.flows.rehearsal import Rehearsal, scripted

FRAME = """\
version: 1
id: test
calendar: {hours: {mon-fri: "09:00-18:00", sat: "10:00-14:00"}, closed: [2026-12-31]}
disclosure: Salam, bu robotdur.
defaults:
  on_error: Texniki nasazlıq var.
  no_input: {after_s: 5, say: [Eşitmədim., Hələ də eşitmirəm.], then: silent_end}
  no_match: {say: [Başa düşmədim., Başqa cür deyin.], then: end}
intents:
  book: {describe: Wants to book., phrases: [qəbula yazılmaq, "yazıl*"]}
  hours: {describe: Asks for hours., phrases: [iş saatları]}
  human: {describe: Wants a person., phrases: [operator, canlı insan], global: true, goto: end, dtmf: "0"}
  again: {describe: Wants it repeated., phrases: [bir də deyin], global: true, repeat: true, dtmf: "9"}
"""

ENDS = """\
  end: {say: Sağ olun., hangup: normal}
  silent_end: {hangup: no_input}
"""

MONDAY_NOON = datetime(2026, 11, 23, 12, 0)  # noqa: DTZ001 (wall clock of the flow's own zone)


def flow_of(text: str, *, frame: str = FRAME, ends: str = ENDS) -> Flow:
    """Load a flow from its own part; states come last, so that the ends can follow."""
    flow, problems = read_flow(f"{frame}{text}{ends}", file="test.yaml")
    errors = [problem for problem in problems if problem.severity is Severity.ERROR]
    assert flow is not None, problems
    assert not errors, errors
    return flow


def rehearse(
    text: str,
    *,
    at: datetime = MONDAY_NOON,
    variables: Mapping[str, str] | None = None,
    tools: Mapping[str, Sequence[ToolAnswered]] | None = None,
    llm: Sequence[LlmAnswered] | None = None,
) -> Rehearsal:
    """Start a call through a small flow."""
    call = Rehearsal(flow_of(text), at=at, variables=variables, tools=scripted(tools or {}), llm=llm)
    call.start()
    return call
