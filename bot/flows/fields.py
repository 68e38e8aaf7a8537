"""Field types that the models of a flow share: names, templates, conditions and phrases, parsed on load."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema

from bot.flows.expressions import Expression
from bot.flows.templates import Template
from bot.language.phrases import Phrase

Identifier = Annotated[str, Field(pattern=r"^[^\W\d]\w{0,63}$")]


def _key(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Key = Annotated[
    str,
    Field(pattern=r"^[0-9*#]$"),
    BeforeValidator(_key),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "pattern": "^[0-9*#]$"}, {"type": "integer", "minimum": 0, "maximum": 9}]}
    ),
]


def _written(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text: put it in quotes")  # noqa: TRY004 (pydantic reports ValueError)
    return value


def _template(value: object) -> Template:
    return Template.of(_written(value))


def _expression(value: object) -> Expression:
    return Expression.of(_written(value))


def _phrase(value: object) -> Phrase:
    return Phrase.of(_written(value))


def _source(value: Template | Expression | Phrase) -> str:
    return value.text


_TEXT_SCHEMA = WithJsonSchema({"type": "string"})

Text = Annotated[Template, PlainValidator(_template), PlainSerializer(_source), _TEXT_SCHEMA]
Condition = Annotated[Expression, PlainValidator(_expression), PlainSerializer(_source), _TEXT_SCHEMA]
Said = Annotated[Phrase, PlainValidator(_phrase), PlainSerializer(_source), _TEXT_SCHEMA]
