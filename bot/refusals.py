"""What pydantic refuses, in words for whoever wrote the file: where it stands, what is wrong, what to write instead."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from difflib import get_close_matches

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

Location = tuple[int | str, ...]
_WHAT = {
    "missing": "must be set",
    "dict_type": "must be a table of names and values",
    "model_type": "must be a table of names and values",
    "string_type": "must be a text: put it in quotes",
}


def refusals(
    error: ValidationError, model: type[BaseModel], *, place: Callable[[Location], str], unknown: str, names: str
) -> list[str]:
    """A line a fault. `place` writes a location, `unknown` says of a name that it is none, `names` where they stand.

    A name that is misspelt is told once, not again as the one that is missing.
    """
    details = error.errors(include_url=False)
    meant = {
        (*fault["loc"][:-1], near)
        for fault in details
        if fault["type"] == "extra_forbidden" and (near := _near(fault, model))
    }
    lines: list[str] = []
    for fault in details:
        if fault["type"] == "missing" and fault["loc"] in meant:
            continue
        if fault["type"] == "too_short" and any(_is_within(other["loc"], fault["loc"]) for other in details):
            continue  # a list that lost a bad item is also reported as too short
        what = _unknown(fault, model, unknown, names) if fault["type"] == "extra_forbidden" else _what(fault)
        where = "" if what.startswith("[") else place(fault["loc"])
        lines.append(f"{where}{what}")
    return lines


def _is_within(inner: Location, outer: Location) -> bool:
    return inner != outer and inner[: len(outer)] == outer


def _what(fault: ErrorDetails) -> str:
    if fault["type"] in {"tuple_type", "list_type"}:
        given = fault["input"]
        return f'must be a list: ["{given if isinstance(given, str) and given else "…"}"]'
    found = re.sub(r"^(?:Input|[A-Z]\w+) should ", "must ", fault["msg"].removeprefix("Value error, "))
    found = found.removesuffix(", not 0").replace(" after validation", "")
    return _WHAT.get(fault["type"], found)


def _unknown(fault: ErrorDetails, model: type[BaseModel], unknown: str, names: str) -> str:
    near = _near(fault, model)
    if near:
        return f"{unknown}; did you mean {near}? {names}".rstrip()
    return f"{unknown}; {names or 'known: ' + ', '.join(known_names(model, fault['loc'][:-1]))}"


def _near(fault: ErrorDetails, model: type[BaseModel]) -> str:
    near = get_close_matches(str(fault["loc"][-1]), known_names(model, fault["loc"][:-1]), n=1)
    return near[0] if near else ""


def known_names(model: type[BaseModel], location: Location) -> tuple[str, ...]:
    """Give the names that may stand at a place."""
    for part in location:
        if isinstance(part, str):
            field = model.model_fields.get(part)
            inner = next(models_of(field.annotation), None) if field is not None else None
            if inner is None:
                return ()
            model = inner
    return tuple(model.model_fields)


def models_of(annotation: object) -> Iterator[type[BaseModel]]:
    """Give the models within a type, such as that of the tables of an array."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from models_of(part)
