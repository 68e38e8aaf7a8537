"""Sentences with values in them: `Nömrəniz {{ phone | digits }}. Düzdür?`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass

from bot.flows.filters import FILTERS

MASK = "•••"  # stands for a personal value, and tells nothing of its length

_PLACE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_INSIDE = re.compile(r"\s*(?P<name>[^\W\d]\w*)\s*(?P<filters>(?:\|\s*[a-z_]+\s*)*)")


class TemplateError(ValueError):
    """A template cannot be read; the message quotes the place."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands in a template."""

    name: str
    filters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Template:
    """Text and places, in their order; `text` is as written."""

    text: str
    parts: tuple[str | Place, ...]

    @classmethod
    def of(cls, text: str) -> Template:
        """Parse a template, or raise `TemplateError`."""
        parts = tuple(_parts(text))
        if any("{{" in part or "}}" in part for part in parts if isinstance(part, str)):
            raise TemplateError(f"the braces in {text!r} do not pair: write {{{{ name }}}}")
        return cls(text, parts)

    @property
    def is_fixed(self) -> bool:
        """Whether it says the same on every call."""
        return all(isinstance(part, str) for part in self.parts)

    def names(self) -> frozenset[str]:
        """Give the slots and variables that it shows."""
        return frozenset(part.name for part in self.parts if isinstance(part, Place))

    def render(self, values: Mapping[str, str], *, masked: Set[str] = frozenset()) -> str:
        """Fill in the values; what has none is left out, and what is `masked` is not shown."""
        return "".join(
            part if isinstance(part, str) else MASK if part.name in masked else _filled(part, values)
            for part in self.parts
        )


def _parts(text: str) -> list[str | Place]:
    parts: list[str | Place] = []
    at = 0
    for match in _PLACE.finditer(text):
        inside = _INSIDE.fullmatch(match[1])
        if inside is None:
            raise TemplateError(f"`{match[0]}` cannot be read: write {{{{ name }}}} or {{{{ name | filter }}}}")
        filters = tuple(name.strip() for name in inside["filters"].split("|")[1:])
        for name in filters:
            if name not in FILTERS:
                raise TemplateError(f"`{match[0]}` uses the filter {name!r}: there are {', '.join(sorted(FILTERS))}")
        parts += (text[at : match.start()], Place(inside["name"], filters))
        at = match.end()
    parts.append(text[at:])
    return [part for part in parts if part]


def _filled(place: Place, values: Mapping[str, str]) -> str:
    value = values.get(place.name, "")
    for name in place.filters:
        value = FILTERS[name](value)
    return value
