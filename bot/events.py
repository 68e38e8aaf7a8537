"""`CallEvent`: what happens in a call, for its page, its record, metrics and logs.

The same messages go to the caller's page as JSON (`docs/page-protocol.md`), so they are pydantic,
discriminated by `type`. Texts, slot values and digits are personal.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

Who: TypeAlias = Literal["human", "machine", "recording", "fax"]
"""Who answered a call that we placed."""


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CallStarted(_Event):
    """The call was answered."""

    type: Literal["call.started"] = "call.started"
    call_id: str
    flow: str


class AnsweredBy(_Event):
    """Who answered a call that we placed; of a machine it may be told twice: `machine`, then `recording`."""

    type: Literal["call.answered_by"] = "call.answered_by"
    by: Who


class CallerTurn(_Event):
    """What the caller said, as recognised, or pressed."""

    type: Literal["turn.caller"] = "turn.caller"
    turn_id: str
    text: str


class BotTurn(_Event):
    """What the bot says from now on."""

    type: Literal["turn.bot"] = "turn.bot"
    turn_id: str
    text: str


class BotTurnHeard(_Event):
    """How much of a bot turn was played, once it ended or was cut."""

    type: Literal["turn.bot.heard"] = "turn.bot.heard"
    turn_id: str
    heard_s: float
    duration_s: float


class StageLatency(_Event):
    """Milliseconds from the end of the caller's speech (or key) to the bot's first sound, in order."""

    endpoint: int  # waiting for the end of the turn, recognition excluded
    recognition: int  # of it, waiting for the text
    flow: int  # from the text to the answer's text
    speech: int  # to the first audio from the speech server or the prompt cache
    playout: int  # to the first frame handed to the leg


class TurnLatency(_Event):
    """How long the caller waited."""

    type: Literal["turn.latency"] = "turn.latency"
    turn_id: str
    total_ms: int
    stages: StageLatency


class FlowState(_Event):
    """The flow entered a state."""

    type: Literal["flow.state"] = "flow.state"
    state: str
    why: str


class FlowSlot(_Event):
    """A slot was filled; `value` is masked where it is personal."""

    type: Literal["flow.slot"] = "flow.slot"
    name: str
    value: str


class CallerSpeaking(_Event):
    """The caller took or gave up the floor."""

    type: Literal["caller.speaking"] = "caller.speaking"
    on: bool


class BotSpeaking(_Event):
    """The bot began or ended to sound."""

    type: Literal["bot.speaking"] = "bot.speaking"
    on: bool


class CallEnded(_Event):
    """The call is over."""

    type: Literal["call.ended"] = "call.ended"
    cause: str


CallEvent: TypeAlias = (
    CallStarted
    | AnsweredBy
    | CallerTurn
    | BotTurn
    | BotTurnHeard
    | TurnLatency
    | FlowState
    | FlowSlot
    | CallerSpeaking
    | BotSpeaking
    | CallEnded
)
