"""Slots: what is collected from the caller, its type and how it is checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from bot.flows.fields import Condition, Identifier, Key, Said, Text

SlotType: TypeAlias = Literal["phone_az", "fin", "date", "time", "number", "digits", "money", "enum", "boolean", "text"]

_STRICT = ConfigDict(extra="forbid", frozen=True)
# Which options belong to which types; the rest are of every type.
_OPTIONS: Mapping[str, frozenset[str]] = {
    "min": frozenset({"number", "money"}),
    "max": frozenset({"number", "money"}),
    "whole": frozenset({"number"}),
    "values": frozenset({"enum"}),
    "pattern": frozenset({"text", "digits"}),
    "within_days": frozenset({"date"}),
}
_NO_KEYPAD = frozenset({"fin", "text"})


class Keypad(BaseModel):
    """Entry by keys: submitted at `max` digits, at `finish`, or `inter_digit_s` after the last key."""

    model_config = _STRICT

    min: int = Field(default=1, ge=1, le=32)
    max: int = Field(default=16, ge=1, le=32)
    finish: Literal["#", "*", ""] = "#"
    inter_digit_s: float = Field(default=4.0, gt=0, le=30)

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is more than max {self.max}: swap them")
        return self


class Rejection(BaseModel):
    """A value that parses and yet will not do: when `if` holds, `say` is said and the slot asked again."""

    model_config = _STRICT

    when: Condition = Field(alias="if")
    say: Text


class EnumValue(BaseModel):
    """One value of an enum slot: how it is said, how it is understood, and its key."""

    model_config = _STRICT

    say: str = ""
    phrases: tuple[Said, ...] = Field(min_length=1)
    dtmf: Key | None = None
    describe: str = ""


def _from_list(written: object) -> object:
    return {"phrases": written} if isinstance(written, list) else written


class Slot(BaseModel):
    """Something to be collected. The value is kept as text: +994..., ISO dates and times, plain decimals."""

    model_config = _STRICT

    ask: Text
    type: SlotType
    describe: str = ""
    confirm: Text | None = None
    retry: Text | None = None  # said after a "no" to `confirm`; `ask` when it is absent
    rejections: tuple[Rejection, ...] = ()
    dtmf: Keypad | None = None
    pii: bool = False
    min: Decimal | None = None
    max: Decimal | None = None
    whole: bool = False
    within_days: int | None = Field(default=None, ge=0, le=3660)
    pattern: str | None = None
    values: dict[
        Identifier, Annotated[EnumValue, BeforeValidator(_from_list, json_schema_input_type=EnumValue | list[str])]
    ] = Field(default_factory=dict[str, EnumValue])

    @model_validator(mode="after")
    def _options_belong_to_the_type(self) -> Self:
        for option in sorted(self.model_fields_set & _OPTIONS.keys()):
            if self.type not in _OPTIONS[option]:
                owners = " or ".join(sorted(_OPTIONS[option]))
                raise ValueError(f"`{option}` is an option of type {owners}, not of {self.type}: remove it")
        if self.type == "enum" and not self.values:
            raise ValueError("an enum slot has no `values`: list them, each with its phrases")
        if self.type == "digits" and self.pattern is None:
            raise ValueError("a slot of digits has no `pattern`: say how many, such as '[0-9]{8}'")
        if self.dtmf is not None and self.type in _NO_KEYPAD:
            raise ValueError(f"a slot of type {self.type} cannot be keyed in: remove `dtmf`")
        return self

    @model_validator(mode="after")
    def _pattern_is_a_pattern(self) -> Self:
        if self.pattern is not None:
            try:
                re.compile(self.pattern)
            except re.error as error:
                raise ValueError(
                    f"`pattern` is no regular expression ({error}): correct it, such as '[0-9]{{4}}'"
                ) from None
        return self
