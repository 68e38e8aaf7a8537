"""Values out of a tool's answer: `$.id`, `$.slots[0].time`."""

from __future__ import annotations

import re
from collections.abc import Mapping

_STEP = re.compile(r"\.(?P<key>[A-Za-z_]\w*)|\[(?P<index>\d+)\]")
_LONGEST = 500  # characters that are kept of one value


def value_at(body: Mapping[str, object], path: str) -> str | None:
    """Give the value as text; None when the answer has none there or it is no single value."""
    value: object = body
    for step in _STEP.finditer(path):
        value = _child(value, step["key"], step["index"])
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)[:_LONGEST].encode("utf-8", "replace").decode()  # half an emoji is no text
    return None


def _child(value: object, key: str | None, index: str | None) -> object:
    if key is not None:
        return value.get(key) if isinstance(value, Mapping) else None
    assert index is not None
    position = int(index)
    return value[position] if isinstance(value, list) and position < len(value) else None
