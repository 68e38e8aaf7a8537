"""A call flow, format version 1, as loaded and checked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bot.flows.actions import FlowTone
from bot.flows.fields import Identifier, Key, Said, Text
from bot.flows.hours import Calendar
from bot.flows.slots import Slot
from bot.flows.states import NoInput, NoMatch, State
from bot.flows.toolspec import Tool

_STRICT = ConfigDict(extra="forbid", frozen=True)


class Intent(BaseModel):
    """Something a caller may want. A `global` intent is heard in every state that listens."""

    model_config = _STRICT

    describe: str = Field(min_length=1)  # English, for a language model
    phrases: tuple[Said, ...] = ()
    is_global: bool = Field(default=False, alias="global")
    goto: Identifier | None = None
    repeat: bool = False  # say the last question again instead of going somewhere
    dtmf: Key | None = None

    @model_validator(mode="after")
    def _goes_somewhere_only_if_global(self) -> Self:
        if self.is_global and (self.goto is None) != self.repeat:
            raise ValueError("a global intent has either `goto` or `repeat: true`")
        if not self.is_global and (self.goto is not None or self.repeat or self.dtmf is not None):
            raise ValueError("`goto`, `repeat` and `dtmf` are of global intents: add `global: true`")
        return self


class Defaults(BaseModel):
    """What holds for every state that does not say otherwise."""

    model_config = _STRICT

    barge_in: bool = True
    no_input: NoInput | None = None
    no_match: NoMatch | None = None
    on_error: Text | None = None  # said before the call is ended by a fault of the flow


class Tones(BaseModel):
    """Where the call goes, whatever it is doing, when a tone of a machine is heard; the first time of each."""

    model_config = _STRICT

    fax: Identifier | None = None  # either side's
    busy: Identifier | None = None  # or congestion: nobody is there any more
    out_of_service: Identifier | None = None  # three rising tones, before an announcement of the network
    beep: Identifier | None = None

    def to(self, tone: FlowTone) -> str | None:
        """Give the state that a tone leads to."""
        ways: dict[FlowTone, str | None] = {
            "fax": self.fax,
            "busy": self.busy,
            "out_of_service": self.out_of_service,
            "beep": self.beep,
        }
        return ways[tone]

    def ways(self) -> Iterator[tuple[FlowTone, str]]:
        """Give those that lead somewhere."""
        for tone in get_args(FlowTone):
            if (target := self.to(tone)) is not None:
                yield tone, target


class Flow(BaseModel):
    """A call flow."""

    model_config = _STRICT

    version: Literal[1]
    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
    language: Literal["az"] = "az"
    engine: Literal["rules", "hybrid", "llm"] = "hybrid"
    persona: str = ""
    disclosure: Text | None = None
    include: tuple[Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")], ...] = ()
    variables: dict[Identifier, str] = Field(default_factory=dict[str, str])
    calendar: Calendar | None = None
    defaults: Defaults = Defaults()
    tones: Tones = Tones()
    intents: dict[Identifier, Intent] = Field(default_factory=dict[str, Intent])
    slots: dict[Identifier, Slot] = Field(default_factory=dict[str, Slot])
    tools: dict[Identifier, Tool] = Field(default_factory=dict[str, Tool])
    start: Identifier
    states: dict[Identifier, State] = Field(min_length=1)
