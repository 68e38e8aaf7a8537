"""States of a flow: exactly one kind each, told apart by the key that names the kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from bot.flows.fields import Condition, Identifier, Key, Text

_STRICT = ConfigDict(extra="forbid", frozen=True)


class NoInput(BaseModel):
    """What is said, one after the other, when the caller says nothing for `after_s`; then where to go."""

    model_config = _STRICT

    after_s: float = Field(default=6.0, gt=0, le=120)
    say: tuple[Text, ...] = ()
    repeat: bool = False  # ask again after `say`
    then: Identifier


class NoMatch(BaseModel):
    """What is said, one after the other, when the caller is not understood; then where to go."""

    model_config = _STRICT

    say: tuple[Text, ...] = ()
    repeat: bool = False  # ask again after `say`
    then: Identifier


class Branch(BaseModel):
    """A way out of a `decide` state: `if` and `then`, or `else`."""

    model_config = _STRICT

    when: Condition | None = Field(default=None, alias="if")
    then: Identifier | None = None
    otherwise: Identifier | None = Field(default=None, alias="else")

    @model_validator(mode="after")
    def _is_if_then_or_else(self) -> Self:
        if (self.when is None) != (self.then is None) or (self.then is None) == (self.otherwise is None):
            raise ValueError("a branch is either `if` with `then`, or `else` alone")
        return self

    @property
    def target(self) -> str:
        return self.then or self.otherwise or ""


class DecideState(BaseModel):
    """Go where the first condition that holds says."""

    model_config = _STRICT

    decide: tuple[Branch, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _ends_in_else(self) -> Self:
        others = [index for index, branch in enumerate(self.decide) if branch.otherwise is not None]
        if others != [len(self.decide) - 1]:
            raise ValueError("`decide` must end in its one `else`: add `- {else: ...}` as the last branch")
        return self


class Answered(BaseModel):
    """Where to go by who answered; machines are left at once (`machine`), or spoken to when they record."""

    model_config = _STRICT

    human: Identifier
    machine: Identifier | None = None
    recording: Identifier | None = None
    fax: Identifier

    @model_validator(mode="after")
    def _has_one_way_with_machines(self) -> Self:
        if (self.machine is None) == (self.recording is None):
            raise ValueError(
                "a machine is left at once or left a message: give one of `machine` and `recording`, not both"
            )
        return self


class AnsweredState(BaseModel):
    """Listen to who answered a call that we placed, and go where that leads. A call that came to us is a human's."""

    model_config = _STRICT

    answered: Answered


class Choice(BaseModel):
    """A choice of a menu: by what the caller means or by a key."""

    model_config = _STRICT

    intent: Identifier
    dtmf: Key | None = None
    then: Identifier


class MenuState(BaseModel):
    """Ask, and go where the caller's intent or key leads.

    `yes` and `no` are where those answers lead; `also` takes slots from the words that name an intent.
    """

    model_config = _STRICT

    say: Text | None = None
    menu: tuple[Choice, ...] = Field(min_length=1)
    yes: Identifier | None = None
    no: Identifier | None = None
    also: tuple[Identifier, ...] = ()
    barge_in: bool | None = None
    no_input: NoInput | None = None
    no_match: NoMatch | None = None


class CollectState(BaseModel):
    """Ask for a slot until it has a value. `also` takes other slots from the same sentence when they are said."""

    model_config = _STRICT

    say: Text | None = None  # instead of the slot's `ask`
    collect: Identifier
    also: tuple[Identifier, ...] = ()
    then: Identifier
    barge_in: bool | None = None
    no_input: NoInput | None = None
    no_match: NoMatch | None = None


class CallState(BaseModel):
    """Call a tool and go where its status leads; `on` overrides the tool's own table."""

    model_config = _STRICT

    say: Text | None = None
    call: Identifier
    on: dict[str, Identifier] = Field(default_factory=dict[str, str])


class LlmTask(BaseModel):
    """What the language model is to do, for how many turns at most, and what it may fill and call meanwhile."""

    model_config = _STRICT

    task: str = Field(min_length=1)
    slots: tuple[Identifier, ...] = ()  # checked as ever, and never confirmed
    tools: tuple[Identifier, ...] = ()
    max_turns: int = Field(default=6, ge=1, le=30)


class LlmState(BaseModel):
    """Let the language model talk; it never chooses where to go next."""

    model_config = _STRICT

    say: Text | None = None
    llm: LlmTask
    then: Identifier
    on_fail: Identifier | None = None
    barge_in: bool | None = None
    no_input: NoInput | None = None


class TransferTarget(BaseModel):
    """Where the call goes, and the state to go on in when it cannot."""

    model_config = _STRICT

    to: Text
    on_fail: Identifier


class TransferState(BaseModel):
    """Hand the call over."""

    model_config = _STRICT

    say: Text | None = None
    transfer: TransferTarget


class HangupState(BaseModel):
    """End the call."""

    model_config = _STRICT

    say: Text | None = None
    hangup: Literal["normal", "no_input", "error"]


class SayState(BaseModel):
    """Say something and go on."""

    model_config = _STRICT

    say: Text
    then: Identifier
    barge_in: bool | None = None


KINDS = ("decide", "answered", "menu", "collect", "call", "llm", "transfer", "hangup")


def kind_of(state: object) -> str | None:
    """Name the kind of a state, written or loaded: the one kind key it has, or `say`."""
    given = state.keys() if isinstance(state, Mapping) else getattr(type(state), "model_fields", {}).keys()
    kinds = [kind for kind in KINDS if kind in given]
    if len(kinds) > 1:
        return None
    return kinds[0] if kinds else "say"


State: TypeAlias = Annotated[
    Annotated[DecideState, Tag("decide")]
    | Annotated[AnsweredState, Tag("answered")]
    | Annotated[MenuState, Tag("menu")]
    | Annotated[CollectState, Tag("collect")]
    | Annotated[CallState, Tag("call")]
    | Annotated[LlmState, Tag("llm")]
    | Annotated[TransferState, Tag("transfer")]
    | Annotated[HangupState, Tag("hangup")]
    | Annotated[SayState, Tag("say")],
    Discriminator(
        kind_of,
        custom_error_type="state_kind",
        custom_error_message=f"a state has exactly one of {', '.join(KINDS)}, or say with then",
    ),
]
