"""Texts of strangers: JSON objects, and the strings in them, within bounds."""

from __future__ import annotations

import json
from typing import cast

KEYS = frozenset("0123456789*#ABCD")
_MAX_ITEMS, _MAX_TEXT = 32, 200


def fields_of(text: str) -> dict[str, object] | None:
    """Read a JSON object; None for anything else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, object]", value) if isinstance(value, dict) else None


def object_in(fields: dict[str, object], name: str) -> dict[str, object]:
    """Read an object within an object; empty where there is none."""
    value = fields.get(name)
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def text_of(fields: dict[str, object], name: str) -> str:
    """Read a string, cut to what is kept; "" where there is none."""
    value = fields.get(name)
    return value[:_MAX_TEXT] if isinstance(value, str) else ""


def texts_of(value: object) -> dict[str, str]:
    """Read an object of strings: the first few of them, each cut to what is kept."""
    if not isinstance(value, dict):
        return {}
    items = list(cast("dict[str, object]", value).items())[:_MAX_ITEMS]
    return {name[:_MAX_TEXT]: str(each)[:_MAX_TEXT] for name, each in items}
