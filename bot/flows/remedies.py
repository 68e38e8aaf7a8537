"""Words for what pydantic finds in a file: what is wrong and what to write instead, for people who write YAML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel

_NUMBER = "Write a number without a unit, such as 5 or 2.5."
_TEXT = "Put it in quotes."
_REMEDIES: Mapping[str, str] = {
    "missing": "Add the key.",
    "state_kind": "Split the state in two.",
    "dict_type": "Write keys below it, `key: value`, indented by two spaces.",
    "model_type": "Write keys below it, `key: value`, indented by two spaces, or {key: value}.",
    "tuple_type": "Write a list: [a, b], or a line with `- ` for each.",
    "string_type": _TEXT,
    "float_parsing": _NUMBER,
    "float_type": _NUMBER,
    "int_parsing": _NUMBER,
    "int_type": _NUMBER,
    "int_from_float": "Write a whole number.",
    "decimal_parsing": _NUMBER,
    "decimal_type": _NUMBER,
    "bool_parsing": "Write true or false.",
    "bool_type": "Write true or false.",
    "date_from_datetime_parsing": "Write a day as 2026-12-31.",
    "date_parsing": "Write a day as 2026-12-31.",
}
_WHAT: Mapping[str, str] = {
    "dict_type": "has no keys of its own",
    "model_type": "has no keys of its own",
    "tuple_type": "is no list",
    "string_type": "is no text",
}
# what a pattern of the format means, by a part of it that no other has
_PATTERNS = (
    ("[0-9*#]", "is no key of a telephone", "Write one of 0 to 9, * and #, in quotes."),
    (r"[^\W\d]", "is no name", "Begin with a letter and use letters, digits and _ only."),
    (r"^\$", "is no place in an answer", "Write where the value is: $.id, or $.slots[0].time."),
    ("env:", "is no name of a secret", "Name an environment variable, env:TOKEN, and set it before the start."),
    ("[a-z0-9_-]", "is no id", "Use small Latin letters, digits, - and _, beginning with a letter."),
    ("[a-z0-9-]", "is no name of an include", "Use one of those that ship, such as `common`."),
    ("mon|tue", "is no day", "Write mon, tue, wed, thu, fri, sat or sun, or a span such as mon-fri."),
    ("[a-z_]", "is no status", "Use ok, invalid, denied, not_found, conflict, busy or error."),
)


def explained(kind: str, location: tuple[str | int, ...], message: str, context: Mapping[str, Any]) -> tuple[str, str]:
    """Give what is wrong and the remedy; messages of ours have the remedy after a colon."""
    what, _, remedy = message.removeprefix("Value error, ").partition(": ")
    if remedy:
        return what, f"{remedy[:1].upper()}{remedy[1:]}."
    if kind == "missing":
        return f"the key {location[-1]!r} is missing", _REMEDIES[kind]
    if kind == "string_pattern_mismatch":
        return _of_pattern(str(context.get("pattern", "")))
    if kind in {"less_than_equal", "greater_than_equal", "less_than", "greater_than"}:
        return what.removeprefix("Input ").replace("should be", "must be"), "Change the number."
    return _WHAT.get(kind, what.replace("Input should be", "must be")), _REMEDIES.get(kind, "Correct the value.")


def choice(given: object, expected: str) -> tuple[str, str]:
    """Explain a value that is none of those there are; `expected` lists them in quotes, as pydantic does."""
    near = get_close_matches(str(given), expected.replace("'", "").replace(" or ", ", ").split(", "), n=1)
    return f"is {given!r}, and must be {expected}", f"Did you mean {near[0]}?" if near else "Use one of them."


def unknown_key(key: str, model: type[BaseModel]) -> tuple[str, str]:
    """Explain a key that the format has not, with the nearest that it has."""
    near = get_close_matches(key, sorted(set(_keys(model, set()))), n=1, cutoff=0.6)
    guess = f"Did you mean {near[0]!r}? " if near and near[0] != key else ""
    return f"the key {key!r} is not known here", f"{guess}Remove the key, or correct its spelling or indentation."


def _keys(model: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[str]:
    seen.add(model)
    for name, field in model.model_fields.items():
        yield field.alias or name
        for inner in _models(field.annotation):
            if inner not in seen:
                yield from _keys(inner, seen)


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from _models(part)


def _of_pattern(pattern: str) -> tuple[str, str]:
    found = next(((what, remedy) for part, what, remedy in _PATTERNS if part in pattern), None)
    return found or ("is not written as it must be", "Correct the value.")
